//! Where systems and the harness meet: one folder a system under test.

pub mod cluster;

use crate::harness::system::{RegisteredSystem, Systems};

/// The systems of this repository.
pub const SYSTEMS: Systems = Systems::new(&[RegisteredSystem::<cluster::Cluster>::ENTRY]);
