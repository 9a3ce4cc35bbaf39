//! What a person types: the end of each command's help.

pub const RUN: &str = "\
Examples:
  cargo run -- run word-count/executor-power-cut --seed 7
  cargo run -- run word-count/swarm --seed 7 --input README.md --counts counts.txt
  cargo run -- run journal/flapping --seed 7 --log wavetank=debug";

pub const EXPLORE: &str = "\
Examples:
  cargo run -- explore
  cargo run --release -- explore word-count/swarm --for 10m
  cargo run --release -- explore --until-failure --for 8h
  cargo run -- explore --seeds 0..1000 --json sweep.json";

pub const REPLAY: &str = "\
Examples:
  cargo run -- replay failures/L2-journal-held-appends-0
  cargo run -- replay failures/L2-journal-held-appends-0 --log wavetank=debug
  cargo run -- replay failures/L2-journal-held-appends-0 --schedules 200

Exit codes: 0 held under every schedule, 1 an invariant broke, 2 stale or no failure folder,
3 no convergence.";

pub const KEEP: &str = "\
Examples:
  cargo run -- keep failures/L2-journal-held-appends-0 late-append
  cargo run -- keep failures/L2-journal-held-appends-0 late --description \"It arrives late.\"";

pub const SABOTAGE: &str = "\
Examples:
  cargo run --release -- sabotage
  cargo run -- sabotage stale-token-accepted --seeds 200
  cargo run --release -- sabotage --seeds 2000 --json table.json";

pub const LIST: &str = "\
Examples:
  cargo run -- list
  cargo run -- list --faults
  cargo run -- list --milestones --json";

pub const CHECK: &str = "\
Examples:
  cargo run -- check
  cargo run -- check scenarios/word-count/my-fault.toml
  cargo run -- check word-count/my-fault --plan 7";

pub const NEW: &str = "\
Examples:
  cargo run -- new my-fault
  cargo run -- new journal/my-fault";

pub const DETERMINISM: &str = "\
Examples:
  cargo run -- determinism --seeds 0..10
  cargo run --release -- determinism --against target/debug/wavetank";
