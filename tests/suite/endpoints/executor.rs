//! A task executor between a resource manager and masters that are stubs.

use super::{
    bench::{Bench, PORT, bench, coordination, service},
    stubs::{Manager, Master, Shared, StubManager, StubMaster},
};
use crate::leadership::ms;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use wavetank::{
    host::NodeAddress,
    system::{
        dataflow::Programs,
        heartbeat::{Beat, HeartbeatSession},
        ids::{AllocationId, InstanceId, JobId, ResourceId, TaskExecutorSession},
        leadership::LeaderSessionId,
        protocol::{
            MasterReport, RESOURCE_MANAGER, SlotDemand, SlotRefusal, TASK_EXECUTOR,
            TaskExecutorGateway, TaskExecutorInfo, job_component,
        },
        rpc::{RpcAddress, RpcServer},
        service::{
            Services,
            database::{DatabaseOpener, NoDatabases},
            log::{LogClient, LogConfig},
            object_store::{ObjectStoreClient, ObjectStoreConfig},
        },
        task_executor::{
            ShuffleEnvironment, TaskExecutor, TaskExecutorConfig, TaskExecutorServices,
        },
    },
};

const JOB: JobId = JobId(7 << 96);
const OTHER: JobId = JobId(8 << 96);
const TERM: LeaderSessionId = LeaderSessionId(1);

/// What masters tell in their beats; those that are not here are silent.
type Reports = Arc<Mutex<BTreeMap<JobId, (Shared<Master>, MasterReport)>>>;

/// A task executor of two slots, registered at a resource manager that beats.
struct Tried {
    bench: Bench,
    manager: Shared<Manager>,
    executor: RpcServer<TaskExecutor>,
    gateway: TaskExecutorGateway,
    reports: Reports,
}

fn tried(manager: Manager, body: impl AsyncFnOnce(Tried) + Send + 'static) {
    bench(async move |bench| {
        let shared = Shared::<Manager>::default();
        *shared.now() = manager;
        bench.lead(RESOURCE_MANAGER, TERM.0, StubManager(shared.clone())).await;
        let executor = start(&bench).await;
        let gateway: TaskExecutorGateway =
            bench.service.connect(executor.address()).await.expect("it serves");
        let tried =
            Tried { bench, manager: shared, executor, gateway, reports: Reports::default() };
        tried.beat();
        tried.bench.settle().await;
        body(tried).await;
    });
}

async fn start(bench: &Bench) -> RpcServer<TaskExecutor> {
    let service = service(&bench.world, "executor").await;
    let exchange = ShuffleEnvironment::start(service.host(), PORT + 1).await.expect("a free port");
    let info = TaskExecutorInfo {
        resource: ResourceId("executor".to_string()),
        session: TaskExecutorSession(1),
        address: RpcAddress::new(service.address().clone(), TASK_EXECUTOR),
        data: exchange.address().clone(),
    };
    let store = ObjectStoreConfig::new(NodeAddress::new("blobs", PORT));
    let services = TaskExecutorServices {
        config: Arc::new(TaskExecutorConfig::default()),
        services: Services {
            coordination: coordination(&service),
            objects: Arc::new(ObjectStoreClient::new(&service, store)),
            log: Arc::new(LogClient::new(&service, LogConfig::new(NodeAddress::new("log", PORT)))),
            databases: DatabaseOpener::new(&service, Arc::new(NoDatabases)),
        },
        programs: Programs::new(),
        exchange,
    };
    let executor = service.start_server(TASK_EXECUTOR, TaskExecutor::new(services, info));
    let executor = executor.expect("a free name");
    executor.start();
    executor
}

impl Tried {
    /// Each second the stubs ask for a beat.
    fn beat(&self) {
        let (host, gateway) = (self.bench.service.host().clone(), self.gateway.clone());
        let (manager, reports) = (self.manager.clone(), self.reports.clone());
        self.bench.service.host().spawn(async move {
            loop {
                host.sleep(ms(1000)).await;
                let session = HeartbeatSession(manager.now().instance().0);
                let beat = Beat { origin: RESOURCE_MANAGER.to_string(), session, payload: () };
                let _ = gateway.heartbeat_from_resource_manager(beat).await;
                let masters = reports.lock().unwrap().clone();
                for (job, (master, report)) in masters {
                    let session = master.now().connection();
                    let beat = Beat { origin: job_component(job), session, payload: report };
                    let _ = gateway.heartbeat_from_job_master(beat).await;
                }
            }
        });
    }

    async fn request(&self, index: u32, job: JobId, allocation: u128) -> Result<u64, SlotRefusal> {
        let (instance, allocation) = (self.manager.now().instance(), AllocationId(allocation));
        let demand = SlotDemand { resource_manager: TERM, instance, index, job, allocation };
        self.gateway.request_slot(demand).await.expect("it answers")
    }

