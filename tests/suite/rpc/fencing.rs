//! Calls and closures of another session have no effect.

use super::{Pair, Probe, ProbeGateway, ms, pair, pair_with, probe::on_main, text, token, value};
use wavetank::{
    host::sim::WorldConfig,
    system::rpc::{FencingToken, RpcConfig, RpcError, RpcServer},
};

const OLD: FencingToken = token(1);
const NEW: FencingToken = token(2);

fn fenced(expected: Option<FencingToken>, found: Option<FencingToken>) -> RpcError {
    RpcError::Fencing { expected, found }
}

async fn set_token(server: &RpcServer<Probe>, token: Option<FencingToken>) {
    on_main(server, move |_, context| context.set_token(token)).await;
}

#[test]
fn an_ask_with_a_wrong_a_missing_or_a_stale_token_is_refused() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        let right = pair.connect_fenced(OLD).await;
        assert_eq!(right.echo(text("right")).await, value("right"));

        let wrong = pair.connect_fenced(NEW).await;
        let refusal = fenced(Some(OLD), Some(NEW));
        assert_eq!(pair.at_once(wrong.echo(text("wrong"))).await, Err(refusal));

        let missing = pair.connect("probe").await;
        let refusal = fenced(Some(OLD), None);
        assert_eq!(pair.at_once(missing.echo(text("missing"))).await, Err(refusal));

        set_token(&server, Some(NEW)).await;
        let refusal = fenced(Some(NEW), Some(OLD));
        assert_eq!(pair.at_once(right.echo(text("stale"))).await, Err(refusal));
        assert_eq!(wrong.echo(text("right now")).await, value("right now"));
        assert_eq!(probe.seen(), ["on_start", "right", "right now"]);
    });
}

#[test]
fn a_tell_with_a_wrong_a_missing_or_a_stale_token_is_dropped_in_silence() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        let right = pair.connect_fenced(OLD).await;
        right.note(text("right"));
        pair.connect_fenced(NEW).await.note(text("wrong"));
        pair.connect("probe").await.note(text("missing"));
        pair.settle().await;
        set_token(&server, Some(NEW)).await;
        right.note(text("stale"));
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "right"]);
        assert_eq!(pair.events.refused("fenced"), 3);
    });
}

#[test]
fn an_endpoint_without_a_token_refuses_everything() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, None);
        let refusal = |found| Err(fenced(None, found));
        let (with, without) = (pair.connect_fenced(OLD).await, pair.connect("probe").await);
        assert_eq!(with.echo(text("a")).await, refusal(Some(OLD)));
        assert_eq!(without.echo(text("b")).await, refusal(None));
        assert_eq!(server.self_gateway().echo(text("c")).await, refusal(None));

        set_token(&server, Some(OLD)).await;
        assert_eq!(with.echo(text("leader")).await, value("leader"));
        set_token(&server, None).await;
        assert_eq!(with.echo(text("d")).await, refusal(Some(OLD)));
        assert_eq!(probe.seen(), ["on_start", "leader"]);
    });
}

#[test]
fn an_unfenced_endpoint_refuses_calls_that_carry_a_token() {
    pair(async |pair| {
        let (probe, _server, plain) = pair.probe().await;
        let with = pair.connect_fenced(OLD).await;
        assert_eq!(with.echo(text("a")).await, Err(fenced(None, Some(OLD))));
        with.note(text("b"));
        assert_eq!(plain.echo(text("plain")).await, value("plain"));
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "plain"]);
    });
}

#[test]
fn the_self_gateway_follows_the_token_and_a_remote_gateway_does_not() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        let remote = pair.connect_fenced(OLD).await;
        let from_server = server.self_gateway();
        let inside = on_main(&server, |_, context| context.self_gateway()).await;
        for (number, own) in [&from_server, &inside].into_iter().enumerate() {
            assert_eq!(own.echo(format!("old {number}")).await, Ok(format!("old {number}")));
        }
        set_token(&server, Some(NEW)).await;
        for (number, own) in [&from_server, &inside].into_iter().enumerate() {
            assert_eq!(own.echo(format!("new {number}")).await, Ok(format!("new {number}")));
        }
        assert_eq!(remote.echo(text("remote")).await, Err(fenced(Some(NEW), Some(OLD))));
        assert_eq!(probe.seen(), ["on_start", "old 0", "old 1", "new 0", "new 1"]);
    });
}

