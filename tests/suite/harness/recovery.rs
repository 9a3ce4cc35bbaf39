//! How long a job waits for other slots when it has lost some. Its restarts have no delay, and others are free.

use super::run;
use std::time::Duration;
use wavetank::{
    harness::{event::KeptEvent, run::RunOutcome},
    host::sim::Hardware,
    system::{job_manager::JobEvent, protocol::JobStatus},
};

fn run_with(fault: &str) -> RunOutcome {
    let text = format!(
        "system = \"cluster\"\ndescription = \"test\"\n[cluster]\ntask-executors = 4\nslots = 2\nheartbeat = \"1s\"\n\
         [[job]]\nlines = 2000\nparallelism = 2\nrestart-delay = \"0ms\"\n\
         [[fault]]\ntarget = \"busy-task-executor\"\n\
         on = {{ milestone = \"checkpoint-completed\", nth = 1 }}\n{fault}"
    );
    let outcome = run(&text);
    assert!(outcome.expected, "{}", outcome.verdict);
    outcome
}

/// From what happened to a machine to a job that runs again.
fn recovered(outcome: &RunOutcome, happened: impl Fn(&Hardware) -> bool) -> Duration {
    let first = |after: Duration, of: &dyn Fn(&KeptEvent) -> bool| {
        let mut later = outcome.history.iter().filter(|(at, _)| at.time >= after);
        later.find(|(_, event)| of(event)).map(|(at, _)| at.time)
    };
    let struck = |event: &KeptEvent| event.get::<Hardware>().is_some_and(&happened);
    let struck = first(Duration::ZERO, &struck).expect("the fault struck");
    let running = |event: &KeptEvent| {
        let status = event.get::<JobEvent>();
        matches!(status, Some(JobEvent::StatusChanged { status: JobStatus::Running, .. }))
    };
    first(struck, &running).expect("it runs again") - struck
}

#[test]
fn a_job_whose_task_executor_ends_runs_elsewhere_within_a_few_round_trips() {
    let outcome = run_with("kind = \"crash\"\nduration = \"30s\"");
    let took = recovered(&outcome, |event| matches!(event, Hardware::Ended(_)));
    assert!(took <= Duration::from_millis(100), "{took:?}");
}

#[test]
fn a_job_whose_task_executor_stands_still_runs_elsewhere_once_that_is_lost() {
    let outcome = run_with("kind = \"pause\"\nduration = \"30s\"");
    let took = recovered(&outcome, |event| matches!(event, Hardware::Paused));
    assert!(took > Duration::from_secs(3), "it beat a moment before: {took:?}");
    assert!(took <= Duration::from_millis(5_100), "the time-out is 5 s: {took:?}");
}
