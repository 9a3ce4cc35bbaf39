//! Hands the jobs of this crate over to the command line.

/// A simulated run allocates as often as it does anything.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    wavetank::cli::main(wavetank::jobs::shipped())
}
