//! What a scenario says of a journal.

use wavetank::harness::language::{DurationRange, NumberRange, number, time};

wavetank::settings! {
    /// A journal cluster; the coordination server comes on top.
    #[derive(Clone, Debug, PartialEq)]
    JournalSettings {
        cluster {
            "journals" journals: NumberRange = number(1, 16, 3).size(), "Journal nodes, of which one leads.";
            "clients" clients: NumberRange = number(1, 64, 2).size(), "Clients.";
            "session-timeout" session_timeout: DurationRange = time("100ms", "10m", "6s"), "How long a lease lives.";
        }
        workload {
            "lines" lines: NumberRange = number(1, 1_000_000, 100).size(), "Lines that each client sends.";
            "batch" batch: NumberRange = number(1, 512, 5).size(), "Lines in one call at most.";
            "pause" pause: DurationRange = time("0ms", "10m", "500ms"), "The wait after each acknowledged call.";
        }
    }
}
