//! Heartbeats between endpoints, shown in simulation: Flink's facts of `HeartbeatManagerTest`, and
//! how soon each kind of loss is noticed.
mod member;

use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, join_all, pending, ready},
};
use member::*;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use wavetank::{
    host::{Host, sim::ProcessEnd},
    system::{
        heartbeat::{
            Beat, HeartbeatConfig, HeartbeatEvent, HeartbeatManagerSender, HeartbeatSession,
            HeartbeatTarget, MonitorState,
        },
        rpc::{Context, FencingToken, RpcError},
    },
};

#[test]
fn a_pair_exchanges_beats_until_one_of_them_stops() {
    pair(async |pair| {
        pair.beat().await;
        pair.world.sleep(ms(5000)).await;
        assert!(pair.master.beats() > 45 && pair.worker.beats() > 45);
        let begin = pair.world.elapsed();
        pair.worker.stop().await;
        pair.world.sleep(ms(2000)).await;
        let (time, text) = pair.master.loss();
        assert_eq!(text, "timeout worker 1");
        let after = time - begin;
        assert!(after > CONFIG.timeout - CONFIG.interval - SLACK, "{after:?}");
        assert!(after < CONFIG.timeout + SLACK, "{after:?}");
        assert_eq!(pair.worker.beats(), 0, "who stopped hears nothing");
        pair.assert_losses(1);
    });
}

#[test]
fn a_beat_carries_a_payload_made_for_its_target_when_it_leaves() {
    in_simulation(async |world, _| {
        let master = Node::new(&world, "master", CONFIG).await;
        let workers =
            [Node::new(&world, "left", CONFIG).await, Node::new(&world, "right", CONFIG).await];
        for worker in &workers {
            master.monitor(worker, FIRST).await;
            worker.monitor(&master, FIRST).await;
        }
        master.start().await;
        world.sleep(ms(450)).await;
        let check = |(time, text): (Duration, String), origin: &str, target: &str| {
            let made = text.strip_prefix(&format!("{origin}: for {target} at "));
            let made = made.unwrap_or_else(|| panic!("{text}"));
            let micros = |text: &str| text.trim_end_matches("ms").parse::<f64>().unwrap() / 1e3;
            let age = time.as_secs_f64() - micros(made);
            assert!((0.0..0.004).contains(&age), "{text} came at {time:?}");
        };
        for worker in workers {
            let noted = worker.noted();
            assert_eq!(noted.len(), 5);
            noted.into_iter().for_each(|note| check(note, "master", &worker.name));
        }
        let noted = master.noted();
        assert_eq!(noted.len(), 10);
        for (time, text) in noted {
            let origin = if text.starts_with("left") { "left" } else { "right" };
            check((time, text), origin, "master");
        }
    });
}

#[test]
fn every_beat_begins_the_timeout_anew() {
    let config = HeartbeatConfig { interval: ms(400), ..CONFIG };
    pair_with(config, async move |pair| {
        pair.world.sleep(ms(10_000)).await;
        assert!(pair.master.beats() > 20 && pair.worker.beats() > 20);
        let cut = pair.world.elapsed();
        pair.world.end_process(pair.worker.id, ProcessEnd::PowerCut);
        let age = pair.master.last_heartbeat("worker").await.expect("it did beat");
        pair.world.sleep(ms(2000)).await;
        let (time, _) = pair.master.loss();
        let late = (time + age) - (cut + config.timeout);
        assert!(late < ms(1), "{late:?} after the last beat's timeout");
    });
}

#[test]
fn a_timeout_is_told_once_a_session_and_nothing_is_exchanged_after_it() {
    pair(async |pair| {
        pair.beat().await;
        let cut = pair.cut();
        pair.world.sleep(ms(1000)).await;
        assert_eq!(pair.master.loss().1, "timeout worker 1");
        assert_eq!(pair.worker.loss().1, "timeout master 1");
        assert_eq!(pair.master.state("worker").await, Some(MonitorState::Timeout));
        pair.world.remove_rule(cut);
        pair.world.sleep(ms(3000)).await;
        assert_eq!((pair.master.beats(), pair.worker.beats()), (0, 0));
        pair.assert_losses(2);
    });
}

