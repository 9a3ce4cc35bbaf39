//! In simulation the commands of wavetank, for the journal: `explore`, `run`, `replay`, `list` and the others.
//! Live one process of a journal; see the README beside it.

#[cfg(not(madsim))]
mod live;

use std::process::ExitCode;

#[cfg(madsim)]
fn main() -> ExitCode {
    wavetank::cli::simulated_main(journal::under_test::SYSTEMS)
}

#[cfg(not(madsim))]
fn main() -> ExitCode {
    live::main()
}
