//! What carries calls, chosen by its name.

use super::{Probe, ProbeGateway, pair, text, value};
use wavetank::{
    host::NodeAddress,
    system::rpc::{LOCAL, LoadError, MESSAGES, RpcAddress, RpcConfig, RpcError, RpcSystem},
};

#[test]
fn a_transport_is_chosen_by_name_and_one_that_is_missing_is_told_with_all_that_were_tried() {
    let named = |transport: &str| {
        RpcSystem::load(&RpcConfig { transport: text(transport), ..RpcConfig::default() })
    };
    assert!(named(MESSAGES).is_ok() && named(LOCAL).is_ok());
    let error = named("akka").err().expect("there is none of that name");
    assert_eq!(error, LoadError { asked: text("akka") });
    let told = error.to_string();
    for word in ["\"akka\"", "\"messages\"", "\"local\""] {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn a_local_service_calls_its_own_endpoints_and_reaches_nobody_else() {
    pair(async |pair| {
        let (_probe, server, _) = pair.probe().await;
        let config = RpcConfig { transport: text(LOCAL), ..RpcConfig::default() };
        let local = RpcSystem::load(&config).expect("it is there");
        let local = local.bind(pair.server.host(), server.address().node.port).await;
        let local = local.expect("it takes no port");
        let own = local.start_server("probe", Probe::default()).expect("names are its own");
        own.start();
        let gateway = local.connect::<ProbeGateway>(own.address()).await.expect("it is there");
        assert_eq!(pair.at_once(gateway.echo(text("own"))).await, value("own"));
        assert_eq!(own.address().to_string().parse(), Ok(own.address().clone()));

        let nobody = [server.address().clone(), RpcAddress::new(NodeAddress::new("x", 1), "probe")];
        for address in nobody {
            let error = pair.at_once(local.connect::<ProbeGateway>(&address)).await.err();
            assert_eq!(error, Some(RpcError::RecipientUnreachable), "{address}");
        }
        for service in [&pair.server, &pair.client] {
            let error = service.connect::<ProbeGateway>(own.address()).await.err();
            assert_eq!(error, Some(RpcError::RecipientUnreachable));
        }
        pair.at_once(local.stop()).await;
        assert_eq!(gateway.echo(text("late")).await, Err(RpcError::ServiceStopped));
    });
}