    /// A job has a master that beats, and lists in its beats these slots of the newest round that it answered.
    async fn master(&self, job: JobId, master: Master) -> Shared<Master> {
        let shared = Shared::<Master>::default();
        *shared.now() = master;
        self.bench.lead(&job_component(job), 1, StubMaster(shared.clone())).await;
        shared
    }

    fn lists(&self, job: JobId, master: &Shared<Master>, round: u64, slots: &[u128]) {
        let allocations = slots.iter().map(|id| AllocationId(*id)).collect();
        let report = MasterReport { round, allocations, completed: None };
        self.reports.lock().unwrap().insert(job, (master.clone(), report));
    }

    fn held(&self) -> Vec<Option<u128>> {
        self.manager.now().held().into_iter().map(|held| held.map(|id| id.0)).collect()
    }
}

#[test]
fn a_request_of_another_manager_or_registration_is_refused() {
    tried(Manager::default(), async |tried| {
        let instance = tried.manager.now().instance();
        for (term, instance) in
            [(LeaderSessionId(2), instance), (TERM, InstanceId(9)), (TERM, InstanceId(0))]
        {
            let (index, job, allocation) = (0, JOB, AllocationId(5));
            let demand = SlotDemand { resource_manager: term, instance, index, job, allocation };
            let answer = tried.gateway.request_slot(demand).await;
            assert_eq!(answer, Ok(Err(SlotRefusal::NotRegistered)));
        }
        assert!(tried.request(0, JOB, 5).await.is_ok());
        assert_eq!(tried.request(0, JOB, 6).await, Err(SlotRefusal::Occupied(AllocationId(5))));
        assert!(tried.request(0, JOB, 5).await.is_ok(), "the same again");
        assert_eq!(tried.request(2, JOB, 6).await, Err(SlotRefusal::NoSuchSlot(2)));
    });
}

#[test]
fn who_is_told_that_it_was_dropped_registers_anew_at_once() {
    tried(Manager::default(), async |tried| {
        let instance = tried.manager.now().instance();
        let dropped = |term, instance| {
            tried.gateway.disconnect_resource_manager(term, instance, "silence".to_string());
        };
        dropped(LeaderSessionId(9), instance);
        dropped(TERM, InstanceId(9));
        tried.bench.settle().await;
        assert_eq!(tried.manager.now().executors.len(), 1, "that is none of its registrations");
        dropped(TERM, instance);
        tried.bench.settle().await;
        assert_eq!(tried.manager.now().executors.len(), 2);
        assert_eq!(tried.held(), [None, None]);
    });
}

#[test]
fn a_first_report_that_is_lost_is_made_up_for_by_a_beat() {
    let manager = Manager { loses_reports: 1, ..Manager::default() };
    tried(manager, async |tried| {
        assert_eq!(tried.manager.now().reports.len(), 0);
        tried.bench.world.sleep(ms(1000)).await;
        assert!(!tried.manager.now().beats.is_empty());
        assert_eq!(tried.held(), [None, None]);
    });
}

#[test]
fn what_a_master_refuses_is_free_at_once_and_the_manager_is_told() {
    tried(Manager::default(), async |tried| {
        tried.request(0, JOB, 5).await.unwrap();
        tried.request(1, JOB, 6).await.unwrap();
        let takes = Some(vec![AllocationId(6)]);
        let master = tried.master(JOB, Master { takes, ..Master::default() }).await;
        tried.bench.settle().await;
        let offered = master.now().offers[0].clone();
        assert_eq!(offered.slots.len(), 2, "all of them in one round");
        assert_eq!(tried.held(), [None, Some(6)]);
        tried.lists(JOB, &master, offered.round, &[6]);
        tried.bench.world.sleep(ms(12_000)).await;
        assert_eq!(tried.held(), [None, Some(6)], "what is taken stays");
    });
}

#[test]
fn rounds_of_one_job_do_not_outdate_those_of_another() {
    tried(Manager::default(), async |tried| {
        let (first, second) = (
            tried.master(JOB, Master::default()).await,
            tried.master(OTHER, Master::default()).await,
        );
        tried.request(0, JOB, 5).await.unwrap();
        tried.request(1, OTHER, 6).await.unwrap();
        tried.bench.settle().await;
        // The newest round is the other job's; the answer to this one counts all the same.
        for (job, master, slot) in [(JOB, &first, 5), (OTHER, &second, 6)] {
            let round = master.now().offers.last().expect("an offer").round;
            tried.lists(job, master, round, &[slot]);
        }
        tried.bench.world.sleep(ms(12_000)).await;
        assert_eq!(tried.held(), [Some(5), Some(6)], "both are active, or their time had come");
        assert_eq!((first.now().offers.len(), second.now().offers.len()), (1, 1));
    });
}

