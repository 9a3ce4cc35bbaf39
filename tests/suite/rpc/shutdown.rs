//! Actors that make actors, and the order in which all of them end.

use super::{Probe, ProbeGateway, ms, pair, text, value};
use futures::{FutureExt, channel::oneshot};
use std::sync::{Arc, Mutex};
use wavetank::{
    gateway,
    host::sim::ProcessEnd,
    system::rpc::{
        Context, Reply, RpcAddress, RpcEndpoint, RpcError, RpcEvent, RpcServer, RpcSystem,
        StopFuture,
    },
};

gateway! {
    /// Calls to a [`Parent`].
    pub gateway ParentGateway serves ParentHandler {
        /// Starts a child of this name.
        ask bear(name: String) -> ();
    }
}

/// Starts probes on its own service, and ends after them.
struct Parent {
    probe: Probe,
    children: Vec<RpcServer<Probe>>,
    /// What it met with when it started a child in its own stop.
    refused: Arc<Mutex<Option<RpcError>>>,
}

impl Parent {
    fn new(probe: &Probe) -> Parent {
        Parent { probe: probe.twin(), children: Vec::new(), refused: Arc::default() }
    }

    fn bear(&mut self, context: &Context<Self>, name: &str) -> Result<(), RpcError> {
        let child = context.service().start_server(name, self.probe.twin())?;
        child.start();
        self.children.push(child);
        Ok(())
    }
}

impl RpcEndpoint for Parent {
    type Gateway = ParentGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        self.bear(context, "first").map_err(|error| error.to_string())
    }

    fn on_stop(&mut self, context: &mut Context<Self>) -> StopFuture {
        *self.refused.lock().unwrap() = self.bear(context, "last").err();
        let children = std::mem::take(&mut self.children);
        let probe = self.probe.twin();
        async move {
            children.iter().for_each(RpcServer::terminate);
            for child in &children {
                child.termination().await?;
            }
            probe.write("the parent has seen its children end");
            Ok(())
        }
        .boxed()
    }
}

impl ParentHandler for Parent {
    fn bear(&mut self, context: &mut Context<Self>, name: String, reply: Reply<()>) {
        reply.send(Parent::bear(self, context, &name));
    }
}

#[test]
fn an_endpoint_starts_others_on_its_own_service_and_ends_after_them() {
    pair(async |pair| {
        let probe = Probe::default();
        let parent = pair.server.start_server("parent", Parent::new(&probe)).expect("a free name");
        parent.start();
        let gateway = parent.self_gateway();
        assert_eq!(gateway.bear(text("second")).await, Ok(()));
        assert!(matches!(gateway.bear(text("second")).await, Err(RpcError::NotRunning(_))));
        let child = pair.connect("second").await;
        assert_eq!(child.echo(text("child")).await, value("child"));

        let finish = probe.stops_when_told();
        parent.terminate();
        pair.world.sleep(ms(1000)).await;
        assert!(parent.termination().now_or_never().is_none(), "it waits for its children");
        finish.send(Ok(())).expect("one of them waits");
        assert_eq!(parent.termination().await, Ok(()));
        let last = probe.seen().last().cloned();
        assert_eq!(last.as_deref(), Some("the parent has seen its children end"));
        for name in ["first", "second", "last", "parent"] {
            let address = RpcAddress::new(pair.server.address().clone(), name);
            let gone = pair.client.connect::<ProbeGateway>(&address).await.err();
            assert_eq!(gone, Some(RpcError::NoSuchEndpoint(text(name))));
        }
    });
}

#[test]
fn a_service_that_stops_ends_parents_and_children_once_each_and_hosts_nothing_new() {
    pair(async |pair| {
        let probe = Probe::default();
        let parent = Parent::new(&probe);
        let refused = parent.refused.clone();
        let parent = pair.server.start_server("parent", parent).expect("a free name");
        parent.start();
        parent.self_gateway().bear(text("second")).await.expect("a free name");
        pair.at_once(pair.server.stop()).await;
        assert_eq!(refused.lock().unwrap().take(), Some(RpcError::ServiceStopped));
        let stops = probe.seen().iter().filter(|text| *text == "on_stop").count();
        assert_eq!(stops, 2, "each child stopped once: {:?}", probe.seen());
        let ended = |event: &RpcEvent| matches!(event, RpcEvent::EndpointTerminated { .. });
        assert_eq!(pair.events.count(ended), 3);
    });
}

#[test]
fn endpoints_that_stop_may_ask_each_other_and_other_processes_until_the_last_is_gone() {
    pair(async |pair| {
        let (far, _far_server, _) = pair.probe().await;
        let near = Probe::default();
        let server = pair.client.start_server("near", near.twin()).expect("a free name");
        server.start();
        let remote = pair.connect("probe").await;
        let finish = near.stops_when_told();
        let (client, (done, stopped)) = (pair.client.clone(), oneshot::channel());
        pair.world.spawn(async move {
            client.stop().await;
            let _ = done.send(());
        });
        pair.settle().await;
        assert_eq!(
            remote.echo(text("from a stopping process")).await,
            value("from a stopping process")
        );
        assert_eq!(server.self_gateway().echo(text("own")).await, value("own"));
        finish.send(Ok(())).expect("on_stop waits");
        stopped.await.expect("the stop is done");
        assert_eq!(remote.echo(text("late")).await, Err(RpcError::ServiceStopped));
        assert_eq!(far.seen(), ["on_start", "from a stopping process"]);
    });
}

#[test]
fn the_port_of_a_stopped_service_is_free_and_its_callers_find_nobody() {
    pair(async |pair| {
        let (_probe, server, remote) = pair.probe().await;
        pair.at_once(pair.server.stop()).await;
        let gone = pair.at_once(remote.echo(text("late"))).await;
        assert_eq!(gone, Err(RpcError::RecipientUnreachable));
        pair.at_once(pair.server.stop()).await;

        let port = server.address().node.port;
        let again = RpcSystem::default().bind(pair.server.host(), port).await.expect("a free port");
        again.start_server("probe", Probe::default()).expect("a free name").start();
        let anew =
            pair.client.connect::<ProbeGateway>(server.address()).await.expect("it is there");
        assert_eq!(anew.echo(text("anew")).await, value("anew"));
    });
}

#[test]
fn a_service_is_stopped_only_when_every_endpoint_is_told_to_be_gone() {
    pair(async |pair| {
        for number in 0..20 {
            pair.host(&format!("probe-{number}"), &Probe::default());
        }
        pair.server.stop().await;
        let ended = |event: &RpcEvent| matches!(event, RpcEvent::EndpointTerminated { .. });
        assert_eq!(pair.events.count(ended), 20);
    });
}

#[test]
fn an_endpoint_that_was_stopped_before_it_is_terminated_still_runs_on_stop() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        server.stop();
        server.terminate();
        assert_eq!(pair.at_once(server.termination()).await, Ok(()));
        assert_eq!(probe.seen(), ["on_start", "on_stop"]);
    });
}

#[test]
fn who_waits_for_an_end_hears_of_the_death_of_its_process_and_of_an_end_long_past() {
    pair(async |pair| {
        let (_probe, server, _) = pair.probe().await;
        let ended = pair.host("ended", &Probe::default());
        ended.terminate();
        assert_eq!(ended.termination().await, Ok(()));
        let waiting = server.termination();
        pair.world.end_process(pair.server_node, ProcessEnd::Killed);
        pair.settle().await;
        assert_eq!(waiting.await, Err(text("its process died")));
        assert_eq!(server.termination().await, Err(text("its process died")));
        assert_eq!(ended.termination().await, Ok(()), "it ended well before");
    });
}
