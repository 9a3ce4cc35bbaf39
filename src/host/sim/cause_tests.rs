//! What led to what: chains over tasks, frames, timers, disks and faults.

use super::{tests::ms, *};
use crate::host::{Event, Evidence, Host, Inbound, Kind, MessageSender, NodeAddress, OpenMode};
use bytes::Bytes;
use std::sync::Arc;

const KIND: Kind = Kind::new("Test.cause");

/// Something that a test announces.
#[derive(Clone, Debug, Hash)]
struct Said(&'static str);

crate::event!(Said, |_| Evidence::SelfReport);

/// Stalls the node's disk within the step that says so.
struct Staller;

impl Observer for Staller {
    fn observe(&self, world: &World, stamp: Stamp, event: &dyn Event) {
        if let Some(Said("stall")) = event.as_any().downcast_ref() {
            let fault = DiskFault { on: DiskOp::Any, effect: DiskEffect::Stalled };
            world.set_disk_fault(stamp.node, fault);
        }
    }
}

/// The trace of a run.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per run")]
fn traced(body: impl AsyncFnOnce(World) + Send + 'static) -> (Vec<TraceLine>, TraceDigest) {
    let config = WorldConfig { trace: true, ..WorldConfig::new(1) };
    let run = move || simulate(config, Arc::new(Staller), body).1;
    let report = std::thread::spawn(run).join().expect("the run does not panic");
    (report.trace, report.digest)
}

/// The line of what somebody said.
fn said<'a>(trace: &'a [TraceLine], what: &str) -> &'a TraceLine {
    let event = format!("Said({what:?})");
    let found = trace.iter().find(|line| line.says("event") == Some(&event));
    found.unwrap_or_else(|| panic!("nobody said {what}: {trace:#?}"))
}

/// The kinds of what led to a line, itself first.
fn kinds(trace: &[TraceLine], line: &TraceLine) -> Vec<&'static str> {
    causes(trace, line.entry).iter().map(|line| line.kind).collect()
}

fn cause_of<'a>(trace: &'a [TraceLine], line: &TraceLine) -> &'a TraceLine {
    causes(trace, line.entry).get(1).unwrap_or_else(|| panic!("{line} has a cause"))
}

fn send(sender: &MessageSender, to: &str, frame: &'static str) {
    let peer = sender.peer(&NodeAddress::new(to, 1));
    sender.send(&peer, KIND, 0, Bytes::from_static(frame.as_bytes())).expect("a small frame");
}

/// Says each frame that it takes.
async fn listener(host: Host) {
    let (_, mut receiver) = host.bind(1).await.expect("a free port");
    loop {
        if let Inbound::Frame { frame, .. } = receiver.recv().await {
            let word = ["first", "second"].into_iter().find(|word| word.as_bytes() == frame);
            host.announce(&Said(word.expect("one of both")));
        }
    }
}

/// Sends a frame when its time has come.
fn send_later(host: &Host, sender: &MessageSender, millis: u64, frame: &'static str) {
    let (host, sender) = (host.clone(), sender.clone());
    let own = host.clone();
    own.spawn(async move {
        host.sleep(ms(millis)).await;
        send(&sender, "listener", frame);
    });
}

/// Sends both frames, each from a task of its own.
async fn two_timers(host: Host) {
    let (sender, _receiver) = host.bind(1).await.expect("a free port");
    send_later(&host, &sender, 20, "first");
    send_later(&host, &sender, 30, "second");
    futures::future::pending().await
}

#[test]
fn an_event_leads_back_over_two_nodes_to_the_timer_and_the_boot() {
    let (trace, _) = traced(async |world| {
        let (there, here) = (world.add_node("there"), world.add_node("here"));
        world.boot(there, |host| async move {
            let (sender, mut receiver) = host.bind(1).await.expect("a free port");
            receiver.recv().await;
            send(&sender, "here", "answer");
            futures::future::pending().await
        });
        world.boot(here, |host| async move {
            let (sender, mut receiver) = host.bind(1).await.expect("a free port");
            let beat = host.clone();
            host.spawn(async move {
                beat.sleep(ms(10)).await;
                send(&sender, "there", "question");
                futures::future::pending().await
            });
            receiver.recv().await;
            host.announce(&Said("done"));
        });
        world.sleep(ms(100)).await;
    });
    let led = causes(&trace, said(&trace, "done").entry);
    let kinds: Vec<_> = led.iter().map(|line| line.kind).collect();
    assert_eq!(kinds, ["event", "frame-delivered", "frame-delivered", "timer-fired", "event"]);
    let to: Vec<_> = led.iter().filter_map(|line| line.says("to")).collect();
    assert_eq!(to, ["here", "there"]);
    assert_eq!(led[4].says("event"), Some("Booted"));
    assert_eq!(led[4].cause, None, "the harness boots nodes");
}

