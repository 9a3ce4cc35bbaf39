//! What a fault strikes in place of what it was for, when nothing of that came.

use super::{
    form::Form, kinds::FaultKind, links::LinkSpec, partition::PartitionSpec, targets::Targets,
};
use crate::{
    harness::system::{Disk, Role, Target},
    host::sim::DiskOp,
};

impl<F: Form<Number = u64>> FaultKind<F> {
    /// The same of every link and every message, of every disk and every operation.
    #[must_use]
    pub(in crate::harness) fn widened(&self) -> Self {
        let mut wide = self.clone();
        let first = |nth: &Option<u64>| nth.map(|_| 1);
        match &mut wide {
            FaultKind::Loss { links, .. }
            | FaultKind::Delay { links, .. }
            | FaultKind::Reorder { links, .. }
            | FaultKind::Duplicate { links, .. }
            | FaultKind::Corrupt { links, .. }
            | FaultKind::SlowLink { links, .. } => *links = every_link(),
            FaultKind::CutShort { links, nth, .. } | FaultKind::Hold { links, nth } => {
                (*links, *nth) = (every_link(), first(nth));
            }
            FaultKind::LoseOne { links, nth } => (*links, *nth) = (every_link(), 1),
            FaultKind::Partition { cut } => *cut = PartitionSpec::Halves,
            FaultKind::DiskError { target, operation, nth, .. } => {
                (*target, *operation, *nth) = (Targets::everyone(), DiskOp::Any, first(nth));
            }
            FaultKind::DiskSlow { target, operation, .. }
            | FaultKind::DiskStall { target, operation } => {
                (*target, *operation) = (Targets::everyone(), DiskOp::Any);
            }
            FaultKind::ServiceError { target, call, nth, .. } => {
                (*target, *call, *nth) = (Targets::everyone(), None, first(nth));
            }
            FaultKind::Own { fault, target } => {
                let of_role = fault.of_role().map(|role| Targets::from(Target::All(role)));
                *target = of_role.unwrap_or(Targets::everyone());
            }
            FaultKind::DiskFull { target, .. } | FaultKind::Swizzle { target, .. } => {
                *target = Targets::everyone();
            }
            _ => {}
        }
        wide
    }
}

impl<F: Form> FaultKind<F> {
    /// Whether it waits for something to come by, of which there may be more elsewhere; others strike
    /// processes, at their begin.
    pub(in crate::harness) fn can_widen(&self) -> bool {
        !matches!(
            self,
            FaultKind::Crash { .. }
                | FaultKind::PowerCut { .. }
                | FaultKind::WipeDisk { .. }
                | FaultKind::RollingRestart { .. }
                | FaultKind::Pause { .. }
                | FaultKind::CrashLoop { .. }
                | FaultKind::Slow { .. }
                | FaultKind::SlowStop { .. }
                | FaultKind::RestartAsNew { .. }
                | FaultKind::Clock { .. }
                | FaultKind::BitRot { .. }
                | FaultKind::DiskSetBack { .. }
                | FaultKind::OtherVersion { .. }
                | FaultKind::Quiet {}
                | FaultKind::Reset { .. }
        )
    }

    /// Whether it waits for operations of disks.
    pub(in crate::harness) fn is_of_disks(&self) -> bool {
        matches!(
            self,
            FaultKind::DiskError { .. }
                | FaultKind::DiskFull { .. }
                | FaultKind::DiskSlow { .. }
                | FaultKind::DiskStall { .. }
        )
    }

    /// Whether it can do anything to a node of that role.
    pub(in crate::harness) fn strikes_role(&self, role: Role) -> bool {
        let spec = role.spec();
        match self {
            FaultKind::WipeDisk { .. } => spec.disk != Disk::OnlyCopy,
            FaultKind::DiskError { .. }
            | FaultKind::DiskFull { .. }
            | FaultKind::DiskSlow { .. }
            | FaultKind::DiskStall { .. } => spec.disk != Disk::Nothing,
            FaultKind::ServiceError { .. } => spec.answers_errors,
            FaultKind::Own { fault, .. } => fault.strikes(Some(role)),
            _ => true,
        }
    }
}

fn every_link() -> LinkSpec {
    LinkSpec::between(Targets::everyone(), Targets::everyone())
}
