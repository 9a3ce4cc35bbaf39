//! Every file under scenarios/ is a test case: some seeds, and a snapshot under snapshots/.

#[cfg(not(madsim))]
compile_error!("scenarios run in simulation; type: RUSTFLAGS='--cfg madsim' cargo test");

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    wavetank::cli::test_scenarios(tally::under_test::SYSTEMS, env!("CARGO_MANIFEST_DIR"))
}
