//! A job manager's process between stubs: what its parts do that a whole cluster would bear not to be done.

use super::{
    bench::{Bench, PORT, bench},
    stubs::{Manager, Master, Shared, StubManager, StubMaster, nobody},
};
use crate::{
    cluster::{JOB, generator, job},
    leadership::ms,
};
use std::time::Duration;
use wavetank::{
    host::{NodeAddress, sim::NodeId},
    jobs::shipped,
    system::{
        client::JobClient,
        cluster::{ClusterConfig, run_job_manager_node, run_object_store_node},
        heartbeat::Beat,
        ids::{CheckpointId, JobId},
        leadership::{LeaderFollower, LeaderSessionId},
        protocol::{
            JobMasterGateway, RESOURCE_MANAGER, RegistrationRefusal, ResourceManagerGateway,
            job_component,
        },
        rpc::{Gateway, RpcAddress},
        service::coordination::{Change, Transaction},
        store::{graph_key, pointer_key},
    },
};

/// Boots a job manager and an object store; its log is nowhere.
fn boot(bench: &Bench) -> NodeId {
    bench.world.boot(bench.world.add_node("blobs"), |host| run_object_store_node(host, PORT));
    let address = |name: &str| NodeAddress::new(name, PORT);
    let config = ClusterConfig::new(address("server"), address("blobs"), address("log"));
    let manager = bench.world.add_node("manager");
    let run = |host| run_job_manager_node(host, PORT, config, shipped().programs());
    bench.world.boot(manager, run);
    manager
}

#[test]
fn what_can_not_be_recovered_ends_the_process_and_is_not_forgotten() {
    bench(async |bench| {
        bench.put(graph_key(JOB), b"nonsense".to_vec()).await;
        let manager = boot(&bench);
        bench.world.sleep(ms(3000)).await;
        assert!(!bench.world.is_running(manager), "a job that can't be read must not be forgotten");
    });
}

#[test]
fn a_master_that_can_not_be_called_back_is_refused_for_now() {
    bench(async |bench| {
        boot(&bench);
        let shared = Shared::<Master>::default();
        bench.lead(&job_component(JOB), 5, StubMaster(shared)).await;
        let leader = LeaderFollower::new(&bench.coordination, RESOURCE_MANAGER).leader().await;
        let manager: ResourceManagerGateway =
            leader.connect(&bench.service).await.expect("it serves");
        let manager = manager.with_timeout(Duration::from_secs(20));
        let session = LeaderSessionId(5);
        let answer = manager.register_job_master(JOB, session, nobody(), 1).await;
        assert!(matches!(answer, Ok(Err(RegistrationRefusal::Failure(_)))), "{answer:?}");
        let name = format!("{}-5", job_component(JOB));
        let address = RpcAddress::new(bench.service.address().clone(), &name);
        let answer = manager.register_job_master(JOB, session, address.clone(), 2).await;
        assert!(matches!(answer, Ok(Ok(_))), "{answer:?}");
        let other = LeaderSessionId(6);
        let answer = manager.register_job_master(JOB, other, address, 3).await;
        assert!(matches!(answer, Ok(Err(_))), "not of its job's present term: {answer:?}");
    });
}

/// A job's master, and the resource manager that it is registered at.
async fn registered(bench: &Bench) -> (Shared<Manager>, JobMasterGateway) {
    let manager = Shared::<Manager>::default();
    bench.lead(RESOURCE_MANAGER, 1, StubManager(manager.clone())).await;
    boot(bench);
    let client = JobClient::new(&bench.service, &bench.coordination);
    client.submit(&job(JOB, generator(100, 1))).await.expect("a new job");
    bench.settle().await;
    let (session, address) = manager.now().masters[0].clone();
    let gateway = bench.service.connect_fenced(&address, session.token()).await;
    (manager, gateway.expect("it serves"))
}

#[test]
fn a_silent_resource_manager_is_connected_to_anew_also_the_same_one() {
    bench(async |bench| {
        let (manager, master) = registered(&bench).await;
        for _ in 0..8 {
            let (origin, session) = (RESOURCE_MANAGER.to_string(), manager.now().connection());
            let beat = Beat { origin, session, payload: () };
            master.heartbeat_from_resource_manager(beat).await.expect("it lives");
            bench.world.sleep(ms(1000)).await;
        }
        assert_eq!(manager.now().masters.len(), 1, "who beats is heard");
        bench.world.sleep(ms(6000)).await;
        assert_eq!(manager.now().masters.len(), 2);
        assert_eq!(manager.now().declared, [2, 2], "what it needs is told anew");
    });
}

#[test]
fn a_resource_manager_that_has_forgotten_the_master_is_registered_at_again() {
    bench(async |bench| {
        let manager = Shared::<Manager>::default();
        manager.now().forgets_master = true;
        bench.lead(RESOURCE_MANAGER, 1, StubManager(manager.clone())).await;
        boot(&bench);
        let client = JobClient::new(&bench.service, &bench.coordination);
        client.submit(&job(JOB, generator(100, 1))).await.expect("a new job");
        bench.world.sleep(ms(2000)).await;
        assert_eq!(manager.now().masters.len(), 2, "not by its silence, which takes longer");
        assert_eq!(manager.now().declared, [2, 2]);
    });
}

#[test]
fn checkpoints_that_can_not_be_read_hold_up_their_job_alone_and_are_tried_again() {
    bench(async |bench| {
        let manager = Shared::<Manager>::default();
        bench.lead(RESOURCE_MANAGER, 1, StubManager(manager.clone())).await;
        let pointer = pointer_key(JOB, CheckpointId(1));
        bench.put(pointer.clone(), vec![0xff; 3]).await;
        let process = boot(&bench);
        let client = JobClient::new(&bench.service, &bench.coordination);
        let other = JobId(0xdef << 96);
        for id in [JOB, other] {
            client.submit(&job(id, generator(100, 1))).await.expect("a new job");
        }
        bench.world.sleep(ms(3000)).await;
        assert!(bench.world.is_running(process));
        assert_eq!(manager.now().masters.len(), 1, "the other job's");
        let told = client.details(JOB).await.expect("it is known");
        assert!(told.cause.is_some_and(|cause| cause.contains(&pointer)), "it says what is wrong");
        let mend = Transaction::new().then(Change::Delete { key: pointer });
        bench.coordination.transact(mend).await.expect("no condition");
        bench.world.sleep(ms(5000)).await;
        assert!(manager.now().masters.len() >= 2, "it goes on once that is mended");
    });
}