#[test]
fn an_unmonitored_target_is_never_given_up() {
    pair(async |pair| {
        pair.beat().await;
        pair.cut();
        pair.world.sleep(CONFIG.timeout / 2).await;
        assert!(pair.master.unmonitor(&pair.worker, FIRST).await);
        assert!(!pair.master.unmonitor(&pair.worker, FIRST).await, "it is gone");
        pair.worker.stop().await;
        pair.world.sleep(ms(3000)).await;
        assert_eq!((pair.master.beats(), pair.worker.beats()), (0, 0));
        pair.assert_losses(0);
        let events = pair.events.0.lock().unwrap();
        let (id, session) = ("worker".to_string(), FIRST);
        let by = "master".to_string();
        assert!(events.contains(&HeartbeatEvent::TargetUnmonitored { by, id, session }));
    });
}

/// A peer of whom every call says, after 20 ms, that nobody is there.
struct Nobody(Host);

impl HeartbeatTarget<String> for Nobody {
    fn request_heartbeat(&self, _: Beat<String>) -> BoxFuture<'static, Result<(), RpcError>> {
        let sleep = self.0.sleep(ms(20));
        async { Err(sleep.map(|()| RpcError::RecipientUnreachable).await) }.boxed()
    }
}

#[test]
fn a_call_of_an_earlier_session_does_not_count_against_the_next() {
    let config = HeartbeatConfig { unreachable_threshold: Some(1), ..CONFIG };
    for replaced in [true, false] {
        pair_with(config, async move |pair| {
            pair.master
                .on_main(|member, context| {
                    let nobody = Arc::new(Nobody(context.host().clone()));
                    member.beats.manager().monitor_target(context, "worker", SECOND, nobody);
                    member.beats.start(context);
                })
                .await;
            pair.world.sleep(ms(10)).await;
            if replaced {
                let third = HeartbeatSession(3);
                pair.worker.monitor(&pair.master, third).await;
                pair.master.monitor(&pair.worker, third).await;
                pair.world.sleep(ms(1000)).await;
                assert_eq!(pair.master.state("worker").await, Some(MonitorState::Running));
                pair.assert_losses(0);
            } else {
                pair.world.sleep(ms(1000)).await;
                assert_eq!(pair.master.loss().1, "unreachable worker 2");
            }
        });
    }
}

#[test]
fn the_last_heartbeat_is_known_of_targets_that_have_beaten() {
    pair(async |pair| {
        assert_eq!(pair.master.last_heartbeat("worker").await, None, "not yet");
        assert_eq!(pair.master.last_heartbeat("stranger").await, None);
        pair.world.sleep(ms(1050)).await;
        let age = pair.master.last_heartbeat("worker").await.expect("it beats");
        assert!(age > ms(30) && age < ms(60), "{age:?}");
        pair.cut();
        pair.world.sleep(ms(1000)).await;
        let later = pair.master.last_heartbeat("worker").await.expect("it did beat");
        assert!(later > age + ms(999), "{later:?}");
        pair.master.unmonitor(&pair.worker, FIRST).await;
        assert_eq!(pair.master.last_heartbeat("worker").await, None);
    });
}

#[test]
fn beats_of_unknown_origins_and_of_other_sessions_are_ignored() {
    pair(async |pair| {
        pair.master.noted();
        for (origin, session) in [("stranger", FIRST), ("worker", SECOND)] {
            for request in [false, true] {
                pair.worker.fake(&pair.master, origin, session, request).await;
            }
        }
        let false_ones = |(_, text): &(Duration, String)| text.contains("for nobody");
        assert!(!pair.master.noted().iter().any(false_ones));
        pair.worker.fake(&pair.master, "worker", FIRST, false).await;
        assert!(pair.master.noted().iter().any(false_ones), "the right one is taken");
    });
}

