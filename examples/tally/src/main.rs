//! The commands: `cargo run -- explore`, `run`, `replay`, `list`, `new` and the others, for this crate's systems.

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    wavetank::cli::simulated_main(tally::under_test::SYSTEMS)
}

#[cfg(not(madsim))]
fn main() {
    // `run_server` and `run_client` run live too; this example does not show it.
    eprintln!("this is built for the live world; .cargo/config.toml sets --cfg madsim");
}
