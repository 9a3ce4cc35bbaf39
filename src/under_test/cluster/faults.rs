//! The cluster's own kinds of faults: what its users do at the worst moment.

use super::roles;
use crate::{
    harness::system::{Guard, OwnFault},
    jobs::common::{CANCEL, SUBMIT},
};

/// All of them.
pub const ALL: &[OwnFault] = &[CANCEL_JOB, SUBMIT_AGAIN];

const CANCEL_JOB: OwnFault =
    OwnFault::new("cancel-job", "A client asks that its job is canceled.", |injector, node| {
        injector.note_met(u64::from(injector.world().enter_line(node, CANCEL)));
        Guard::nothing()
    })
    .of(roles::CLIENT)
    .at_once();

const SUBMIT_AGAIN: OwnFault = OwnFault::new(
    "submit-again",
    "A client submits the very same job once more.",
    |injector, node| {
        injector.note_met(u64::from(injector.world().enter_line(node, SUBMIT)));
        Guard::nothing()
    },
)
.of(roles::CLIENT)
.at_once();
