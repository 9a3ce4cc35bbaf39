//! Every scenario file is a test case of the simulated world.

#[cfg(madsim)]
mod plans;
#[cfg(madsim)]
mod simulated;

#[cfg(madsim)]
fn main() -> std::process::ExitCode {
    simulated::main()
}

#[cfg(not(madsim))]
fn main() {
    println!("scenarios run in the simulated world");
}
