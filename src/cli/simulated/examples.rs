//! What a person types, and what the command exits with: the end of each command's help.
//! docs/exit-codes.md says the same at length.

/// What only this crate has, of all that the examples name.
const OWN: &[&str] = &["word-count", "pipelines", "swarm-7", "old-offer"];

/// The end of a help text, for a binary that has other scenarios and jobs.
pub fn elsewhere(text: &str) -> String {
    let kept = text.lines().filter(|line| !OWN.iter().any(|own| line.contains(own)));
    let kept: Vec<&str> = kept.collect();
    let text = kept.join("\n");
    match text.strip_prefix("Examples:\n\n") {
        Some(rest) => rest.to_string(),
        None => text,
    }
}

pub const RUN: &str = "\
Examples:
  cargo run -- run word-count/executor-power-cut --seed 7
  cargo run -- run word-count/swarm --seed 7 --input README.md --output counts.txt
  cargo run -- run word-count/crash-loop --seed 7 --log wavetank=debug

Exit codes: 0 it ended as its scenario expects and all is written, 1 an invariant broke or the
output differs, 2 not done, not kept or not written, 3 no convergence, 4 not deterministic.";

pub const EXPLORE: &str = "\
Examples:
  cargo run -- explore
  cargo run -- explore regressions \"word-count/*cut*\"
  cargo run --release -- explore word-count/swarm --for 10m
  cargo run --release -- explore --until-failure --for 8h
  cargo run -- explore --seeds 0..1000 --json sweep.json
  cargo run -- explore --seeds 0..1000 --shard 2/4 --junit sweep.xml

Exit codes: 0 every run ended as expected, 1 an invariant broke, 2 not done or not written,
3 no convergence, 4 not deterministic, 130 ended by a signal and clean so far.";

pub const CAMPAIGN: &str = "\
Examples:
  cargo run --release -- campaign sums
  cargo run --release -- campaign sums --for 8h
  cargo run --release -- campaign sums --sums
  cargo run --release -- campaign sums --shard 3/16
  cargo run --release -- campaign all --merge sums-1 --merge sums-2
  cargo run --release -- campaign state-sums state \"*/swarm\" --seeds 0..1000000

Exit codes: 0 every run that is kept ended as expected, 1 an invariant broke, 2 not done or
another campaign's folder, 3 no convergence, 4 not deterministic, 130 ended by a signal and
clean so far.";

pub const MILESTONES: &str = "\
Examples:
  cargo run --release -- milestones
  cargo run --release -- milestones --runs 20000
  cargo run -- milestones --check

Exit codes: 0 all are reached, and with --check by their rows; 1 some are not; 2 not done or
not written; 130 ended by a signal, and nothing is written.";

pub const REPLAY: &str = "\
Examples:
  cargo run -- replay failures/S4-word-count-late-offers-0
  cargo run -- replay failures/S4-word-count-late-offers-0 --log wavetank=debug
  cargo run -- replay failures/S4-word-count-late-offers-0 --schedules 200
  cargo run -- replay failures/S4-word-count-late-offers-0 --until 12.3s --show job-manager

Exit codes: 0 the same run passes now or all schedules do, 1 an invariant broke, 2 stale or no
failure folder, 3 no convergence.";

pub const DIFF: &str = "\
Examples:
  cargo run -- diff failures/S4-word-count-late-offers-0
  cargo run -- diff failures/S4-word-count-late-offers-0/shrunk failures/S4-word-count-late-offers-0/shrunk@#1582+2
  cargo run -- diff word-count/swarm:7 word-count/swarm:7@leader-confirmed+3

Exit codes: 0 the very same run, 1 they differ, 2 not done.";

pub const SHRINK: &str = "\
Examples:
  cargo run --release -- shrink failures/S4-word-count-late-offers-0
  cargo run --release -- shrink failures/S4-word-count-late-offers-0 --for 15s

