//! What the simulation costs: `cargo bench`, one part with `cargo bench -- NAME`, a rough
//! answer with `--quick`. Nothing is asserted about time; the aims stand beside the figures.
//! `cargo bench-live` measures what can be measured in the live world too.
#![expect(
    clippy::disallowed_methods,
    reason = "measures wall time, and memory as the system sees it"
)]

mod child;
#[cfg(madsim)]
mod day;
mod endpoints;

/// The sources of the example of a stranger's system, whose runs are short.
#[cfg(madsim)]
#[path = "../../examples/journal/src/lib.rs"]
#[expect(dead_code, unused_imports, reason = "only its runs are measured here")]
mod journal;
#[cfg(madsim)]
mod large;
#[cfg(not(madsim))]
mod live_cluster;
#[cfg(not(madsim))]
mod live_dataflow;
#[cfg(not(madsim))]
mod live_keyed_state;
#[cfg(not(madsim))]
mod live_log;
#[cfg(not(madsim))]
mod live_recovery;
#[cfg(not(madsim))]
mod live_services;
#[cfg(not(madsim))]
mod live_state;
#[cfg(not(madsim))]
mod live_words;
#[cfg_attr(not(madsim), expect(dead_code, reason = "most parts are of the simulated world"))]
mod measure;
#[cfg(madsim)]
mod runs;
#[cfg(madsim)]
mod seeds;
#[cfg(madsim)]
mod standard;

type Part = (&'static str, fn(measure::Effort));

#[cfg(madsim)]
const PARTS: &[Part] = &[
    ("standard", standard::standard),
    ("memory", runs::memory),
    ("journal", runs::journal),
    ("seed", seeds::compare),
    ("large", large::large),
    ("endpoints", endpoints::endpoints),
    ("day", day::day),
];

#[cfg(not(madsim))]
const PARTS: &[Part] = &[
    ("endpoints", endpoints::endpoints),
    ("live-recovery", live_recovery::live_recovery),
    ("live-dataflow", live_dataflow::live_dataflow),
    ("live-log", live_log::live_log),
    ("live-state", live_state::live_state),
    ("live-keyed-state", live_keyed_state::live_keyed_state),
    ("live-words", live_words::live_words),
    ("live-services", live_services::live_services),
];

/// What a part runs in a process of its own.
const CHILDREN: &[Part] = &[
    #[cfg(madsim)]
    (runs::MEMORY_CHILD, runs::memory_child),
    #[cfg(madsim)]
    (day::DAY_CHILD, day::day_child),
    (endpoints::ENDPOINTS_CHILD, endpoints::endpoints_child),
    #[cfg(not(madsim))]
    (live_services::BARE_ECHO_CHILD, live_services::bare_echo),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = measure::Effort::of(arguments.iter().any(|argument| argument == "--quick"));
    let wanted: Vec<&String> =
        arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.iter().any(|wanted| *wanted == name);
    if let Some((_, child)) = CHILDREN.iter().find(|(name, _)| is_wanted(name)) {
        return child(effort);
    }
    for (name, part) in PARTS {
        if wanted.is_empty() || is_wanted(name) {
            part(effort);
        }
    }
}
