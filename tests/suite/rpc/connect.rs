//! Finding an endpoint, or learning why it can't be had.

use super::{AT_ONCE, Pair, Probe, ProbeGateway, boot, ms, pair, pair_with, text};
use wavetank::{
    gateway,
    host::{
        NodeAddress,
        sim::{LinkEffect, ProcessEnd, WorldConfig},
    },
    system::rpc::{Gateway, RpcAddress, RpcConfig, RpcError},
};

mod stranger {
    wavetank::gateway! {
        /// Another protocol with a method of the same form.
        pub gateway StrangerGateway serves StrangerHandler {
            /// As [`ProbeGateway`](super::ProbeGateway) has it.
            ask echo(text: String) -> String;
        }
    }
}

/// The same name, an older list of methods.
mod older {
    use super::gateway;

    gateway! {
        /// The probe's protocol of yesterday.
        pub gateway ProbeGateway serves ProbeHandler {
            /// It took a number then.
            ask echo(text: u64) -> String;
        }
    }
}

async fn connect<G: Gateway>(pair: &Pair, node: &NodeAddress, name: &str) -> Option<RpcError> {
    pair.client.connect::<G>(&RpcAddress::new(node.clone(), name)).await.err()
}

#[test]
fn where_no_process_listens_the_recipient_is_unreachable_at_once() {
    pair(async |pair| {
        let unreachable = Some(RpcError::RecipientUnreachable);
        pair.world.add_node("bare");
        let addresses = [
            NodeAddress::new("bare", 1),
            NodeAddress::new("nowhere", 1),
            NodeAddress::new("server", 2),
        ];
        for node in addresses {
            let error = pair.at_once(connect::<ProbeGateway>(&pair, &node, "probe")).await;
            assert_eq!(error, unreachable, "{node}");
        }
        pair.world.end_process(pair.server_node, ProcessEnd::Killed);
        let node = pair.server.address();
        assert_eq!(pair.at_once(connect::<ProbeGateway>(&pair, node, "probe")).await, unreachable);
    });
}

#[test]
fn a_missing_endpoint_is_told_by_its_name_near_and_far() {
    pair(async |pair| {
        let missing = Some(RpcError::NoSuchEndpoint(text("probe")));
        for node in [pair.server.address(), pair.client.address()] {
            let error = pair.at_once(connect::<ProbeGateway>(&pair, node, "probe")).await;
            assert_eq!(error, missing, "{node}");
        }
    });
}

#[test]
fn another_protocol_or_another_list_of_methods_is_refused_near_and_far() {
    pair(async |pair| {
        let far = pair.host("probe", &Probe::default());
        let near = pair.client.start_server("probe", Probe::default()).expect("a free name");
        near.start();
        for server in [&far, &near] {
            let node = &server.address().node;
            let stranger = connect::<stranger::StrangerGateway>(&pair, node, "probe").await;
            let older = connect::<older::ProbeGateway>(&pair, node, "probe").await;
            for (error, word) in [(stranger, "StrangerGateway"), (older, "list of methods")] {
                match error {
                    Some(RpcError::Incompatible(why)) => assert!(why.contains(word), "{why}"),
                    other => panic!("{node}: {other:?}"),
                }
            }
            assert_eq!(connect::<ProbeGateway>(&pair, node, "probe").await, None);
        }
    });
}

#[test]
fn a_silent_machine_costs_the_connect_timeout_and_no_more() {
    let config =
        RpcConfig { connect_timeout: ms(3000), ask_timeout: ms(60_000), ..RpcConfig::default() };
    pair_with(WorldConfig::new(1), config, async |pair| {
        let _server = pair.host("probe", &Probe::default());
        let node = pair.server.address().clone();
        let cut = pair.world.add_rule(pair.to_server(None, LinkEffect::Cut));
        let (error, took) = pair.timed(connect::<ProbeGateway>(&pair, &node, "probe")).await;
        assert_eq!(error, Some(RpcError::Timeout));
        assert!(took >= ms(3000) && took < ms(3000) + AT_ONCE, "{took:?}");
        pair.world.remove_rule(cut);

        pair.world.end_process(pair.server_node, ProcessEnd::PowerCut);
        let (error, took) = pair.timed(connect::<ProbeGateway>(&pair, &node, "probe")).await;
        assert_eq!(error, Some(RpcError::Timeout));
        assert!(took >= ms(3000) && took < ms(3000) + AT_ONCE, "{took:?}");
    });
}

#[test]
fn after_a_restart_a_gateway_finds_nobody_and_a_new_one_is_served() {
    pair(async |pair| {
        let (probe, _server, gateway) = pair.probe().await;
        pair.world.end_process(pair.server_node, ProcessEnd::Killed);
        let service = boot(&pair.world, pair.server_node, RpcConfig::default()).await;
        let again = service.start_server("probe", probe.twin()).expect("a free name");
        again.start();
        pair.settle().await;
        // A copy of a call to the former process must not be handled by this one.
        let answer = pair.at_once(gateway.echo(text("again"))).await;
        assert_eq!(answer, Err(RpcError::RecipientUnreachable));
        let anew = pair.connect("probe").await;
        assert_eq!(anew.echo(text("again")).await.as_deref(), Ok("again"));
    });
}

#[test]
fn an_endpoint_that_has_not_started_can_be_connected_to_but_not_called() {
    pair(async |pair| {
        let _server = pair.server.start_server("probe", Probe::default()).expect("a free name");
        let gateway = pair.connect("probe").await;
        let answer = pair.at_once(gateway.echo(text("early"))).await;
        assert!(matches!(answer, Err(RpcError::NotRunning(_))), "{answer:?}");
    });
}
