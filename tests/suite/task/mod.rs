//! Tasks and their exchange, shown in simulation through the public API alone.
mod alignment;
mod checkpoints;
mod cluster;
mod cut;
mod failure;
mod operators;
mod pipeline;
mod record;
mod windows;

use std::time::Duration;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
