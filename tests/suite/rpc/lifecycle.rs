//! An endpoint's life from its start to the end of its process.

use super::{AT_ONCE, Probe, ProbeGateway, ms, pair, pair_with, probe::on_main, text, value};
use futures::{FutureExt, channel::oneshot};
use wavetank::{
    gateway,
    host::sim::WorldConfig,
    system::rpc::{
        Context, Reply, RpcConfig, RpcEndpoint, RpcError, RpcEvent, RpcServer, StopFuture,
    },
};

fn not_running<T>(result: &Result<T, RpcError>) -> bool {
    matches!(result, Err(RpcError::NotRunning(_)))
}

fn has_ended(server: &RpcServer<Probe>) -> bool {
    server.termination().now_or_never().is_some()
}

#[test]
fn calls_before_the_start_are_answered_with_an_error_and_never_stored() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.server.start_server("probe", probe.twin()).expect("a free name");
        let remote = pair.connect("probe").await;
        assert!(not_running(&pair.at_once(remote.echo(text("remote ask"))).await));
        assert!(not_running(&pair.at_once(server.self_gateway().echo(text("own ask"))).await));
        remote.note(text("remote tell"));
        server.self_gateway().note(text("own tell"));
        server.handle().run_without_fencing(|probe, _| probe.write("closure"));
        pair.settle().await;
        server.start();
        assert_eq!(remote.echo(text("in time")).await, value("in time"));
        assert_eq!(probe.seen(), ["on_start", "in time"]);
        assert_eq!(pair.events.refused("not running"), 4);
    });
}

#[test]
fn calls_after_a_stop_are_answered_with_an_error_until_the_next_start() {
    pair(async |pair| {
        let (probe, server, remote) = pair.probe().await;
        assert_eq!(remote.echo(text("first")).await, value("first"));
        server.stop();
        pair.settle().await;
        assert!(not_running(&pair.at_once(remote.echo(text("stopped"))).await));
        remote.note(text("stopped"));
        pair.settle().await;
        server.start();
        server.start();
        assert_eq!(remote.echo(text("second")).await, value("second"));
        assert_eq!(probe.seen(), ["on_start", "first", "second"], "on_start runs once");
    });
}

#[test]
fn a_closure_that_is_due_while_the_endpoint_is_stopped_does_not_run() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        on_main(&server, |_, context| {
            context.schedule(ms(10), |probe, _| probe.write("scheduled"));
        })
        .await;
        server.stop();
        pair.settle().await;
        server.start();
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start"]);
    });
}

#[test]
fn a_failure_of_on_start_ends_the_endpoint_and_is_the_terminations_error() {
    pair(async |pair| {
        let probe = Probe::that_fails_to_start("no luck");
        let server = pair.host("probe", &probe);
        assert_eq!(pair.at_once(server.termination()).await, Err(text("no luck")));
        assert_eq!(probe.seen(), ["on_start"], "nothing is stopped that never ran");
        pair.server.start_server("probe", Probe::default()).expect("the name is free");
    });
}

#[test]
fn on_stop_runs_once_and_calls_are_served_until_its_future_is_done() {
    pair(async |pair| {
        let (probe, server, remote) = pair.probe().await;
        let finish = probe.stops_when_told();
        server.terminate();
        server.terminate();
        pair.world.sleep(ms(1000)).await;
        assert_eq!(remote.echo(text("served")).await, value("served"));
        server.start();
        server.terminate();
        pair.settle().await;
        assert!(!has_ended(&server), "the termination waits for the future of on_stop");
        assert_eq!(probe.seen(), ["on_start", "on_stop", "served"]);

        finish.send(Ok(())).expect("on_stop waits");
        assert_eq!(pair.at_once(server.termination()).await, Ok(()));
        let gone = Err(RpcError::NoSuchEndpoint(text("probe")));
        assert_eq!(pair.at_once(remote.echo(text("late"))).await, gone);
        assert!(not_running(&server.self_gateway().echo(text("late")).await));
        assert_eq!(probe.seen(), ["on_start", "on_stop", "served"]);
    });
}

gateway! {
    /// Calls to a [`Shelf`].
    pub gateway ShelfGateway serves ShelfHandler {
        /// How many things lie there.
        ask count() -> u64;
    }
}

