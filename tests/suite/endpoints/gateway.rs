//! The way to whoever leads, while that changes.

use super::{
    bench::{Bench, PORT, bench, coordination, service},
    stubs::{Manager, Shared, StubManager},
};
use crate::leadership::ms;
use wavetank::{
    host::sim::{LinkEffect, LinkRule, NodeSet},
    system::{
        leadership::{
            LeaderAddress, LeaderGateway, LeaderInformation, LeaderSessionId, leader_key,
        },
        protocol::{RESOURCE_MANAGER, ResourceManagerGateway},
        rpc::{Gateway, RpcAddress},
        service::coordination::{Change, Transaction},
    },
};

/// A leader of whom nobody hears: all that goes to its machine is lost.
async fn silent_leader(bench: &Bench, session: u128) {
    let silent = service(&bench.world, "silent").await;
    let to = NodeSet::one(bench.world.find("silent").expect("it was added"));
    let effect = LinkEffect::Cut;
    bench.world.add_rule(LinkRule { from: NodeSet::All, to, kind: None, nth: None, effect });
    let address = RpcAddress::new(silent.address().clone(), RESOURCE_MANAGER);
    let (session, address) = (LeaderSessionId(session), LeaderAddress::Rpc(address));
    let record = postcard::to_allocvec(&LeaderInformation { session, address });
    bench.put(leader_key(RESOURCE_MANAGER), record.expect("it can be encoded")).await;
}

#[test]
fn nobody_waits_for_a_former_leader_once_another_is_known() {
    bench(async |bench| {
        silent_leader(&bench, 1).await;
        let asker = service(&bench.world, "asker").await;
        let way: LeaderGateway<ResourceManagerGateway> =
            LeaderGateway::new(&asker, &coordination(&asker), RESOURCE_MANAGER);
        let way = way.with_times(ms(60_000), ms(500));
        let host = asker.host().clone();
        let (told, found) = futures::channel::oneshot::channel();
        host.spawn(async move {
            let gateway = way.gateway().await;
            let _ = told.send((gateway.task_executors().await, way.gateway().await));
        });
        bench.world.sleep(ms(1000)).await;
        let manager = Shared::<Manager>::default();
        bench.lead(RESOURCE_MANAGER, 2, StubManager(manager)).await;
        let began = bench.world.elapsed();
        let (answer, _) = found.await.expect("it lives");
        assert_eq!(answer, Ok(vec![]), "the present one is asked");
        assert!(bench.world.elapsed() < began + ms(1000), "the former one is not waited for");
        assert_eq!(asker.address().port, PORT);
    });
}

/// Both leaders live and would answer; each is a gateway of its own.
#[test]
fn the_way_to_a_former_leader_is_not_taken_once_another_is_known_or_none() {
    bench(async |bench| {
        let asker = service(&bench.world, "asker").await;
        let way: LeaderGateway<ResourceManagerGateway> =
            LeaderGateway::new(&asker, &coordination(&asker), RESOURCE_MANAGER);
        let mut former = None;
        for session in [1, 2, 3] {
            bench.lead(RESOURCE_MANAGER, session, StubManager(Shared::<Manager>::default())).await;
            bench.settle().await;
            let gateway = way.gateway().await;
            assert_eq!(gateway.address(), way.gateway().await.address(), "it stays");
            let of = RpcAddress::new(
                bench.service.address().clone(),
                format!("{RESOURCE_MANAGER}-{session}"),
            );
            assert_eq!(*gateway.address(), of, "not that of {former:?}");
            former = Some(session);
        }
        let nobody = Transaction::new().then(Change::Delete { key: leader_key(RESOURCE_MANAGER) });
        bench.coordination.transact(nobody).await.expect("no condition");
        bench.settle().await;
        let waited = asker.host().timeout(ms(5_000), way.gateway()).await;
        assert!(waited.is_err(), "nobody leads, and nobody is asked");
    });
}
