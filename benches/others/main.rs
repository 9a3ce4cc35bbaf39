//! What the simulation costs beside turmoil and madsim's own RPC:
//! `cargo run --release --manifest-path benches/others/Cargo.toml`, one part with its name behind `--`, a rough
//! answer with `--quick`. Nothing is asserted about time; the aims stand beside the figures.
#![cfg_attr(madsim, expect(clippy::disallowed_methods, reason = "measures wall time"))]

#[cfg(madsim)]
mod idle;
#[cfg(madsim)]
#[path = "../simulation/measure.rs"]
mod measure;
#[cfg(madsim)]
mod rpc;

#[cfg(madsim)]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = measure::Effort::of(arguments.iter().any(|argument| argument == "--quick"));
    let named = |name: &str| {
        let mut names = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        names.peek().is_none() || names.any(|wanted| wanted == name)
    };
    if named("rpc") {
        rpc::compare(effort);
    }
    if named("idle") {
        idle::compare(effort);
    }
}

#[cfg(not(madsim))]
fn main() {
    println!("this measures the simulated world; .cargo/config.toml sets --cfg madsim");
}