/// Takes everything down when it stops, as endpoints do by default.
struct Shelf {
    things: u64,
    stop: Option<oneshot::Receiver<()>>,
}

impl RpcEndpoint for Shelf {
    type Gateway = ShelfGateway;

    fn on_stop(&mut self, _: &mut Context<Self>) -> StopFuture {
        self.things = 0;
        let stop = self.stop.take().expect("it stops once");
        stop.map(|_| Ok(())).boxed()
    }
}

impl ShelfHandler for Shelf {
    fn count(&mut self, _: &mut Context<Self>, reply: Reply<u64>) {
        reply.ok(self.things);
    }
}

#[test]
fn what_a_stop_has_taken_down_is_never_told() {
    pair(async |pair| {
        let (finish, stop) = oneshot::channel();
        let shelf = Shelf { things: 3, stop: Some(stop) };
        let server = pair.server.start_server("shelf", shelf).expect("a free name");
        server.start();
        let address = server.address().clone();
        let remote = pair.client.connect::<ShelfGateway>(&address).await.expect("it is there");
        assert_eq!(remote.count().await, Ok(3));
        server.terminate();
        for gateway in [remote, server.self_gateway()] {
            assert_eq!(pair.at_once(gateway.count()).await, Err(RpcError::GoingAway));
        }
        finish.send(()).expect("the stop waits");
        assert_eq!(pair.at_once(server.termination()).await, Ok(()));
    });
}

#[test]
fn on_stop_runs_on_the_main_thread_in_the_order_of_the_mailbox() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let own = server.self_gateway();
        own.note(text("before"));
        let finish = probe.stops_when_told();
        server.terminate();
        own.note(text("after"));
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "before", "on_stop", "after"]);
        drop(finish);
        assert_eq!(server.termination().await, Ok(()));
    });
}

#[test]
fn an_error_of_on_stop_is_the_terminations_error() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        probe.stops_when_told().send(Err(text("dirty"))).expect("on_stop waits");
        server.terminate();
        assert_eq!(server.termination().await, Err(text("dirty")));
    });
}

#[test]
fn an_endpoint_that_never_started_ends_without_on_stop() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.server.start_server("probe", probe.twin()).expect("a free name");
        server.terminate();
        assert_eq!(pair.at_once(server.termination()).await, Ok(()));
        assert!(probe.seen().is_empty());
        let started = pair.events.count(|event| matches!(event, RpcEvent::EndpointStarted { .. }));
        assert_eq!(started, 0);
    });
}

#[test]
fn an_endpoint_that_fails_itself_ends_and_refuses_what_still_waits() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let waiting = on_main(&server, |_, context| {
            context.fail("broken");
            context.self_gateway().echo(text("behind"))
        });
        assert!(not_running(&waiting.await.await));
        assert_eq!(server.termination().await, Err(text("broken")));
        assert_eq!(probe.seen(), ["on_start"]);
    });
}

#[test]
fn a_failure_while_stopping_still_waits_for_on_stop() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let finish = probe.stops_when_told();
        server.terminate();
        on_main(&server, |_, context| context.fail("broken")).await;
        pair.settle().await;
        assert!(!has_ended(&server));
        finish.send(Ok(())).expect("on_stop waits");
        assert_eq!(server.termination().await, Err(text("broken")));
    });
}

#[test]
fn the_name_is_free_only_after_the_whole_termination() {
    pair(async |pair| {
        let (probe, first, remote) = pair.probe().await;
        let taken = || pair.server.start_server("probe", probe.twin()).err();
        let finish = probe.stops_when_told();
        assert!(matches!(taken(), Some(RpcError::NotRunning(_))), "while it runs");
        first.terminate();
        pair.settle().await;
        assert!(matches!(taken(), Some(RpcError::NotRunning(_))), "while it stops");
        finish.send(Ok(())).expect("on_stop waits");
        first.termination().await.expect("it stops well");

        let second = pair.host("probe", &probe);
        first.handle().run_without_fencing(|probe, _| probe.write("for the first"));
        assert_eq!(remote.echo(text("for the second")).await, value("for the second"));
        assert_eq!(probe.seen(), ["on_start", "on_stop", "on_start", "for the second"]);
        assert!(!has_ended(&second), "the first one's end is not the second one's");
    });
}

