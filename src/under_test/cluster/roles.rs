//! The roles of a cluster's nodes, and the targets that only its state tells.

use super::{model::Model, provider::MachinesGateway};
use crate::{
    harness::system::{Disk, Role, RoleSpec, StateTarget},
    host::sim::NodeId,
    system::{
        ids::JobId,
        protocol::{
            DISPATCHER, DispatcherGateway, JobMasterGateway, RESOURCE_MANAGER,
            ResourceManagerGateway, TaskExecutorGateway, WEB_MONITOR, component_job,
        },
        rpc::Gateway,
        service::{
            coordination::CoordinationGateway, database::DatabaseGateway, log::LogGateway,
            object_store::BlobGateway, resource_provider::ResourceProviderGateway,
        },
    },
};

/// The coordination server.
pub const COORDINATION: Role = Role::new(
    const {
        &RoleSpec::one("coordination", "coordination server")
            .with_disk(Disk::OnlyCopy)
            .answering_errors()
            .serving(const { &[CoordinationGateway::PROTOCOL.name] })
    },
);
/// The object store.
pub const OBJECT_STORE: Role = Role::new(
    const {
        &RoleSpec::one("blobs", "object store")
            .with_disk(Disk::OnlyCopy)
            .answering_errors()
            .serving(const { &[BlobGateway::PROTOCOL.name] })
    },
);
/// The log server.
pub const LOG: Role = Role::new(
    const {
        &RoleSpec::one("log", "log server")
            .with_disk(Disk::OnlyCopy)
            .answering_errors()
            .serving(const { &[LogGateway::PROTOCOL.name] })
    },
);
/// The database server of jobs that write to one.
pub const DATABASE: Role = Role::new(
    const {
        &RoleSpec::one("database", "database server")
            .with_disk(Disk::OnlyCopy)
            .answering_errors()
            .serving(const { &[DatabaseGateway::PROTOCOL.name] })
    },
);
/// The job managers.
pub const JOB_MANAGER: Role = Role::new(
    const {
        &RoleSpec::some("job-manager", "job-managers", "job manager").replaceable().serving(
            const {
                &[
                    DispatcherGateway::PROTOCOL.name,
                    ResourceManagerGateway::PROTOCOL.name,
                    JobMasterGateway::PROTOCOL.name,
                ]
            },
        )
    },
);
/// The task executors.
pub const TASK_EXECUTOR: Role = Role::new(
    const {
        &RoleSpec::some("task-executor", "task-executors", "task executor")
            .replaceable()
            .serving(const { &[TaskExecutorGateway::PROTOCOL.name] })
    },
);
/// Who gives a cluster machines.
pub const RESOURCE_PROVIDER: Role = Role::new(
    const {
        &RoleSpec::one("resource-provider", "provider of machines").serving(
            const { &[ResourceProviderGateway::PROTOCOL.name, MachinesGateway::PROTOCOL.name] },
        )
    },
);
/// The writers of the jobs' input topics.
pub const WRITER: Role =
    Role::new(const { &RoleSpec::some("writer", "writers", "writer of a job's input") });
/// The clients that submit jobs.
pub const CLIENT: Role = Role::new(const { &RoleSpec::some("client", "clients", "client") });
/// Those who ask web monitors how far jobs are.
pub const REST_READER: Role =
    Role::new(const { &RoleSpec::some("rest-reader", "rest-readers", "reader of REST") });

/// The front ends of services.
pub const FRONT_END: Role =
    Role::new(const { &RoleSpec::some("front-end", "front-ends", "front end of a service") });
/// Those who ask services.
pub const CALLER: Role =
    Role::new(const { &RoleSpec::some("caller", "callers", "caller of a service") });

/// All of them.
pub const ALL: &[Role] = &[
    COORDINATION,
    OBJECT_STORE,
    LOG,
    JOB_MANAGER,
    TASK_EXECUTOR,
    RESOURCE_PROVIDER,
    WRITER,
    CLIENT,
    REST_READER,
    DATABASE,
    FRONT_END,
    CALLER,
];

/// The targets that the state of the cluster tells.
pub const STATE_TARGETS: &[StateTarget<Model>] = &[
    StateTarget {
        name: "leader-dispatcher",
        is_numbered: false,
        meaning: "the job manager whose dispatcher leads, else a random one",
        role: JOB_MANAGER,
        or_any: true,
        find: |model, _, nodes| those(model.leader(DISPATCHER), nodes),
    },
    StateTarget {
        name: "leader-resource-manager",
        is_numbered: false,
        meaning: "the job manager whose resource manager leads, else a random one",
        role: JOB_MANAGER,
        or_any: true,
        find: |model, _, nodes| those(model.leader(RESOURCE_MANAGER), nodes),
    },
    StateTarget {
        name: "leader-web-monitor",
        is_numbered: false,
        meaning: "the job manager whose web monitor leads, else a random one",
        role: JOB_MANAGER,
        or_any: true,
        find: |model, _, nodes| those(model.leader(WEB_MONITOR), nodes),
    },
    StateTarget {
        name: "job-master",
        is_numbered: false,
        meaning: "the job manager on which a job's master leads, else a random one",
        role: JOB_MANAGER,
        or_any: true,
        find: |model, _, nodes| those(job_master(model), nodes),
    },
    StateTarget {
        name: "busy-task-executor",
        is_numbered: false,
        meaning: "a random task executor that holds a slot for a job, else any",
        role: TASK_EXECUTOR,
        or_any: true,
        find: |model, _, nodes| {
            let is_busy = |node: &NodeId| model.slots.keys().any(|((of, _), _)| of == node);
            nodes.iter().copied().filter(is_busy).collect()
        },
    },
    StateTarget {
        name: "subtask",
        is_numbered: true,
        meaning: "the task executor where a job's subtasks of that number run, else a random one",
        role: TASK_EXECUTOR,
        or_any: true,
        find: |model, number, nodes| {
            let here = |(job, subtask): &(JobId, u32)| {
                *subtask + 1 == number && model.running.contains_key(job)
            };
            let found = model.placed.iter().find(|(key, _)| here(key)).map(|(_, node)| *node);
            those(found, nodes)
        },
    },
];

/// A node, if it is among these.
fn those(found: Option<NodeId>, nodes: &[NodeId]) -> Vec<NodeId> {
    found.into_iter().filter(|node| nodes.contains(node)).collect()
}

/// The node on which the master of the first job leads.
fn job_master(model: &Model) -> Option<NodeId> {
    let components = model.granted.keys().map(|(_, component)| component);
    let mut jobs = components.filter(|component| component_job(component).is_some());
    jobs.find_map(|component| model.leader(component))
}
