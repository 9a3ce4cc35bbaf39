//! What is handled in one poll keeps its own cause: calls in a mailbox, answers to one task.

use super::{Pair, ms, pair, text};
use wavetank::{
    host::sim::{EntryNumber, Stamp},
    system::rpc::RpcEvent,
};

/// When events were announced, and because of what.
fn stamps(pair: &Pair, wanted: impl Fn(&RpcEvent) -> bool) -> Vec<Stamp> {
    let found = pair.events.all().into_iter().filter(|(_, event)| wanted(event));
    found.map(|(stamp, _)| stamp).collect()
}

/// The causes of two events that were announced in one step.
fn in_one_step(stamps: &[Stamp]) -> [EntryNumber; 2] {
    let [first, second] = stamps else { panic!("two events: {stamps:?}") };
    assert_eq!(first.time, second.time, "in one poll");
    [first, second].map(|stamp| stamp.cause.expect("a message led to it"))
}

#[test]
fn two_calls_that_a_mailbox_hands_over_in_one_poll_keep_their_causes() {
    pair(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        pair.world.pause(pair.server_node);
        remote.note(text("first"));
        pair.world.sleep(ms(10)).await;
        remote.note(text("second"));
        pair.world.sleep(ms(10)).await;
        pair.world.resume(pair.server_node);
        pair.settle().await;
        let handled = |event: &RpcEvent| match event {
            RpcEvent::HandlerStarted { kind, .. } => kind.name() == "ProbeGateway.note",
            _ => false,
        };
        let [first, second] = in_one_step(&stamps(&pair, handled));
        assert!(first < second, "each has the arrival of its own frame");
    });
}

#[test]
fn two_answers_to_one_task_keep_their_causes() {
    pair(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        let host = pair.client.host().clone();
        pair.client.host().spawn(async move {
            let asked = async |name: &'static str| {
                let _ = remote.echo(text(name)).await;
                host.announce(&RpcEvent::FrameDropped { reason: name });
            };
            futures::join!(asked("first"), asked("second"));
        });
        pair.world.sleep(ms(1)).await;
        pair.world.pause(pair.client_node);
        pair.world.sleep(ms(20)).await;
        pair.world.resume(pair.client_node);
        pair.settle().await;
        let told = stamps(&pair, |event| matches!(event, RpcEvent::FrameDropped { .. }));
        let told = in_one_step(&told);
        assert_ne!(told[0], told[1]);
        let resolved = stamps(&pair, |event| matches!(event, RpcEvent::AskResolved { .. }));
        for cause in told {
            assert!(resolved.iter().any(|answer| answer.cause == Some(cause)), "{resolved:?}");
        }
    });
}