#[test]
fn frames_that_are_taken_in_one_poll_keep_their_own_causes() {
    let (trace, _) = traced(async |world| {
        let (to, from) = (world.add_node("listener"), world.add_node("timers"));
        world.boot(to, listener);
        world.boot(from, two_timers);
        world.sleep(ms(10)).await;
        world.pause(to);
        world.sleep(ms(50)).await;
        world.resume(to);
        world.sleep(ms(10)).await;
    });
    let sent = |what| {
        let delivered = cause_of(&trace, said(&trace, what));
        assert_eq!(delivered.kind, "frame-delivered");
        cause_of(&trace, delivered)
    };
    let (first, second) = (sent("first"), sent("second"));
    assert_eq!((first.kind, second.kind), ("timer-fired", "timer-fired"));
    assert!(first.entry < second.entry);
    assert_eq!(said(&trace, "first").time, said(&trace, "second").time, "in one poll");
}

#[test]
fn the_first_wake_since_the_last_poll_is_its_cause() {
    let (trace, _) = traced(async |world| {
        let node = world.add_node("a");
        world.boot(node, |host| async move {
            let (early, late) = (host.sleep(ms(20)), host.sleep(ms(30)));
            futures::join!(early, late);
            host.announce(&Said("woken"));
        });
        world.sleep(ms(10)).await;
        world.pause(node);
        world.sleep(ms(50)).await;
        world.resume(node);
        world.sleep(ms(10)).await;
    });
    let fired: Vec<_> = trace.iter().filter(|line| line.kind == "timer-fired").collect();
    assert_eq!(fired.len(), 2);
    assert_eq!(said(&trace, "woken").cause, Some(fired[0].entry));
}

#[test]
fn a_poll_leaves_no_cause_behind() {
    let (trace, _) = traced(async |world| {
        let node = world.add_node("a");
        world.boot(node, |host| async move {
            loop {
                host.sleep(ms(10)).await;
                host.announce(&Said("tick"));
            }
        });
        world.sleep(ms(100)).await;
        world.step_wall(node, 1);
    });
    let stepped = trace.iter().find(|line| line.says("event") == Some("WallStepped { nanos: 1 }"));
    assert_eq!(stepped.expect("it was stepped").cause, None);
    assert_eq!(cause_of(&trace, said(&trace, "tick")).kind, "timer-fired");
}

#[test]
fn both_copies_of_a_frame_have_the_cause_of_its_sending() {
    let (trace, _) = traced(async |world| {
        let (to, from) = (world.add_node("listener"), world.add_node("timers"));
        let (all, effect) = (NodeSet::All, LinkEffect::Duplicate { per_million: 1_000_000 });
        world.add_rule(LinkRule { from: all.clone(), to: all, kind: None, nth: None, effect });
        world.boot(to, listener);
        world.boot(from, two_timers);
        world.sleep(ms(25)).await;
    });
    let timer = trace.iter().find(|line| line.kind == "timer-fired").expect("it fired");
    let caused = |kind| {
        let of_kind = trace.iter().filter(move |line| line.kind == kind);
        of_kind.map(|line| line.cause).collect::<Vec<_>>()
    };
    assert_eq!(caused("frame-duplicated"), [Some(timer.entry)]);
    assert_eq!(caused("frame-delivered"), [Some(timer.entry); 2]);
}

#[test]
fn a_held_frame_keeps_the_cause_of_its_sending() {
    let (trace, _) = traced(async |world| {
        let (to, from) = (world.add_node("listener"), world.add_node("timers"));
        let all = NodeSet::All;
        let hold = LinkRule {
            from: all.clone(),
            to: all,
            kind: None,
            nth: Some(1),
            effect: LinkEffect::Hold,
        };
        let hold = world.add_rule(hold);
        world.boot(to, listener);
        world.boot(from, two_timers);
        world.sleep(ms(60)).await;
        world.remove_rule(hold);
        world.sleep(ms(60)).await;
    });
    assert_eq!(
        kinds(&trace, said(&trace, "first")),
        ["event", "frame-delivered", "timer-fired", "event"]
    );
    let held = trace.iter().find(|line| line.kind == "frame-held").expect("it was held");
    assert_eq!(held.cause, cause_of(&trace, said(&trace, "first")).cause);
}

#[test]
fn a_disk_operation_has_the_cause_under_which_it_began() {
    let (trace, _) = traced(async |world| {
        let node = world.add_node("a");
        world.boot(node, |host| async move {
            let file = host.disk().open("file", OpenMode::Create).await.expect("there is room");
            host.announce(&Said("stall"));
            file.append(Bytes::from_static(b"data")).await.expect("there is room");
            host.announce(&Said("written"));
        });
        world.sleep(ms(50)).await;
        world.clear_disk_faults(node);
        world.sleep(ms(50)).await;
    });
    let written = said(&trace, "written");
    let operations = ["event", "disk-operation", "disk-operation", "event"];
    assert_eq!(kinds(&trace, written), operations);
    assert_eq!(cause_of(&trace, written).says("operation"), Some("append"));
    let fault = trace.iter().find(|line| line.kind == "disk-fault-set").expect("it was set");
    assert_eq!(fault.cause, Some(said(&trace, "stall").entry), "it was done at that event");
}

