//! The world's own behaviour: delivery, death, pauses, clocks, digests.

use super::*;
use crate::host::{Event, Host, Inbound, Kind, NodeAddress};
use bytes::Bytes;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const KIND: Kind = Kind::new("Test.ping");

struct Blind;

impl Observer for Blind {
    fn observe(&self, _: &World, _: Stamp, _: &dyn Event) {}
}

#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
pub(super) fn run<T: Send + 'static>(
    seed: u64,
    body: impl AsyncFnOnce(World) -> T + Send + 'static,
) -> (T, WorldReport) {
    let run = move || simulate(WorldConfig::new(seed), Arc::new(Blind), body);
    std::thread::spawn(run).join().expect("the run does not panic")
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Counts the frames that it receives, and sends each of them back.
async fn echo(host: Host, received: Arc<AtomicU64>) {
    let (sender, mut receiver) = host.bind(1).await.expect("a free port");
    loop {
        if let Inbound::Frame { from, frame } = receiver.recv().await {
            received.fetch_add(1, Ordering::Relaxed);
            sender.send(&from, KIND, 0, frame).expect("a small frame");
        }
    }
}

/// Sends a frame every 10 ms.
async fn pinger(host: Host, answers: Arc<AtomicU64>, resets: Arc<AtomicU64>) {
    let (sender, mut receiver) = host.bind(1).await.expect("a free port");
    let peer = sender.peer(&NodeAddress::new("echo", 1));
    let beat = host.clone();
    host.spawn(async move {
        loop {
            beat.sleep(ms(10)).await;
            sender.send(&peer, KIND, 7, Bytes::from_static(b"ping")).expect("a small frame");
        }
    });
    loop {
        match receiver.recv().await {
            Inbound::Frame { .. } => answers.fetch_add(1, Ordering::Relaxed),
            Inbound::Unreachable { token, .. } => {
                assert_eq!(token, 7);
                resets.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

#[derive(Default, Clone)]
struct Pair {
    received: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    resets: Arc<AtomicU64>,
}

impl Pair {
    fn start(&self, world: &World) -> (NodeId, NodeId) {
        let (echo_node, ping_node) = (world.add_node("echo"), world.add_node("ping"));
        world.boot(echo_node, |host| echo(host, self.received.clone()));
        world.boot(ping_node, |host| pinger(host, self.answers.clone(), self.resets.clone()));
        (echo_node, ping_node)
    }

    /// Answers, resets.
    fn seen(&self) -> (u64, u64) {
        (self.answers.swap(0, Ordering::Relaxed), self.resets.swap(0, Ordering::Relaxed))
    }
}

#[test]
fn a_killed_process_answers_with_resets_and_a_powerless_machine_is_silent() {
    run(1, async |world| {
        let pair = Pair::default();
        let (echo_node, _) = pair.start(&world);
        world.sleep(ms(1000)).await;
        let (answers, resets) = pair.seen();
        assert!(answers > 90 && resets == 0, "{answers} {resets}");

        world.end_process(echo_node, ProcessEnd::Killed);
        world.sleep(ms(1000)).await;
        let (answers, resets) = pair.seen();
        assert!(answers < 2 && resets > 90, "{answers} {resets}");

        world.end_process(echo_node, ProcessEnd::PowerCut);
        world.sleep(ms(10)).await;
        pair.seen();
        world.sleep(ms(1000)).await;
        assert_eq!(pair.seen(), (0, 0));

        world.boot(echo_node, |host| echo(host, pair.received.clone()));
        world.sleep(ms(1000)).await;
        let (answers, resets) = pair.seen();
        assert!(answers > 90 && resets == 0, "{answers} {resets}");
    });
}

#[test]
fn a_pause_keeps_frames_and_timers_for_later() {
    run(1, async |world| {
        let pair = Pair::default();
        let (echo_node, ping_node) = pair.start(&world);
        world.sleep(ms(100)).await;
        world.pause(echo_node);
        world.sleep(ms(5)).await;
        let before = pair.received.load(Ordering::Relaxed);
        world.sleep(ms(1000)).await;
        assert_eq!(pair.received.load(Ordering::Relaxed), before);
        world.pause(ping_node);
        world.resume(echo_node);
        world.sleep(ms(10)).await;
        let after = pair.received.load(Ordering::Relaxed);
        assert!(after >= before + 90, "{before} {after}");
    });
}

#[test]
fn a_reset_on_the_way_loses_the_messages_under_way_and_no_later_ones() {
    run(1, async |world| {
        let pair = Pair::default();
        let (echo_node, ping_node) = pair.start(&world);
        let slow = LinkEffect::Delay(Delay::Constant(ms(500)));
        let (from, to) = (NodeSet::one(ping_node), NodeSet::one(echo_node));
        let (from_ping, to_echo) = (from.clone(), to.clone());
        world.add_rule(LinkRule { from, to, kind: None, nth: None, effect: slow });
        world.sleep(ms(1000)).await;
        world.reset(&to_echo, &from_ping);
        let before = pair.received.load(Ordering::Relaxed);
        world.sleep(ms(490)).await;
        assert_eq!(pair.received.load(Ordering::Relaxed), before, "all of them were under way");
        world.sleep(ms(500)).await;
        let received = pair.received.load(Ordering::Relaxed) - before;
        assert!((40..=50).contains(&received), "{received}");
        assert_eq!(
            pair.seen().1,
            0,
            "a message socket has no connection whose end it could hear of"
        );
    });
}

#[test]
fn held_frames_leave_when_the_rule_is_lifted_and_cut_ones_never() {
    run(1, async |world| {
        let pair = Pair::default();
        let (echo_node, ping_node) = pair.start(&world);
        let rule = |effect| LinkRule {
            from: NodeSet::one(ping_node),
            to: NodeSet::one(echo_node),
            kind: None,
            nth: None,
            effect,
        };
        let hold = world.add_rule(rule(LinkEffect::Hold));
        world.sleep(ms(1000)).await;
        assert_eq!(pair.received.load(Ordering::Relaxed), 0);
        world.remove_rule(hold);
        let cut = world.add_rule(rule(LinkEffect::Cut));
        world.sleep(ms(1000)).await;
        assert_eq!(
            pair.received.load(Ordering::Relaxed),
            0,
            "the cut also takes what is under way"
        );
        world.remove_rule(cut);
        world.sleep(ms(1000)).await;
        let received = pair.received.load(Ordering::Relaxed);
        assert!((90..=101).contains(&received), "{received}");
    });
}

#[test]
fn a_dead_incarnation_has_no_effect() {
    run(1, async |world| {
        struct OnDrop(Host);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                assert_eq!(self.0.random_u64(), 0, "no draw is made");
                self.0.spawn(async { unreachable!("spawned by the dead") });
                self.0.exit("again");
            }
        }
        let node = world.add_node("a");
        let after = Arc::new(AtomicU64::new(0));
        let count = after.clone();
        world.boot(node, |host| async move {
            let _guard = OnDrop(host.clone());
            host.sleep(ms(10)).await;
            host.exit("done");
            count.fetch_add(1, Ordering::Relaxed);
            host.sleep(ms(0)).await;
            count.fetch_add(1, Ordering::Relaxed);
        });
        world.sleep(ms(100)).await;
        assert!(!world.is_running(node));
        assert_eq!(after.load(Ordering::Relaxed), 1, "code runs on to its next await, no further");
    });
}

#[test]
fn a_panic_is_the_death_of_its_process_alone() {
    run(1, async |world| {
        let pair = Pair::default();
        pair.start(&world);
        let node = world.add_node("a");
        world.boot(node, |host| async move {
            host.sleep(ms(10)).await;
            panic!("on purpose");
        });
        world.sleep(ms(1000)).await;
        assert!(!world.is_running(node));
        assert!(pair.seen().0 > 90);
    });
}

#[test]
fn drift_reaches_timers_that_wait_already() {
    run(1, async |world| {
        let node = world.add_node("a");
        let woke = Arc::new(AtomicU64::new(0));
        let at = woke.clone();
        let handle = world.clone();
        world.boot(node, |host| async move {
            host.sleep(ms(1000)).await;
            at.store(u64::try_from(handle.elapsed().as_micros()).unwrap(), Ordering::Relaxed);
        });
        world.sleep(ms(500)).await;
        world.set_drift(node, 500_000);
        world.sleep(ms(1000)).await;
        let woke = woke.load(Ordering::Relaxed);
        assert!((833_000..834_000).contains(&woke), "{woke}");
    });
}

#[test]
fn one_seed_is_one_digest_and_another_seed_another() {
    let digest = |seed| {
        run(seed, async |world| {
            let pair = Pair::default();
            let (echo_node, _) = pair.start(&world);
            world.sleep(ms(500)).await;
            world.end_process(echo_node, ProcessEnd::Killed);
            world.sleep(ms(500)).await;
        })
        .1
    };
    let first = digest(1);
    assert!(first.entries > 100 && first.messages > 100);
    assert_eq!(first.digest, digest(1).digest);
    assert_ne!(first.digest, digest(2).digest);
}

#[test]
fn a_world_leaves_no_tasks_behind() {
    let held = Arc::new(AtomicU64::new(0));
    let count = held.clone();
    run(1, async move |world| {
        let pair = Pair { received: count, ..Pair::default() };
        pair.start(&world);
        world.sleep(ms(500)).await;
    });
    assert_eq!(Arc::strong_count(&held), 1, "every future was dropped");
}

#[test]
fn a_task_that_sleeps_beyond_the_end_does_not_keep_the_world() {
    let ((kept, asleep), _) = run(5, async |world| {
        let held = Arc::new(());
        let kept = Arc::downgrade(&held);
        let sleeper = world.clone();
        world.spawn(async move {
            sleeper.sleep(ms(60_000)).await;
            drop(held);
        });
        world.sleep(ms(5)).await;
        let asleep = kept.strong_count();
        (kept, asleep)
    });
    assert_eq!((asleep, kept.strong_count()), (1, 0));
}
