//! Every file under `scenarios/` is a test case: its snapshot over five schedules, and some seeds of it.

fn main() -> std::process::ExitCode {
    wavetank::cli::test_jobs(word_count::job(), env!("CARGO_MANIFEST_DIR"))
}