#[test]
fn a_beat_of_an_earlier_session_does_not_keep_the_present_one_alive() {
    pair(async |pair| {
        pair.beat().await;
        pair.master.monitor(&pair.worker, SECOND).await;
        pair.world.sleep(ms(1000)).await;
        assert_eq!(pair.master.loss().1, "timeout worker 2");
    });
}

#[test]
fn a_power_cut_is_noticed_within_the_timeout_and_a_period() {
    pair(async |pair| {
        pair.beat().await;
        let begin = pair.world.elapsed();
        pair.world.end_process(pair.worker.id, ProcessEnd::PowerCut);
        pair.world.sleep(ms(2000)).await;
        let (time, text) = pair.master.loss();
        assert_eq!(text, "timeout worker 1");
        assert!(time - begin <= CONFIG.timeout + CONFIG.interval, "{:?}", time - begin);
        pair.assert_losses(1);
    });
}

#[test]
fn an_asker_notices_a_killed_process_within_the_threshold_of_intervals() {
    pair(async |pair| {
        pair.beat().await;
        let begin = pair.world.elapsed();
        pair.world.end_process(pair.worker.id, ProcessEnd::Killed);
        pair.world.sleep(ms(2000)).await;
        let (time, text) = pair.master.loss();
        assert_eq!(text, "unreachable worker 1");
        let after = time - begin;
        assert!(after > CONFIG.interval && after < CONFIG.interval * 2 + SLACK, "{after:?}");
        assert_eq!(pair.master.state("worker").await, Some(MonitorState::Unreachable));
        pair.assert_losses(1);
    });
}

/// A peer that answers, or is gone, and whose connection breaks each time that the test says so.
struct Fragile {
    gone: Arc<AtomicBool>,
    breaks: Arc<Mutex<VecDeque<oneshot::Receiver<()>>>>,
}

impl HeartbeatTarget<String> for Fragile {
    fn request_heartbeat(&self, _: Beat<String>) -> BoxFuture<'static, Result<(), RpcError>> {
        let gone = self.gone.load(Ordering::Relaxed);
        ready(if gone { Err(RpcError::RecipientUnreachable) } else { Ok(()) }).boxed()
    }

    fn connection_broken(&self) -> BoxFuture<'static, ()> {
        match self.breaks.lock().unwrap().pop_front() {
            Some(breaks) => breaks.map(drop).boxed(),
            None => pending().boxed(),
        }
    }
}

/// A member that monitors such a peer; what breaks its first and its second connection, and what lets it go.
async fn fragile(pair: &Pair) -> (Vec<oneshot::Sender<()>>, Arc<AtomicBool>) {
    let (first, second) = (oneshot::channel(), oneshot::channel());
    let gone = Arc::<AtomicBool>::default();
    let breaks = Arc::new(Mutex::new(VecDeque::from([first.1, second.1])));
    let target = Arc::new(Fragile { gone: gone.clone(), breaks });
    pair.master
        .on_main(|member, context| {
            member.beats.manager().monitor_target(context, "fragile", SECOND, target);
        })
        .await;
    (vec![first.0, second.0], gone)
}

#[test]
fn a_broken_connection_to_a_dead_peer_is_a_loss_at_once() {
    pair(async |pair| {
        let (mut breaks, gone) = fragile(&pair).await;
        pair.world.sleep(ms(30)).await;
        gone.store(true, Ordering::Relaxed);
        breaks.remove(0).send(()).unwrap();
        pair.world.sleep(ms(5)).await;
        assert_eq!(pair.master.loss().1, "unreachable fragile 2", "before the next interval");
        pair.world.sleep(ms(1000)).await;
        assert_eq!(breaks_of(&pair), 1, "what is lost is not watched any more");
        assert_eq!(pair.master.state("fragile").await, Some(MonitorState::Unreachable));
    });
}

