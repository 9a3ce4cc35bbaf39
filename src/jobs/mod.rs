//! Components and jobs written only against the public API of the layers below.

use crate::system::dataflow::Programs;

pub mod click_sessions;
pub mod common;
pub mod hello;
pub mod pipelines;
pub mod word_count;

/// The programs of this crate.
pub fn programs() -> Programs {
    let failed = common::FailedAttempts::default();
    let shipped = [word_count::program, pipelines::program, click_sessions::program];
    shipped.iter().fold(Programs::new(), |programs, program| programs.with(program(&failed)))
}
