//! A simulated provider of machines: they come late, vanish, and come twice under one name.
//!
//! A provider and its machines are nodes. A machine tells the provider of itself again and again, and is told which
//! task executor is to run on it, if one is; when it is to run that no more its process ends, and the next one is
//! idle. The provider stands for what is outside of a cluster, so what it knows survives its process.

mod machine;
mod server;
mod state;

pub use machine::run_machine_node;
pub use server::{MACHINES, run_resource_provider_node};
pub use state::{ProviderSettings, ProviderState};

use crate::{
    gateway,
    host::Evidence,
    system::{
        ids::ResourceId, leadership::LeaderSessionId, service::resource_provider::WorkerSpec,
    },
};
use serde::{Deserialize, Serialize};

/// What a machine tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineBeat {
    /// Its node.
    pub machine: String,
    /// Which life of it.
    pub life: u128,
    /// The task executor that runs on it.
    pub running: Option<ResourceId>,
}

gateway! {
    /// Speaks to the provider of a machine.
    pub gateway MachinesGateway serves MachinesHandler {
        /// A machine tells of itself; answers which task executor is to run on it.
        ask beat(of: MachineBeat) -> Option<WorkerSpec>;
    }
}

/// An event of the provider: it says what is so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProviderEvent {
    /// So many workers were asked for, and are neither given back nor lost.
    Workers {
        /// How many.
        count: usize,
        /// The cluster has ended, as far as the provider was told.
        ended: bool,
    },
    /// A term of a resource manager has attached: it is obeyed from here on.
    Attached {
        /// The term.
        term: LeaderSessionId,
    },
    /// A machine is to run a task executor.
    Assigned {
        /// The machine.
        machine: String,
        /// The task executor.
        worker: ResourceId,
    },
}

crate::event!(ProviderEvent, |_| Evidence::Service);