#[test]
fn a_broken_connection_to_a_peer_that_answers_is_no_loss_and_another_one_is_watched() {
    pair(async |pair| {
        let (mut breaks, gone) = fragile(&pair).await;
        breaks.remove(0).send(()).unwrap();
        pair.world.sleep(ms(20)).await;
        assert_eq!(pair.master.state("fragile").await, Some(MonitorState::Running));
        // One call that finds nobody is not too many again, once another has succeeded.
        pair.world.sleep(ms(200)).await;
        gone.store(true, Ordering::Relaxed);
        breaks.remove(0).send(()).unwrap();
        pair.world.sleep(ms(5)).await;
        assert_eq!(pair.master.loss().1, "unreachable fragile 2");
        assert_eq!(breaks_of(&pair), 2);
    });
}

#[test]
fn the_connection_of_what_is_not_monitored_any_more_says_nothing() {
    pair(async |pair| {
        let (mut breaks, gone) = fragile(&pair).await;
        let unmonitor = |member: &mut Member, context: &mut Context<Member>| {
            member.beats.manager().unmonitor_target(context, "fragile", SECOND)
        };
        assert!(pair.master.on_main(unmonitor).await);
        gone.store(true, Ordering::Relaxed);
        let _ = breaks.remove(0).send(());
        pair.world.sleep(ms(1000)).await;
        assert_eq!(breaks_of(&pair), 0);
    });
}

/// How many connections were said to have broken.
fn breaks_of(pair: &Pair) -> usize {
    let events = pair.events.0.lock().unwrap();
    let broken = |event: &&HeartbeatEvent| matches!(event, HeartbeatEvent::ConnectionBroken { .. });
    events.iter().filter(broken).count()
}

#[test]
fn the_asked_side_notices_that_its_answers_find_nobody() {
    pair(async |pair| {
        pair.beat().await;
        let puppet = Node::new(&pair.world, "puppet", CONFIG).await;
        pair.world.end_process(pair.master.id, ProcessEnd::Killed);
        for _ in 0..2 {
            assert_eq!(pair.worker.state("master").await, Some(MonitorState::Running));
            puppet.fake(&pair.worker, "master", FIRST, true).await;
            pair.world.sleep(SLACK).await;
        }
        assert_eq!(pair.worker.loss().1, "unreachable master 1");
    });
}

#[test]
fn many_calls_that_find_nobody_at_once_are_one_loss() {
    pair(async |pair| {
        pair.beat().await;
        let puppet = Node::new(&pair.world, "puppet", CONFIG).await;
        pair.world.end_process(pair.master.id, ProcessEnd::Killed);
        join_all((0..10).map(|_| puppet.fake(&pair.worker, "master", FIRST, true))).await;
        pair.world.sleep(ms(2000)).await;
        assert_eq!(pair.worker.loss().1, "unreachable master 1");
        pair.assert_losses(1);
    });
}

#[test]
fn without_a_threshold_only_the_timeout_counts() {
    let config = HeartbeatConfig { unreachable_threshold: None, ..CONFIG };
    pair_with(config, async move |pair| {
        pair.beat().await;
        let puppet = Node::new(&pair.world, "puppet", config).await;
        pair.world.end_process(pair.worker.id, ProcessEnd::Killed);
        pair.world.sleep(CONFIG.timeout - CONFIG.interval - SLACK).await;
        assert_eq!(pair.master.beats(), 0, "some requests found nobody");
        pair.world.sleep(ms(1000)).await;
        assert_eq!(pair.master.loss().1, "timeout worker 1");

        // The asked side: the same towards a killed asker.
        let asked = Node::new(&pair.world, "asked", config).await;
        asked.monitor(&pair.master, FIRST).await;
        pair.world.end_process(pair.master.id, ProcessEnd::Killed);
        for _ in 0..20 {
            puppet.fake(&asked, "master", FIRST, true).await;
            pair.world.sleep(ms(100)).await;
        }
        assert_eq!(asked.state("master").await, Some(MonitorState::Running));
    });
}