#[test]
fn a_self_call_made_before_the_token_changed_is_refused_after_it() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        let ask = on_main(&server, |_, context| {
            let ask = context.self_gateway().echo(text("of the old session"));
            context.set_token(Some(NEW));
            ask
        });
        assert_eq!(ask.await.await, Err(fenced(Some(NEW), Some(OLD))));
        assert_eq!(probe.seen(), ["on_start"]);
    });
}

/// Sends closures and continuations of the present session on their way; all are due after 10 ms.
async fn sow(pair: &Pair, server: &RpcServer<Probe>, birth: &'static str) {
    let world = pair.world.clone();
    on_main(server, move |_, context| {
        context.schedule(ms(10), move |probe, _| probe.write(format!("scheduled {birth}")));
        let host = context.host().clone();
        let work = async move {
            host.sleep(ms(11)).await;
            birth
        };
        context.spawn_then(work, |probe, _, birth| probe.write(format!("continued {birth}")));
        let executor = context.executor();
        world.clone().spawn(async move {
            world.sleep(ms(12)).await;
            executor.execute(move |probe, _| probe.write(format!("executed {birth}")));
        });
    })
    .await;
}

#[test]
fn closures_run_while_the_token_of_their_birth_holds() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        sow(&pair, &server, "old").await;
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "scheduled old", "continued old", "executed old"]);
    });
}

#[test]
fn closures_of_an_old_token_never_run_and_unfenced_ones_do() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        sow(&pair, &server, "old").await;
        set_token(&server, Some(NEW)).await;
        sow(&pair, &server, "new").await;
        server.handle().run_without_fencing(|probe, _| probe.write("unfenced"));
        pair.settle().await;
        let expected = ["on_start", "unfenced", "scheduled new", "continued new", "executed new"];
        assert_eq!(probe.seen(), expected);
    });
}

#[test]
fn closures_of_a_session_stay_dead_when_its_token_comes_back() {
    pair(async |pair| {
        for first in [Some(OLD), None] {
            let probe = Probe::default();
            let server = pair.host_fenced(&probe, first);
            sow(&pair, &server, "first").await;
            set_token(&server, Some(NEW)).await;
            sow(&pair, &server, "second").await;
            set_token(&server, first).await;
            pair.settle().await;
            assert_eq!(probe.seen(), ["on_start"], "the first token was {first:?}");
            server.terminate();
            server.termination().await.expect("it stops well");
        }
    });
}

#[test]
fn setting_the_same_token_again_changes_nothing() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        sow(&pair, &server, "old").await;
        set_token(&server, Some(OLD)).await;
        pair.settle().await;
        assert_eq!(probe.seen().len(), 4);
    });
}

#[test]
fn a_closure_waiting_behind_the_change_of_the_token_does_not_run() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        on_main(&server, |_, context| {
            context.executor().execute(|probe, _| probe.write("of the old session"));
            context.handle().run_without_fencing(|probe, _| probe.write("of none"));
            context.set_token(Some(NEW));
        })
        .await;
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "of none"]);
    });
}

#[test]
fn the_sabotaged_fence_lets_a_stale_call_through() {
    let world = WorldConfig {
        sabotage: Some(wavetank::system::sabotage::STALE_TOKEN_ACCEPTED),
        ..WorldConfig::new(1)
    };
    pair_with(world, RpcConfig::default(), async |pair| {
        let probe = Probe::default();
        let _server = pair.host_fenced(&probe, Some(OLD));
        let stale: ProbeGateway = pair.connect_fenced(NEW).await;
        assert_eq!(stale.echo(text("stale")).await, value("stale"));
        assert!(pair.world.sabotage_executions() > 0);
    });
}

#[test]
#[should_panic(expected = "process died")]
fn the_token_of_a_permanently_fenced_endpoint_never_changes() {
    pair(async |pair| {
        let server = pair.server.start_permanently_fenced_server("probe", Probe::default(), OLD);
        let server = server.expect("a free name");
        server.start();
        let remote = pair.connect_fenced(OLD).await;
        assert_eq!(remote.echo(text("its token")).await, value("its token"));
        let stale = pair.connect_fenced(NEW).await.echo(text("another")).await;
        assert!(matches!(stale, Err(RpcError::Fencing { .. })), "{stale:?}");
        server.handle().run_without_fencing(|_, context| context.set_token(Some(NEW)));
        pair.settle().await;
        assert!(!pair.world.is_running(pair.server_node));
        panic!("{}", server.termination().await.expect_err("it can't go on"));
    });
}