#[test]
fn a_service_stops_when_its_last_endpoint_is_gone() {
    pair(async |pair| {
        let (slow, quick) = (Probe::default(), Probe::default());
        let finish = slow.stops_when_told();
        let (slow_server, quick_server) = (pair.host("slow", &slow), pair.host("quick", &quick));
        let (service, world) = (pair.server.clone(), pair.world.clone());
        let (done, stopped) = futures::channel::oneshot::channel();
        world.spawn(async move {
            service.stop().await;
            let _ = done.send(());
        });
        let mut stopped = stopped;
        pair.world.sleep(ms(1000)).await;
        assert!(has_ended(&quick_server) && !has_ended(&slow_server));
        assert_eq!(stopped.try_recv(), Ok(None), "the service waits for the slow one");
        let late = pair.server.start_server("late", Probe::default());
        assert_eq!(late.err(), Some(RpcError::ServiceStopped));

        finish.send(Ok(())).expect("on_stop waits");
        pair.at_once(stopped).await.expect("the stop is done");
        assert!(has_ended(&slow_server));
        assert_eq!((slow.seen().len(), quick.seen().len()), (2, 2), "on_start and on_stop");
    });
}

#[test]
fn after_its_stop_a_service_neither_asks_nor_connects_nor_hosts() {
    pair(async |pair| {
        let (probe, server, remote) = pair.probe().await;
        let pending = remote.hold(text("pending"));
        pair.settle().await;
        pair.at_once(pair.client.stop()).await;
        assert_eq!(pair.at_once(pending).await, Err(RpcError::ServiceStopped));
        let answer = pair.at_once(remote.echo(text("late ask"))).await;
        assert_eq!(answer, Err(RpcError::ServiceStopped));
        remote.note(text("late tell"));
        let again = pair.client.connect::<ProbeGateway>(server.address()).await;
        assert_eq!(again.err(), Some(RpcError::ServiceStopped));
        let hosted = pair.client.start_server("probe", Probe::default());
        assert_eq!(hosted.err(), Some(RpcError::ServiceStopped));
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "pending"], "nothing was sent");
    });
}

#[test]
fn a_panic_in_a_handler_is_the_death_of_its_process() {
    let config = RpcConfig { ask_timeout: ms(500), ..RpcConfig::default() };
    pair_with(WorldConfig::new(1), config, async |pair| {
        let (probe, server, remote) = pair.probe().await;
        let neighbour = pair.host("neighbour", &Probe::default());
        let held = remote.hold(text("held"));
        pair.settle().await;
        remote.panic();
        pair.settle().await;
        assert!(!pair.world.is_running(pair.server_node));
        assert!(pair.world.is_running(pair.client_node));
        assert_eq!(held.await, Err(RpcError::Timeout), "nobody is left to answer");
        let answer = pair.at_once(remote.echo(text("late"))).await;
        assert_eq!(answer, Err(RpcError::RecipientUnreachable));
        assert_eq!(probe.seen(), ["on_start", "held"], "on_stop is not for the dead");
        drop((server, neighbour));
    });
}

#[test]
fn a_full_mailbox_refuses_calls_instead_of_growing() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let beyond = on_main(&server, |_, context| {
            let own = context.self_gateway();
            for _ in 0..65_536 {
                own.note(text("waits"));
            }
            own.echo(text("beyond"))
        });
        let (answer, took) = pair.timed(async { beyond.await.await }).await;
        assert!(not_running(&answer) && took < AT_ONCE, "{answer:?} {took:?}");
        pair.world.sleep(ms(1000)).await;
        assert_eq!(probe.seen().len(), 65_537, "all that fitted was handled");
    });
}

#[test]
fn a_mailbox_is_full_of_few_large_calls_too_and_has_room_when_they_are_handled() {
    const LARGE: usize = 7 * 1024 * 1024;
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let flood = |_: &mut Probe, context: &mut Context<Probe>| {
            let own = context.self_gateway();
            (0..9).for_each(|_| own.note("x".repeat(LARGE)));
            (own.echo("y".repeat(LARGE)), own.echo(text("small")))
        };
        for round in 1..=2 {
            let (beyond, small) = on_main(&server, flood).await;
            assert!(not_running(&beyond.await), "64 MiB wait already");
            assert_eq!(small.await, value("small"));
            assert_eq!(probe.seen().len(), 1 + 10 * round);
        }
    });
}
