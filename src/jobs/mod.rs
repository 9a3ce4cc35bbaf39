//! Components and jobs written only against the public API of the layers below.

use crate::system::dataflow::Programs;

pub mod common;
pub mod hello;
pub mod pipelines;
pub mod word_count;

/// The programs of this crate.
pub fn programs() -> Programs {
    let failed = common::FailedAttempts::default();
    Programs::new().with(word_count::program(&failed)).with(pipelines::program(&failed))
}
