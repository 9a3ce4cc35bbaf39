//! What a person types: the end of each command's help.

pub const RUN: &str = "\
Examples:
  cargo run -- run word-count/executor-power-cut --seed 7
  cargo run -- run word-count/swarm --seed 7 --input README.md --counts counts.txt
  cargo run -- run journal/flapping --seed 7 --log wavetank=debug";

pub const EXPLORE: &str = "\
Examples:
  cargo run -- explore --seeds 0..100
  cargo run --release -- explore word-count/swarm --seeds 0..5000
  cargo run -- explore --seeds 0..1000 --sabotage stale-token-accepted --until-failure";

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
