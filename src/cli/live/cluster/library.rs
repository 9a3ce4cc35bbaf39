//! What jobs may name in this binary.

use crate::{
    jobs::{pipelines, word_count},
    system::{
        cluster::OperatorLibrary, connector, service::Services, task_executor::OperatorRegistry,
    },
};
use std::sync::Arc;

/// The operators of this binary: the connectors, and those of its jobs.
pub fn library() -> OperatorLibrary {
    Arc::new(|services: &Services| {
        let registry =
            connector::register(OperatorRegistry::new(), &services.log, &services.objects);
        pipelines::register(word_count::register(registry))
    })
}
