//! What all processes of a live cluster have in common.

use crate::{host::NodeAddress, system::cluster::ClusterConfig};
use std::time::Duration;

/// How long a leader that is killed leads on, unless something else is wanted.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// How a live cluster behaves whose services are there.
pub fn cluster_config(
    coordination: NodeAddress,
    objects: NodeAddress,
    log: NodeAddress,
) -> ClusterConfig {
    let mut config = ClusterConfig::new(coordination, objects, log);
    config.coordination.session_timeout = SESSION_TIMEOUT;
    config
}
