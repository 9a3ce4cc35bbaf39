//! The nodes of a cluster, those of its jobs aside.

use super::{
    jobs::spec::library, rest_reader::run_rest_reader_node, roles, settings::ClusterSettings,
};
use crate::{
    harness::system::{Node, Role},
    host::NodeAddress,
    system::{
        cluster::{
            ClusterConfig, PORT, run_coordination_node, run_job_manager_node, run_log_node,
            run_object_store_node, run_task_executor_node,
        },
        heartbeat::HeartbeatConfig,
    },
};

/// The port on which task executors listen for streams.
const DATA_PORT: u16 = 6122;

/// How the nodes of a cluster behave.
pub fn cluster_config(spec: &ClusterSettings) -> ClusterConfig {
    let address = |role: Role| NodeAddress::new(role.name().to_string(), PORT);
    let mut config = ClusterConfig::new(
        address(roles::COORDINATION),
        address(roles::OBJECT_STORE),
        address(roles::LOG),
    );
    config.coordination.session_timeout = spec.session_timeout.one();
    let heartbeat = HeartbeatConfig {
        interval: spec.heartbeat.one(),
        timeout: spec.heartbeat.one() * 5,
        unreachable_threshold: Some(2),
    };
    config.job_manager.heartbeat = heartbeat;
    config.task_executor.heartbeat = heartbeat;
    config.task_executor.slots = spec.slots.one();
    config.task_executor.task.buffer_timeout = spec.buffer_timeout.one();
    config.task_executor.task.service_time = spec.service_time.one();
    config
}

/// The nodes of a cluster; those of jobs come on top.
pub fn nodes(spec: &ClusterSettings, config: &ClusterConfig) -> Vec<Node> {
    let library = library();
    let mut nodes = vec![
        Node::one(roles::COORDINATION, |host| run_coordination_node(host, PORT)),
        Node::one(roles::OBJECT_STORE, |host| run_object_store_node(host, PORT)),
        Node::one(roles::LOG, |host| run_log_node(host, PORT)),
    ];
    for number in 1..=spec.job_managers.one() {
        let (config, library) = (config.clone(), library.clone());
        let main = move |host| run_job_manager_node(host, PORT, config.clone(), library.clone());
        nodes.push(Node::numbered(roles::JOB_MANAGER, number, main));
    }
    for number in 1..=spec.task_executors.one() {
        let (config, library) = (config.clone(), library.clone());
        let main = move |host| {
            run_task_executor_node(host, PORT, DATA_PORT, config.clone(), library.clone())
        };
        nodes.push(Node::numbered(roles::TASK_EXECUTOR, number, main));
    }
    let monitors: Vec<NodeAddress> = (1..=spec.job_managers.one())
        .map(|number| roles::JOB_MANAGER.node_name(Some(number)))
        .map(|name| NodeAddress::new(name, config.web_monitor.port))
        .collect();
    for number in 1..=spec.rest_readers.one() {
        let (config, monitors) = (config.clone(), monitors.clone());
        let main = move |host| run_rest_reader_node(host, number, config.clone(), monitors.clone());
        nodes.push(Node::numbered(roles::REST_READER, number, main));
    }
    nodes
}