#[test]
fn a_success_zeroes_the_count_of_calls_that_found_nobody() {
    let config = HeartbeatConfig { timeout: ms(100_000), ..CONFIG };
    pair_with(config, async move |pair| {
        let mut worker = pair.worker;
        for _ in 0..5 {
            pair.world.sleep(ms(1000)).await;
            pair.world.end_process(worker.id, ProcessEnd::Killed);
            // Exactly one round of requests falls into this.
            pair.world.sleep(CONFIG.interval).await;
            worker = Node::boot(&pair.world, worker.id, "worker", config).await;
        }
        pair.world.sleep(ms(1000)).await;
        assert_eq!(pair.master.state("worker").await, Some(MonitorState::Running));
        pair.world.end_process(worker.id, ProcessEnd::Killed);
        pair.world.sleep(CONFIG.interval * 2 + SLACK).await;
        assert_eq!(pair.master.state("worker").await, Some(MonitorState::Unreachable));
    });
}

#[test]
fn a_healed_pair_beats_again_under_a_new_session() {
    pair(async |pair| {
        pair.beat().await;
        let cut = pair.cut();
        pair.world.sleep(ms(1000)).await;
        assert_eq!(pair.master.loss().1, "timeout worker 1");
        assert_eq!(pair.worker.loss().1, "timeout master 1");
        pair.world.remove_rule(cut);
        pair.master.monitor(&pair.worker, SECOND).await;
        pair.worker.monitor(&pair.master, SECOND).await;
        pair.beat().await;
        assert!(!pair.master.unmonitor(&pair.worker, FIRST).await, "a stale notice");
        pair.beat().await;
    });
}

#[test]
fn a_short_partition_is_no_loss() {
    pair(async |pair| {
        pair.beat().await;
        for _ in 0..5 {
            let cut = pair.cut();
            pair.world.sleep(SHORT).await;
            pair.world.remove_rule(cut);
            pair.world.sleep(CONFIG.interval + SLACK).await;
        }
        assert!(pair.master.beats() >= 5 && pair.worker.beats() >= 5);
    });
}

#[test]
fn a_target_paused_for_long_is_given_up_and_one_paused_shortly_is_not() {
    pair(async |pair| {
        pair.beat().await;
        pair.world.pause(pair.worker.id);
        pair.world.sleep(SHORT).await;
        pair.world.resume(pair.worker.id);
        pair.world.sleep(ms(1000)).await;
        assert!(pair.master.beats() > 9);
        let begin = pair.world.elapsed();
        pair.world.pause(pair.worker.id);
        pair.world.sleep(ms(2000)).await;
        let (time, text) = pair.master.loss();
        assert_eq!(text, "timeout worker 1");
        assert!(time - begin <= CONFIG.timeout + CONFIG.interval);
        pair.world.resume(pair.worker.id);
        pair.world.sleep(ms(1000)).await;
        assert_eq!(pair.master.beats(), 0, "late beats do not bring it back");
    });
}

#[test]
fn monitoring_the_same_session_again_changes_nothing() {
    pair(async |pair| {
        for _ in 0..6 {
            pair.master.monitor(&pair.worker, FIRST).await;
            pair.world.sleep(CONFIG.timeout / 5).await;
        }
        assert!(pair.master.beats() > 0);
        pair.worker.stop().await;
        for _ in 0..8 {
            pair.master.monitor(&pair.worker, FIRST).await;
            pair.world.sleep(CONFIG.timeout / 5).await;
        }
        assert_eq!(pair.master.loss().1, "timeout worker 1");
        pair.assert_losses(1);
    });
}

#[test]
fn a_stopped_manager_monitors_asks_and_notifies_no_more() {
    pair(async |pair| {
        pair.beat().await;
        pair.master.stop().await;
        pair.worker.stop().await;
        pair.master.monitor(&pair.worker, SECOND).await;
        pair.master.start().await;
        pair.world.sleep(ms(3000)).await;
        assert_eq!((pair.master.beats(), pair.worker.beats()), (0, 0));
        assert_eq!(pair.master.state("worker").await, None);
        pair.assert_losses(0);
    });
}