Exit codes: 0 a plan is kept that fails as the whole one does, smaller or as small as it was;
1 the failure is none any more; 2 not done, or not written; 130 ended by a signal, and the
smallest so far is kept.";

pub const QUERY: &str = "\
Examples:
  cargo run -- explore --sabotage old-offer-round-applied --runs runs.jsonl
  cargo run -- query S4
  cargo run -- query S4 --not-preceded-by loss --preceded-by delay
  cargo run -- query leader-revoked --not-followed-by leader-granted

Exit codes: 0 it is answered, 2 no such name in any run, or no file of runs.";

pub const ADD_REGRESSION: &str = "\
Examples:
  cargo run -- add-regression failures/S4-word-count-late-offers-0 late-answer
  cargo run -- add-regression failures/C4-swarm-7 early --description \"Told early.\"

Exit codes: 0 written, and it passes on this code; 1 or 3 written, and it still fails;
2 nothing is written.";

pub const SABOTAGE: &str = "\
Examples:
  cargo run --release -- sabotage
  cargo run -- sabotage old-offer-round-applied --seeds 200
  cargo run --release -- sabotage --seeds 2000 --json table.json

Exit codes: 0 every search found its bug by a check that is there for it, and the runs without
a switch were clean; 1 not so; 2 not done or not written; 130 ended by a signal, caught so far.";

pub const LIST: &str = "\
Examples:
  cargo run -- list
  cargo run -- list --faults disk
  cargo run -- list --milestones --json
  cargo run -- list --properties always

Exit codes: 0 all is listed, 2 a scenario can't be read, or nothing
has those words.";

pub const CHECK: &str = "\
Examples:
  cargo run -- check
  cargo run -- check scenarios/word-count/my-fault.toml
  cargo run -- check word-count/my-fault --plan 7

Exit codes: 0 every file is sound, 2 a file has a mistake.";

pub const NEW: &str = "\
Examples:
  cargo run -- new my-fault
  cargo run -- new word-count/my-fault

Exit codes: 0 the file is written, 2 nothing is written.";

pub const INIT: &str = "\
Examples:
  cargo run -- init ../my-system
  cargo run -- init ../my-job --job

Exit codes: 0 the crate is written, 2 nothing is written.";

pub const COVERAGE: &str = "\
Examples:
  bash .ci/coverage
  cargo run -- coverage lcov.info --page docs/coverage.md --seeds 0..2000

Exit codes: 0 it is told, 2 no such file, or the page could not be written.";

pub const DIGEST: &str = "\
Examples:
  cargo run -- digest --seeds 0..10
  cargo run -- digest word-count/swarm --seeds 7..8 --trace

Exit codes: 0 all is printed, 2 not done.";

pub const VERIFY_DETERMINISM: &str = "\
Examples:
  cargo run -- verify-determinism --seeds 0..10
  cargo run --release -- verify-determinism --against target/debug/wavetank

Exit codes: 0 equal digests and verdicts, 2 the processes can't be compared, 4 they differ,
130 ended by a signal, equal so far.";

pub const GRAPH: &str = "\
Examples:
  cargo run -- graph word-count
  cargo run -- graph word-count --parallelism 4 --format dot | dot -Tsvg > a.svg
  cargo run -- graph pipelines --format json

Exit codes: 0 told, 2 there is no such program, or it refuses its arguments.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_no_example_names_what_only_this_crate_has() {
        assert!(elsewhere(EXPLORE).starts_with("Examples:\n  cargo run -- explore\n"));
        assert!(elsewhere(RUN).starts_with("Exit codes: 0"), "{}", elsewhere(RUN));
        for text in [
            EXPLORE,
            RUN,
            REPLAY,
            SHRINK,
            ADD_REGRESSION,
            SABOTAGE,
            LIST,
            CHECK,
            NEW,
            DIGEST,
            GRAPH,
        ] {
            assert!(!elsewhere(text).contains("word-count"), "{}", elsewhere(text));
        }
    }
}