#[test]
fn what_a_cancelled_task_says_at_its_end_is_because_of_who_cancelled_it() {
    struct LastWords(Host);
    impl Drop for LastWords {
        fn drop(&mut self) {
            self.0.announce(&Said("last"));
        }
    }
    let (trace, _) = traced(async |world| {
        let node = world.add_node("a");
        world.boot(node, |host| async move {
            let words = LastWords(host.clone());
            let task = host.spawn(async move {
                let _words = words;
                futures::future::pending::<()>().await;
            });
            host.sleep(ms(10)).await;
            task.cancel();
            futures::future::pending().await
        });
        world.sleep(ms(50)).await;
    });
    assert_eq!(cause_of(&trace, said(&trace, "last")).kind, "timer-fired");
}

#[test]
fn streams_carry_causes_and_an_end_leads_to_what_its_peers_hear() {
    let (trace, _) = traced(async |world| {
        let (server, client) = (world.add_node("server"), world.add_node("client"));
        world.boot(server, |host| async move {
            let mut listener = host.listen(2).await.expect("a free port");
            let mut stream = listener.accept().await.expect("a client");
            while let Ok(Some(_)) = stream.read().await {
                host.announce(&Said("read"));
            }
            host.announce(&Said("broken"));
        });
        world.boot(client, |host| async move {
            let address = NodeAddress::new("server", 2);
            let mut stream = host.connect(&address).await.expect("it listens");
            host.sleep(ms(10)).await;
            stream.write(Bytes::from_static(b"data")).await.expect("it stands");
            futures::future::pending().await
        });
        world.sleep(ms(50)).await;
        world.end_process(client, ProcessEnd::Killed);
        world.sleep(ms(50)).await;
    });
    let read = causes(&trace, said(&trace, "read").entry);
    assert_eq!((read[1].kind, read[1].says("packet")), ("packet-delivered", Some("segment")));
    assert_eq!(read[2].kind, "timer-fired");
    let broken = causes(&trace, said(&trace, "broken").entry);
    assert_eq!((broken[1].kind, broken[1].says("packet")), ("packet-delivered", Some("reset")));
    assert_eq!(broken[2].says("event"), Some("Ended(Killed)"));
    assert_eq!(broken.len(), 3, "the harness killed it");
}

#[test]
fn one_seed_is_one_trace_with_its_causes() {
    let run = || {
        traced(async |world| {
            let (to, from) = (world.add_node("listener"), world.add_node("timers"));
            world.boot(to, listener);
            world.boot(from, two_timers);
            world.sleep(ms(60)).await;
        })
    };
    let ((first, first_digest), (second, second_digest)) = (run(), run());
    assert_eq!((first, first_digest), (second, second_digest));
}

#[test]
fn a_line_has_fields() {
    let (trace, _) = traced(async |world| {
        let (to, from) = (world.add_node("listener"), world.add_node("timers"));
        let (only, effect) = (NodeSet::one(from), LinkEffect::Loss { per_million: 7 });
        let rule = LinkRule { from: only, to: NodeSet::All, kind: None, nth: None, effect };
        world.add_rule(rule);
        world.boot(to, listener);
        world.boot(from, two_timers);
        world.boot(world.add_node("disk"), |host| async move {
            let _ = host.disk().open("none", OpenMode::Read).await;
        });
        world.sleep(ms(25)).await;
        world.cut_power(to, Unsynced::Lost);
        world.sleep(ms(20)).await;
    });
    let json = |kind: &str| {
        let line = trace.iter().find(|line| line.kind == kind).unwrap_or_else(|| panic!("{kind}"));
        let mut json = serde_json::to_value(line).expect("it has string keys only");
        // What is drawn is no part of this.
        for drawn in ["time", "deadline"] {
            json.as_object_mut().expect("a line is a map").remove(drawn);
        }
        json.to_string()
    };
    let lines = [
        r#"{"effect":"Loss { per_million: 7 }","entry":1,"from":["timers"],"kind":"link-rule-added","rule":1,"to":"all"}"#,
        r#"{"draws":0,"entry":2,"event":"Booted","incarnation":1,"kind":"event","node":"listener","type":"Hardware"}"#,
        r#"{"cause":4,"data":0,"entry":6,"error":"entity not found","kind":"disk-operation","length":0,"node":"disk","offset":0,"operation":"open","path":"none"}"#,
        r#"{"cause":4,"entry":5,"kind":"timer-fired","node":"disk"}"#,
        r#"{"cause":7,"entry":8,"from":"timers","kind":"frame-delivered","message":"Test.cause","ordinal":0,"to":"listener"}"#,
        r#"{"entry":10,"kind":"power-lost","node":"listener","unsynced":"Lost"}"#,
        r#"{"cause":12,"entry":13,"from":"timers","kind":"frame-lost","message":"Test.cause","ordinal":1,"to":"listener","why":"no-power"}"#,
    ];
    for line in lines {
        let parsed: serde_json::Value = serde_json::from_str(line).expect("it is JSON");
        assert_eq!(json(parsed["kind"].as_str().expect("each has a kind")), line);
    }
    assert_eq!(
        trace[0].to_string(),
        "#1 link-rule-added timers -> all rule=1 effect=Loss { per_million: 7 }"
    );
}
