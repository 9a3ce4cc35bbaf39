//! What the simulation costs: `cargo bench`, one part with `cargo bench -- NAME`, a rough
//! answer with `--quick`. Nothing is asserted about time; the aims stand beside the figures.
#![cfg_attr(madsim, expect(clippy::disallowed_methods, reason = "measures wall time"))]

/// The sources of the example of a stranger's system, whose runs are short.
#[cfg(madsim)]
#[path = "../../examples/journal/src/lib.rs"]
#[expect(dead_code, unused_imports, reason = "only its runs are measured here")]
mod journal;
#[cfg(madsim)]
mod measure;
#[cfg(madsim)]
mod runs;
#[cfg(madsim)]
mod seeds;
#[cfg(madsim)]
mod standard;

#[cfg(madsim)]
type Part = fn(measure::Effort);

#[cfg(madsim)]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = measure::Effort::of(arguments.iter().any(|argument| argument == "--quick"));
    let mut names = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
    if names.peek().is_some_and(|name| *name == runs::MEMORY_CHILD) {
        return runs::memory_child(effort);
    }
    let parts: [(&str, Part); 4] = [
        ("standard", standard::standard),
        ("memory", runs::memory),
        ("journal", runs::journal),
        ("seed", seeds::compare),
    ];
    let all = names.peek().is_none();
    let wanted: Vec<&String> = names.collect();
    for (name, part) in parts {
        if all || wanted.iter().any(|wanted| *wanted == name) {
            part(effort);
        }
    }
}

#[cfg(not(madsim))]
fn main() {
    println!("the bench measures the simulated world: cargo bench");
}
