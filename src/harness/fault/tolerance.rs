//! Which faults the cluster survives on which node: what every promise rests on, in one place.
//!
//! | fault | servers that hold the only copy of what was promised | everybody else |
//! | --- | --- | --- |
//! | of links; a process ends or stands still; a clock | survived | survived |
//! | unsynced changes are lost or torn | survived | survived |
//! | an operation of the disk fails, or takes its time | survived: the server stops and recovers | survived |
//! | the disk is empty or an old one, or bits of it flip | **not survived** | survived |

use super::{form::Form, kinds::FaultKind};
use crate::harness::system::{Disk, Role};

impl<F: Form> FaultKind<F> {
    /// Whether the cluster keeps all its promises, and converges, after this fault of a node.
    ///
    /// What is not survived may leave the cluster stuck; it never makes it lie.
    pub fn is_survived_on(&self, role: Role) -> bool {
        !(self.harms_for_good() && role.spec().disk == Disk::OnlyCopy)
    }

    /// Whether what it does to a disk outlasts the fault.
    pub fn harms_for_good(&self) -> bool {
        matches!(
            self,
            FaultKind::WipeDisk { .. } | FaultKind::BitRot { .. } | FaultKind::DiskSetBack { .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{fault::Targets, system::RoleSpec};

    #[test]
    fn only_the_disks_of_only_copies_are_beyond_replacement() {
        const KEEPER: Role =
            Role::new(const { &RoleSpec::one("log", "log").with_disk(Disk::OnlyCopy) });
        const CACHE: Role =
            Role::new(const { &RoleSpec::one("cache", "cache").with_disk(Disk::Copies) });
        const CLIENT: Role = Role::new(const { &RoleSpec::one("client", "client") });
        let wipe: FaultKind = FaultKind::WipeDisk { target: Targets::everyone() };
        let crash: FaultKind = FaultKind::Crash { target: Targets::everyone() };
        for role in [KEEPER, CACHE, CLIENT] {
            assert!(crash.is_survived_on(role), "{role:?}");
            assert_eq!(wipe.is_survived_on(role), role != KEEPER, "{role:?}");
        }
    }
}
