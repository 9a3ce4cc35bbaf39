//! The command line: wavetank's own with this job, in simulation and live.

fn main() -> std::process::ExitCode {
    wavetank::cli::main(word_count::job())
}