#[test]
fn an_offer_without_an_answer_is_made_again() {
    tried(Manager::default(), async |tried| {
        tried.request(0, JOB, 5).await.unwrap();
        let master = tried.master(JOB, Master { fails_offers: 2, ..Master::default() }).await;
        tried.bench.settle().await;
        let rounds: Vec<u64> = master.now().offers.iter().map(|offered| offered.round).collect();
        assert_eq!(rounds.len(), 3);
        assert!(rounds.is_sorted_by(|a, b| a < b), "{rounds:?}");
        tried.lists(JOB, &master, rounds[2], &[5]);
        tried.bench.world.sleep(ms(12_000)).await;
        assert_eq!((tried.held(), master.now().offers.len()), (vec![Some(5), None], 3));
    });
}

#[test]
fn a_slot_that_no_master_takes_is_given_back_after_its_time_and_a_new_hold_has_its_own() {
    tried(Manager::default(), async |tried| {
        tried.request(0, JOB, 5).await.unwrap();
        tried.bench.world.sleep(ms(8_000)).await;
        assert_eq!(tried.held(), [Some(5), None]);
        let takes = Some(vec![]);
        tried.master(JOB, Master { takes, ..Master::default() }).await;
        tried.bench.settle().await;
        assert_eq!(tried.held(), [None, None], "it is refused");
        tried.request(0, OTHER, 6).await.unwrap();
        tried.bench.world.sleep(ms(5_000)).await;
        assert_eq!(tried.held(), [Some(6), None], "the time of the former hold means nothing");
        tried.bench.world.sleep(ms(7_000)).await;
        assert_eq!(tried.held(), [None, None]);
    });
}

#[test]
fn with_its_last_slot_a_job_leaves_and_its_master_is_told() {
    tried(Manager::default(), async |tried| {
        let master = tried.master(JOB, Master::default()).await;
        tried.request(0, JOB, 5).await.unwrap();
        tried.bench.settle().await;
        let connection = master.now().connection();
        let round = master.now().offers.last().expect("an offer").round;
        tried.lists(JOB, &master, round, &[]);
        tried.bench.world.sleep(ms(1500)).await;
        assert_eq!(tried.held(), [None, None], "what the master does not list is freed");
        assert_eq!(master.now().left, [connection]);
        // Nothing follows the job any more: another leader of it hears nothing.
        tried.reports.lock().unwrap().clear();
        let (next, before) = (Shared::<Master>::default(), master.now().executors.len());
        tried.bench.lead(&job_component(JOB), 2, StubMaster(next.clone())).await;
        tried.bench.world.sleep(ms(7_000)).await;
        assert_eq!((next.now().executors.len(), master.now().executors.len()), (0, before));
    });
}

#[test]
fn an_older_list_of_a_master_frees_nothing_that_was_offered_since() {
    tried(Manager::default(), async |tried| {
        let master = tried.master(JOB, Master::default()).await;
        tried.request(0, JOB, 5).await.unwrap();
        tried.bench.settle().await;
        let first = master.now().offers.last().expect("an offer").round;
        tried.request(1, JOB, 6).await.unwrap();
        tried.bench.settle().await;
        assert_eq!(master.now().offers.len(), 2);
        tried.lists(JOB, &master, first, &[]);
        tried.bench.world.sleep(ms(3000)).await;
        assert_eq!(tried.held(), [Some(5), Some(6)]);
    });
}

#[test]
fn a_master_that_rejects_for_good_frees_everything_of_its_job() {
    tried(Manager::default(), async |tried| {
        tried.request(0, JOB, 5).await.unwrap();
        tried.request(1, OTHER, 6).await.unwrap();
        let master = tried.master(JOB, Master { rejects: true, ..Master::default() }).await;
        tried.bench.settle().await;
        assert_eq!(tried.held(), [None, Some(6)], "at once, and nothing of another job");
        assert_eq!(master.now().executors.len(), 1, "it is not asked again");
    });
}

#[test]
fn a_master_that_ends_the_connection_is_registered_at_anew_and_one_of_before_says_nothing() {
    tried(Manager::default(), async |tried| {
        let master = tried.master(JOB, Master::default()).await;
        tried.request(0, JOB, 5).await.unwrap();
        tried.bench.settle().await;
        let gone = |connection| {
            tried.gateway.disconnect_job_master(JOB, connection, "enough".to_string());
        };
        gone(HeartbeatSession(9));
        tried.bench.settle().await;
        assert_eq!(master.now().executors.len(), 1);
        let present = master.now().connection();
        gone(present);
        tried.bench.settle().await;
        assert_eq!(master.now().executors.len(), 2);
        assert_eq!(master.now().offers.len(), 2, "its slot is offered anew");
    });
}

#[test]
fn one_that_shuts_down_says_so_to_the_manager_and_to_its_masters() {
    tried(Manager::default(), async |tried| {
        let master = tried.master(JOB, Master::default()).await;
        tried.request(0, JOB, 5).await.unwrap();
        tried.bench.settle().await;
        let (instance, connection) = (tried.manager.now().instance(), master.now().connection());
        tried.executor.terminate();
        assert_eq!(tried.executor.termination().await, Ok(()));
        tried.bench.settle().await;
        assert_eq!(tried.manager.now().left, [instance]);
        assert_eq!(master.now().left, [connection]);
    });
}
