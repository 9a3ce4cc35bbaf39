//! A short sweep over all scenarios of the simulated world.

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    wavetank::cli::test_sweep(wavetank::under_test::SYSTEMS, env!("CARGO_MANIFEST_DIR"))
}

#[cfg(not(madsim))]
fn main() {
    println!("scenarios run in the simulated world");
}
