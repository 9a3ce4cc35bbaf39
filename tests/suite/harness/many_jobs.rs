//! As many jobs on one cluster as a user may have.

/// The shipped scenario with a hundred jobs, on executors that are just enough.
#[test]
fn a_hundred_jobs_are_taken_over_by_another_dispatcher() {
    let text = include_str!("../../../scenarios/pipelines/many-jobs.toml");
    let many = text
        .replace("count = 30", "count = 100")
        .replace("task-executors = 8", "task-executors = 25");
    assert!(many.contains("count = 100") && many.contains("task-executors = 25"), "{text}");
    let outcome = super::run(&many);
    assert!(outcome.expected, "{:?}", outcome.verdict);
    assert!(super::times(&outcome, "job-recovered") > 0, "its jobs were taken over");
}