#[test]
fn a_stopped_sender_is_idle() {
    let report = in_simulation(async |world, _| {
        let master = Node::new(&world, "master", CONFIG).await;
        master.start().await;
        master.stop().await;
        world.sleep(Duration::from_secs(3600)).await;
    });
    assert!(report.entries < 100, "{} entries", report.entries);
}

#[test]
fn starting_again_does_not_double_the_requests() {
    pair(async |pair| {
        pair.master.start().await;
        pair.master.start().await;
        pair.world.sleep(SLACK).await;
        drop((pair.master.noted(), pair.worker.noted()));
        pair.beat().await;
    });
}

#[test]
fn timers_follow_the_clock_of_the_node_that_waits() {
    pair(async |pair| {
        pair.beat().await;
        pair.world.set_drift(pair.master.id, 500_000);
        let age = pair.master.last_heartbeat("worker").await.expect("it beats");
        let begin = pair.world.elapsed();
        pair.world.end_process(pair.worker.id, ProcessEnd::PowerCut);
        pair.world.sleep(ms(2000)).await;
        let after = pair.master.loss().0 - begin;
        let expected = (CONFIG.timeout - age) * 2 / 3;
        assert!(after > expected - SLACK && after < expected + SLACK, "{after:?} {expected:?}");
    });
}

#[test]
fn under_another_token_nothing_of_the_old_ones_goes_on() {
    in_simulation(async |world, events| {
        let worker = Node::new(&world, "worker", CONFIG).await;
        let service = worker.on_main(|_, context| context.service().clone()).await;
        let diary = Arc::<Diary>::default();
        let beats = HeartbeatManagerSender::new("leader", CONFIG);
        let member = Member { world: world.clone(), diary: diary.clone(), beats };
        let token = Some(FencingToken(1));
        let server = service.start_fenced_server("leader", member, token).expect("a free name");
        server.start();
        let (id, name) = (worker.id, "leader".to_string());
        let leader = Node { id, name, diary, server };
        leader.monitor(&worker, FIRST).await;
        leader.start().await;
        world.sleep(ms(300)).await;
        leader.on_main(|_, context| context.set_token(Some(FencingToken(2)))).await;
        worker.noted();
        world.sleep(ms(3000)).await;
        assert_eq!(leader.beats(), 0);
        let lost = |event: &HeartbeatEvent| matches!(event, HeartbeatEvent::TimedOut { .. });
        assert!(!events.0.lock().unwrap().iter().any(lost));
    });
}

#[test]
fn an_idle_cluster_of_ten_costs_little_and_loses_nobody() {
    let config = HeartbeatConfig::default();
    let report = in_simulation(async move |world, events| {
        let master = Node::new(&world, "master", config).await;
        let workers = (0..9).map(|n| format!("worker{n}")).collect::<Vec<_>>();
        let workers = join_all(workers.iter().map(|name| Node::new(&world, name, config))).await;
        for worker in &workers {
            worker.monitor(&master, FIRST).await;
            master.monitor(worker, FIRST).await;
        }
        master.start().await;
        world.sleep(Duration::from_secs(3600)).await;
        assert!((3230..=3250).contains(&master.beats()));
        let all = events.0.lock().unwrap();
        let beat = |event: &&HeartbeatEvent| matches!(event, HeartbeatEvent::BeatReceived { .. });
        let beats = all.iter().filter(beat).count();
        assert_eq!(all.len() - beats, 18, "besides beats only that monitoring began");
        assert!((2 * 3230..=2 * 3250).contains(&beats), "a request is a beat, and its answer");
    });
    let beats = 9 * 361;
    assert!(report.messages < 4 * beats + 100, "a beat is two calls with their answers");
    assert!(report.entries < 20 * beats, "{} entries for {beats} beats", report.entries);
}
