//! Every scenario file is a test case: its snapshot over five schedules, and some seeds of it.

#[cfg(not(madsim))]
compile_error!("scenarios run in simulation; type: RUSTFLAGS='--cfg madsim' cargo test");

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    wavetank::cli::test_scenarios(journal::under_test::SYSTEMS, env!("CARGO_MANIFEST_DIR"))
}
