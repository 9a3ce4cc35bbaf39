//! Streams in a simulation: order, windows and time, refusal, silence and resets.

use super::*;
use crate::host::{
    Host, NodeAddress,
    sim::{
        Delay, LinkEffect, LinkRule, NodeId, NodeSet, ProcessEnd, World,
        tests::{ms, run},
    },
};
use bytes::Bytes;
use proptest::prelude::*;
use std::{
    io::ErrorKind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

const PORT: u16 = 6000;

/// Which side, when, what.
type Event = (&'static str, Duration, String);

/// What the two sides of a test saw, in the order in which they saw it.
#[derive(Clone, Default)]
struct Seen {
    written: Arc<AtomicU64>,
    read: Arc<AtomicU64>,
    /// The greatest distance between the two that a write left behind.
    unread_max: Arc<AtomicU64>,
    /// Bytes that came out of order.
    wrong: Arc<AtomicU64>,
    ends: Arc<Mutex<Vec<Event>>>,
}

impl Seen {
    fn end(&self, world: &World, who: &'static str, what: impl std::fmt::Debug) {
        self.ends.lock().unwrap().push((who, world.elapsed(), format!("{what:?}")));
    }

    /// What one side saw, without times.
    fn of(&self, who: &str) -> Vec<String> {
        let ends = self.ends.lock().unwrap();
        ends.iter().filter(|end| end.0 == who).map(|end| end.2.clone()).collect()
    }

    /// When one side saw its first.
    fn when(&self, who: &str) -> Duration {
        let ends = self.ends.lock().unwrap();
        ends.iter().find(|end| end.0 == who).expect("it saw something").1
    }
}

fn byte_at(position: u64) -> u8 {
    u8::try_from((position ^ (position >> 8)) % 251).unwrap()
}

fn pattern(from: u64, length: usize) -> Bytes {
    (from..from + length as u64).map(byte_at).collect::<Vec<_>>().into()
}

/// Reads one stream to its end, pausing after each chunk.
async fn serve(host: Host, world: World, seen: Seen, pause: Duration) {
    let mut listener = host.listen(PORT).await.expect("a free port");
    let mut stream = listener.accept().await.expect("a listener");
    let ended = loop {
        match stream.read().await {
            Ok(Some(bytes)) => {
                let at = seen.read.load(Ordering::Relaxed);
                let expected = pattern(at, bytes.len());
                seen.wrong.fetch_add(u64::from(expected != bytes), Ordering::Relaxed);
                seen.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Ok(None) => break "end".to_string(),
            Err(error) => break format!("{:?}", error.kind()),
        }
        host.sleep(pause).await;
    };
    seen.end(&world, "server", ended);
    drop(stream);
    std::future::pending().await
}

/// Writes chunks of these sizes and closes.
async fn feed(host: Host, world: World, seen: Seen, chunks: Vec<usize>) {
    let mut stream = match host.connect(&NodeAddress::new("server", PORT)).await {
        Ok(stream) => stream,
        Err(error) => return seen.end(&world, "client", error.kind()),
    };
    for chunk in chunks {
        let from = seen.written.load(Ordering::Relaxed);
        if let Err(error) = stream.write(pattern(from, chunk)).await {
            return seen.end(&world, "client", error.kind());
        }
        let written = seen.written.fetch_add(chunk as u64, Ordering::Relaxed) + chunk as u64;
        let unread = written - seen.read.load(Ordering::Relaxed);
        seen.unread_max.fetch_max(unread, Ordering::Relaxed);
    }
    stream.close();
    seen.end(&world, "client", "written");
    let rest = stream.read().await.map_err(|error| error.kind());
    seen.end(&world, "client", rest);
}

/// A server that reads and a client that feeds it.
fn start(world: &World, seen: &Seen, pause: Duration, chunks: Vec<usize>) -> (NodeId, NodeId) {
    let (server, client) = (world.add_node("server"), world.add_node("client"));
    world.boot(server, |host| serve(host, world.clone(), seen.clone(), pause));
    world.boot(client, |host| feed(host, world.clone(), seen.clone(), chunks));
    (server, client)
}

fn rule(from: NodeId, to: NodeId, effect: LinkEffect) -> LinkRule {
    LinkRule { from: NodeSet::one(from), to: NodeSet::one(to), kind: None, nth: None, effect }
}

#[derive(Clone, Debug)]
struct Weather {
    loss: u32,
    copies: u32,
    damage: u32,
    delay_ms: u64,
    /// From, to in milliseconds and the direction of each cut.
    cuts: Vec<(u64, u64, bool)>,
}

fn weather() -> impl Strategy<Value = Weather> {
    let share = || prop_oneof![Just(0), 0..200_000_u32];
    let cut = (0..3000_u64, 1..6000_u64, any::<bool>());
    let cuts = prop::collection::vec(cut.prop_map(|(at, length, d)| (at, at + length, d)), 0..3);
    (share(), share(), share(), prop_oneof![Just(0), 0..300_u64], cuts).prop_map(
        |(loss, copies, damage, delay_ms, cuts)| Weather { loss, copies, damage, delay_ms, cuts },
    )
}

fn raise(world: &World, nodes: (NodeId, NodeId), weather: &Weather) {
    let most = ms(weather.delay_ms);
    for (from, to) in [nodes, (nodes.1, nodes.0)] {
        for effect in [
            LinkEffect::Loss { per_million: weather.loss },
            LinkEffect::Duplicate { per_million: weather.copies },
            LinkEffect::Corrupt { per_million: weather.damage },
            LinkEffect::Delay(Delay::Uniform(Duration::ZERO, most)),
        ] {
            world.add_rule(rule(from, to, effect));
        }
    }
    for (from, to, forward) in weather.cuts.clone() {
        let hands = world.clone();
        let ends = if forward { nodes } else { (nodes.1, nodes.0) };
        world.spawn(async move {
            hands.sleep(ms(from)).await;
            let cut = hands.add_rule(rule(ends.0, ends.1, LinkEffect::Cut));
            hands.sleep(ms(to - from)).await;
            hands.remove_rule(cut);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_is_what_was_written(
        seed: u64,
        weather in weather(),
        chunks in prop::collection::vec(prop_oneof![1..50_usize, 1..40_000_usize, 60_000..100_000_usize], 1..12),
        pause_us in prop_oneof![Just(0_u64), 1..200_000_u64],
        rate in prop_oneof![Just(1_000_000_000_u64), 100_000..10_000_000_u64],
    ) {
        let seen = Seen::default();
        let noted = seen.clone();
        let (sizes, raised) = (chunks.clone(), weather.clone());
        run(seed, async move |world| {
            world.set_stream_rate(rate);
            let pause = Duration::from_micros(pause_us);
            let nodes = start(&world, &noted, pause, sizes);
            raise(&world, nodes, &raised);
            world.sleep(Duration::from_secs(400)).await;
        });
        let total = chunks.iter().sum::<usize>() as u64;
        let [written, read] = [&seen.written, &seen.read].map(|n| n.load(Ordering::Relaxed));
        prop_assert_eq!(seen.wrong.load(Ordering::Relaxed), 0, "bytes out of order");
        // A write that failed on its way may have brought more than was acknowledged.
        prop_assert!(read <= total);
        let unread_max = seen.unread_max.load(Ordering::Relaxed);
        prop_assert!(unread_max <= STREAM_WINDOW_BYTES as u64, "{}", unread_max);
        match &seen.of("client")[..] {
            // Cuts are shorter than the connect and the silence that a stream bears.
            [first, second] => {
                prop_assert_eq!(first, "\"written\"");
                prop_assert_eq!(second, "Ok(None)");
                prop_assert_eq!(seen.of("server"), ["\"end\""]);
                prop_assert_eq!((written, read), (total, total));
            }
            // Four SYNs may all be in vain; under loss and damage also the nine tries of a segment,
            // and those of the peer's FIN: then its reader waits, as one without keepalive does.
            [only] => {
                let lossy = weather.loss + weather.damage > 0;
                match only.as_str() {
                    "TimedOut" => prop_assert!(read == 0 || lossy, "{} of {}", read, total),
                    left => {
                        prop_assert!(left == "\"written\"" && lossy, "{} of {}", left, read);
                        prop_assert_eq!((written, seen.of("server").len()), (total, 1));
                    }
                }
            }
            other => prop_assert!(false, "{:?} {:?}", other, seen.ends.lock().unwrap()),
        }
    }
}

#[test]
fn nobody_there_is_refused_after_a_round_trip_and_a_dead_machine_is_silent() {
    for (listens, powered) in [(false, true), (true, false)] {
        let seen = Seen::default();
        run(1, async move |world| {
            let server = world.add_node("server");
            if !powered {
                world.end_process(server, ProcessEnd::PowerCut);
            }
            assert!(!listens || !world.is_running(server));
            let client = world.add_node("client");
            world.boot(client, |host| feed(host, world.clone(), seen.clone(), vec![1]));
            world.sleep(Duration::from_secs(20)).await;
            let (when, what) = (seen.when("client"), seen.of("client"));
            if powered {
                assert!(ms(1) <= when && when <= ms(5), "{when:?}");
                assert_eq!(what, ["ConnectionRefused"]);
            } else {
                assert!(ms(15_000) <= when && when <= ms(15_001), "{when:?}");
                assert_eq!(what, ["TimedOut"]);
            }
        });
    }
}

#[test]
fn a_syn_is_tried_again_through_a_cut_that_heals() {
    let seen = Seen::default();
    run(1, async move |world| {
        let nodes = start(&world, &seen, Duration::ZERO, vec![100]);
        let cut = world.add_rule(rule(nodes.1, nodes.0, LinkEffect::Cut));
        world.sleep(ms(2500)).await;
        world.remove_rule(cut);
        world.sleep(ms(5000)).await;
        let when = seen.when("client");
        assert!(
            ms(3000) <= when && when <= ms(3020),
            "the third SYN leaves after 1 + 2 s: {when:?}"
        );
        assert_eq!(seen.of("server"), ["\"end\""]);
    });
}

#[test]
fn a_killed_peer_resets_and_a_powerless_one_is_silent_until_writes_time_out() {
    for (end, kind, after) in [
        (ProcessEnd::Killed, "ConnectionReset", (1000, 1005)),
        (ProcessEnd::PowerCut, "TimedOut", (60_900, 61_000)),
    ] {
        let seen = Seen::default();
        run(1, async move |world| {
            let (server, _) = start(&world, &seen, ms(10), vec![10_000; 10_000]);
            world.sleep(ms(1000)).await;
            world.end_process(server, end);
            world.sleep(Duration::from_secs(100)).await;
            assert_eq!(seen.of("client"), [kind]);
            let when = seen.when("client");
            assert!(ms(after.0) <= when && when <= ms(after.1), "{when:?}");
        });
    }
}

/// Connects and only waits for something to read.
async fn wait(host: Host, world: World, seen: Seen) {
    let mut stream = host.connect(&NodeAddress::new("server", PORT)).await.expect("it listens");
    let read = stream.read().await.map_err(|error| error.kind());
    seen.end(&world, "client", read);
}

#[test]
fn a_cut_that_outlasts_the_patience_breaks_both_ends() {
    let seen = Seen::default();
    let (noted, log) = (seen.clone(), seen.clone());
    run(1, async move |world| {
        let nodes = start(&world, &noted, ms(10), vec![10_000; 10_000]);
        world.sleep(ms(1000)).await;
        for (from, to) in [nodes, (nodes.1, nodes.0)] {
            let cut = world.add_rule(rule(from, to, LinkEffect::Cut));
            let hands = world.clone();
            world.spawn(async move {
                hands.sleep(ms(70_000)).await;
                hands.remove_rule(cut);
            });
        }
        world.sleep(ms(69_000)).await;
        assert_eq!(log.of("client"), ["TimedOut"]);
        assert_eq!(log.of("server"), [""; 0], "who only reads learns nothing");
        world.sleep(ms(100_000)).await;
        assert_eq!(log.of("server"), [""; 0], "nobody writes any more");
    });
    assert_eq!(seen.wrong.load(Ordering::Relaxed), 0);
}

#[test]
fn a_silent_reader_never_learns_of_a_power_cut_by_itself() {
    let seen = Seen::default();
    run(1, async move |world| {
        let (server, client) = (world.add_node("server"), world.add_node("client"));
        world.boot(server, |host| serve(host, world.clone(), seen.clone(), Duration::ZERO));
        world.boot(client, |host| wait(host, world.clone(), seen.clone()));
        world.sleep(ms(1000)).await;
        world.end_process(server, ProcessEnd::PowerCut);
        world.sleep(Duration::from_secs(1000)).await;
        assert_eq!(seen.of("client"), [""; 0]);
    });
}

#[test]
fn after_a_reset_was_lost_or_a_reboot_the_next_segment_is_answered_by_a_reset() {
    for end in [ProcessEnd::Killed, ProcessEnd::PowerCut] {
        let seen = Seen::default();
        run(1, async move |world| {
            let nodes = start(&world, &seen, ms(10), vec![10_000; 10_000]);
            world.sleep(ms(1000)).await;
            let cut = world.add_rule(rule(nodes.0, nodes.1, LinkEffect::Cut));
            world.end_process(nodes.0, end);
            world.sleep(ms(10_000)).await;
            assert_eq!(seen.of("client"), [""; 0], "the reset is lost in the cut");
            world.remove_rule(cut);
            world.boot(nodes.0, |host| serve(host, world.clone(), seen.clone(), ms(10)));
            world.sleep(ms(10_000)).await;
            assert_eq!(seen.of("client"), ["ConnectionReset"]);
        });
    }
}

#[test]
fn a_slow_or_paused_reader_holds_the_writer_back() {
    let seen = Seen::default();
    run(1, async move |world| {
        let (server, _) = start(&world, &seen, Duration::ZERO, vec![1000; 1000]);
        world.sleep(ms(3)).await;
        world.pause(server);
        world.sleep(Duration::from_secs(200)).await;
        let [written, read] = [&seen.written, &seen.read].map(|n| n.load(Ordering::Relaxed));
        let unread = written - read;
        assert!((60_000..=65_536).contains(&unread), "{unread}");
        assert_eq!(seen.of("client"), [""; 0], "a full window is no silence");
        world.resume(server);
        world.sleep(Duration::from_secs(20)).await;
        assert_eq!(seen.of("client"), ["\"written\"", "Ok(None)"]);
        assert_eq!(seen.read.load(Ordering::Relaxed), 1_000_000);
    });
}

#[test]
fn a_stream_carries_its_byte_rate_and_no_more() {
    for (rate, low, high) in [(1_000_000, 990, 1080), (10_000_000, 99, 140)] {
        let seen = Seen::default();
        run(1, async move |world| {
            world.set_stream_rate(rate);
            start(&world, &seen, Duration::ZERO, vec![10_000; 100]);
            world.sleep(Duration::from_secs(10)).await;
            let when = seen.when("server");
            assert!(ms(low) <= when && when <= ms(high), "{when:?}");
        });
    }
}

#[test]
fn the_backlog_is_bounded() {
    let seen = Seen::default();
    run(1, async move |world| {
        let (server, client) = (world.add_node("server"), world.add_node("client"));
        world.boot(server, async |host| {
            let _listener = host.listen(PORT).await.expect("a free port");
            std::future::pending().await
        });
        let (handle, noted) = (world.clone(), seen.clone());
        world.boot(client, |host| async move {
            for _ in 0..150 {
                host.spawn(wait_connected(host.clone(), handle.clone(), noted.clone()));
            }
            std::future::pending().await
        });
        world.sleep(Duration::from_secs(20)).await;
        let ends = seen.of("client");
        assert_eq!(ends.iter().filter(|end| *end == "\"connected\"").count(), 128);
        assert_eq!(ends.iter().filter(|end| *end == "TimedOut").count(), 22);
    });
}

async fn wait_connected(host: Host, world: World, seen: Seen) {
    match host.connect(&NodeAddress::new("server", PORT)).await {
        Ok(_stream) => {
            seen.end(&world, "client", "connected");
            std::future::pending().await
        }
        Err(error) => seen.end(&world, "client", error.kind()),
    }
}

#[test]
fn dropping_a_stream_still_delivers_and_ports_are_exclusive() {
    let seen = Seen::default();
    run(1, async move |world| {
        let (server, client) = (world.add_node("server"), world.add_node("client"));
        world.boot(server, |host| serve(host, world.clone(), seen.clone(), Duration::ZERO));
        world.boot(client, |host| async move {
            let mut stream = host.connect(&NodeAddress::new("server", PORT)).await.unwrap();
            assert_eq!(stream.peer_address(), &NodeAddress::new("server", PORT));
            stream.write(pattern(0, 50_000)).await.unwrap();
            stream.close();
            let closed = stream.write(pattern(0, 1)).await.unwrap_err();
            assert_eq!(closed.kind(), ErrorKind::BrokenPipe);
            drop(stream);
            let first = host.listen(0).await.unwrap();
            let taken = host.listen(first.address().port).await.map(drop).unwrap_err();
            assert_eq!(taken.kind(), ErrorKind::AddrInUse);
        });
        world.sleep(Duration::from_secs(200)).await;
        assert_eq!(seen.of("server"), ["\"end\""]);
        assert_eq!(seen.read.load(Ordering::Relaxed), 50_000);
        assert!(world.is_running(client));
        assert_eq!(world.shared().lock().streams(0).0.ends_held(), 0, "both ends were forgotten");
    });
}

#[test]
fn a_kernel_delivers_for_the_dead_until_its_power_goes() {
    for power_goes in [false, true] {
        let seen = Seen::default();
        run(1, async move |world| {
            let (server, client) = (world.add_node("server"), world.add_node("client"));
            world.boot(server, |host| serve(host, world.clone(), seen.clone(), Duration::ZERO));
            world.boot(client, |host| async move {
                let mut stream = host.connect(&NodeAddress::new("server", PORT)).await.unwrap();
                host.sleep(ms(100)).await;
                stream.write(pattern(0, 50_000)).await.unwrap();
                drop(stream);
                host.exit("done");
            });
            world.sleep(ms(50)).await;
            let cut = world.add_rule(rule(client, server, LinkEffect::Cut));
            world.sleep(ms(1000)).await;
            assert!(!world.is_running(client));
            if power_goes {
                world.end_process(client, ProcessEnd::PowerCut);
            }
            world.remove_rule(cut);
            world.sleep(Duration::from_secs(30)).await;
            let expected = if power_goes { 0 } else { 50_000 };
            assert_eq!(seen.read.load(Ordering::Relaxed), expected);
        });
    }
}

#[test]
fn a_stream_within_a_node_crosses_no_link() {
    let seen = Seen::default();
    let report = run(1, async move |world| {
        let node = world.add_node("server");
        world.boot(node, |host| {
            host.spawn(serve(host.clone(), world.clone(), seen.clone(), Duration::ZERO));
            let (world, seen) = (world.clone(), seen.clone());
            async move {
                host.sleep(ms(1)).await;
                feed(host, world, seen, vec![5000; 50]).await;
            }
        });
        world.sleep(ms(1000)).await;
        assert_eq!(seen.of("client"), ["\"written\"", "Ok(None)"]);
    });
    assert_eq!(report.1.messages, 0);
}

#[test]
fn streams_leave_nothing_behind_and_keep_the_digest() {
    let seen = Seen::default();
    let digest = |seed, seen: Seen| {
        run(seed, async move |world| {
            let (server, _) = start(&world, &seen, ms(10), vec![10_000; 10_000]);
            world.sleep(ms(500)).await;
            world.end_process(server, ProcessEnd::Killed);
            world.boot(server, |host| serve(host, world.clone(), seen.clone(), ms(10)));
            world.sleep(ms(500)).await;
        })
        .1
        .digest
    };
    let first = digest(1, seen.clone());
    assert_eq!(first, digest(1, seen.clone()));
    assert_ne!(first, digest(2, seen.clone()));
    assert_eq!(Arc::strong_count(&seen.read), 1, "every future was dropped");
}

#[test]
fn a_reset_on_the_way_breaks_open_streams_of_that_pair_for_both_ends_at_once() {
    for others in [false, true] {
        let seen = Seen::default();
        run(1, async move |world| {
            let (server, client) = start(&world, &seen, ms(10), vec![10_000; 10_000]);
            let other = world.add_node("other");
            world.sleep(ms(500)).await;
            let struck = if others { other } else { client };
            world.reset(&NodeSet::one(server), &NodeSet::one(struck));
            world.sleep(ms(100)).await;
            let broken = (!others).then(|| "ConnectionReset".to_string());
            let broken: Vec<String> = broken.into_iter().collect();
            assert_eq!(seen.of("client"), broken);
            world.sleep(ms(1000)).await;
            // What had arrived is read first.
            let told: Vec<String> = broken.iter().map(|kind| format!("{kind:?}")).collect();
            assert_eq!(seen.of("server"), told);
            assert_eq!(seen.wrong.load(Ordering::Relaxed), 0);
        });
    }
}

#[test]
fn a_stream_over_a_slow_link_keeps_its_rate_and_loses_nothing() {
    let seen = Seen::default();
    run(1, async move |world| {
        let (server, client) = start(&world, &seen, Duration::ZERO, vec![10_000; 30]);
        let effect = LinkEffect::Rate { bytes_per_second: 50_000, window: 40_000 };
        world.add_rule(rule(client, server, effect));
        for second in 1..6 {
            world.sleep(Duration::from_secs(1)).await;
            let read = seen.read.load(Ordering::Relaxed);
            assert!(read <= second * 50_000, "{read} after {second} s");
        }
        world.sleep(Duration::from_secs(60)).await;
        assert_eq!(seen.of("server"), ["\"end\""]);
        assert_eq!(seen.read.load(Ordering::Relaxed), 300_000);
        assert_eq!(seen.wrong.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn of_a_segment_that_is_cut_short_a_beginning_arrives_and_both_ends_break() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..8 {
        let seen = Seen::default();
        let read = seen.read.clone();
        run(seed, async move |world| {
            let (server, client) = start(&world, &seen, Duration::ZERO, vec![1000; 100]);
            let cut = LinkEffect::CutShort { per_million: 1_000_000 };
            let kind = Some("stream.segment".into());
            let cut = LinkRule { kind, nth: Some(5), ..rule(client, server, cut) };
            world.add_rule(cut);
            world.sleep(Duration::from_secs(5)).await;
            assert_eq!(seen.of("client"), ["ConnectionReset"]);
            assert_eq!(seen.of("server"), ["\"ConnectionReset\""]);
            assert_eq!(seen.wrong.load(Ordering::Relaxed), 0);
        });
        lengths.insert(read.load(Ordering::Relaxed));
    }
    // The four before it are whole, and some of it came.
    assert!(lengths.iter().all(|read| (4001..5000).contains(read)), "{lengths:?}");
    assert!(lengths.len() > 3, "{lengths:?}");
}
