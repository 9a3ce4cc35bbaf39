//! At most one handling and exactly one outcome of each call, whatever the links do.

use super::{
    ALWAYS, AT_ONCE, Pair, ProbeGateway, ms, pair, pair_with, probe::on_main, text, value,
};
use std::{collections::BTreeMap, time::Duration};
use wavetank::{
    host::sim::{LinkEffect, ProcessEnd, WorldConfig},
    system::rpc::{AskOutcome, Gateway, RpcConfig, RpcError, RpcEvent, RpcSystem},
};

const SECOND: Duration = ms(1000);

/// A pair whose asks wait for a second.
fn impatient(body: impl AsyncFnOnce(Pair) + Send + 'static) {
    let config = RpcConfig { ask_timeout: SECOND, ..RpcConfig::default() };
    pair_with(WorldConfig::new(1), config, body);
}

fn loss() -> LinkEffect {
    LinkEffect::Loss { per_million: ALWAYS }
}

#[test]
fn an_ask_times_out_on_the_askers_clock() {
    for (drift, expected) in [(0, 1_000_000), (250_000, 800_000), (-200_000, 1_250_000)] {
        impatient(async move |pair| {
            let (_probe, _server, remote) = pair.probe().await;
            pair.world.add_rule(pair.to_server(None, loss()));
            pair.world.set_drift(pair.client_node, drift);
            pair.world.set_drift(pair.server_node, -drift);
            let (answer, took) = pair.timed(remote.echo(text("lost"))).await;
            assert_eq!(answer, Err(RpcError::Timeout));
            let expected = Duration::from_micros(expected);
            assert!(took >= expected && took < expected + ms(1), "{drift}: {took:?}");
        });
    }
}

#[test]
fn drift_that_begins_while_an_ask_waits_moves_its_deadline() {
    impatient(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        let ask = remote.hold(text("held"));
        let begin = pair.world.elapsed();
        pair.world.sleep(ms(500)).await;
        pair.world.set_drift(pair.client_node, 500_000);
        assert_eq!(ask.await, Err(RpcError::Timeout));
        let took = pair.world.elapsed() - begin;
        assert!(took > ms(832) && took < ms(835), "{took:?}");
    });
}

#[test]
fn each_ask_has_the_timeout_of_its_gateway() {
    impatient(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        let slow = remote.with_timeout(ms(3000)).hold(text("slow"));
        let quick = remote.with_timeout(ms(100)).hold(text("quick"));
        let (answer, took) = pair.timed(quick).await;
        assert!(answer == Err(RpcError::Timeout) && took < ms(101), "{took:?}");
        let (answer, took) = pair.timed(slow).await;
        assert!(answer == Err(RpcError::Timeout) && took > ms(2899), "{took:?}");
    });
}

#[test]
fn a_late_answer_completes_nothing_and_a_later_ask_gets_its_own() {
    impatient(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        let timed_out = remote.hold(text("first"));
        assert_eq!(timed_out.await, Err(RpcError::Timeout));
        let second = remote.hold(text("second"));
        pair.settle().await;
        remote.release();
        assert_eq!(pair.at_once(second).await, value("second"));
        let outcomes = outcomes(&pair);
        assert!(outcomes.values().all(|outcomes| outcomes.len() == 1), "{outcomes:?}");
    });
}

#[test]
fn a_late_answer_of_the_network_completes_nothing_either() {
    impatient(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        let kind = Some("ProbeGateway.echo.reply");
        let hold = pair.world.add_rule(pair.to_client(kind, LinkEffect::Hold));
        assert_eq!(remote.echo(text("first")).await, Err(RpcError::Timeout));
        let second = remote.hold(text("second"));
        pair.world.remove_rule(hold);
        pair.settle().await;
        remote.release();
        assert_eq!(second.await, value("second"));
    });
}

#[test]
fn errors_of_the_application_reach_the_asker_and_a_dropped_reply_is_one() {
    pair(async |pair| {
        let (probe, server, remote) = pair.probe().await;
        for gateway in [&remote, &server.self_gateway()] {
            let refused = pair.at_once(gateway.refuse(text("no"))).await;
            assert_eq!(refused, Err(RpcError::Application(text("no"))));
            assert_eq!(pair.at_once(gateway.forget()).await, Err(RpcError::NoReply));
        }
        assert_eq!(probe.seen(), ["on_start", "forget", "forget"]);
    });
}

#[test]
fn a_killed_process_is_unreachable_at_once_and_a_dead_machine_costs_the_timeout() {
    impatient(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        pair.world.end_process(pair.server_node, ProcessEnd::Killed);
        let answer = pair.at_once(remote.echo(text("killed"))).await;
        assert_eq!(answer, Err(RpcError::RecipientUnreachable));
        pair.world.end_process(pair.server_node, ProcessEnd::PowerCut);
        let (answer, took) = pair.timed(remote.echo(text("cut"))).await;
        assert_eq!(answer, Err(RpcError::Timeout));
        assert!(took >= SECOND && took < SECOND + AT_ONCE, "{took:?}");
    });
}

#[test]
fn a_lost_reset_is_a_timeout() {
    impatient(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        pair.world.end_process(pair.server_node, ProcessEnd::Killed);
        pair.world.add_rule(pair.to_client(None, loss()));
        assert_eq!(remote.echo(text("killed")).await, Err(RpcError::Timeout));
    });
}

#[test]
fn a_lost_answer_is_a_timeout_of_a_call_that_was_handled() {
    impatient(async |pair| {
        let (probe, _server, remote) = pair.probe().await;
        pair.world.add_rule(pair.to_client(None, loss()));
        let (answer, took) = pair.timed(remote.echo(text("handled"))).await;
        assert!(answer == Err(RpcError::Timeout) && took >= SECOND);
        assert_eq!(probe.seen(), ["on_start", "handled"], "and nobody retried");
    });
}

/// Asks and tells under 100 % duplication; returns how often handlers ran.
async fn call_in_duplicate(pair: &Pair) -> BTreeMap<String, usize> {
    let (probe, _server, remote) = pair.probe().await;
    let duplicate = || LinkEffect::Duplicate { per_million: ALWAYS };
    pair.world.add_rule(pair.to_server(None, duplicate()));
    pair.world.add_rule(pair.to_client(None, duplicate()));
    for number in 0..50 {
        remote.note(format!("tell {number}"));
        let answer = remote.echo(format!("ask {number}")).await;
        assert_eq!(answer, Ok(format!("ask {number}")));
    }
    pair.settle().await;
    let mut counts = BTreeMap::new();
    for text in probe.seen() {
        *counts.entry(text).or_default() += 1;
    }
    counts
}

#[test]
fn duplicated_frames_reach_their_handlers_once_and_complete_once() {
    pair(async |pair| {
        let counts = call_in_duplicate(&pair).await;
        assert_eq!(counts.len(), 101);
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        assert_eq!(pair.events.dropped("repeated call"), 100);
        assert!(outcomes(&pair).values().all(|outcomes| outcomes.len() == 1));
    });
}

#[test]
fn the_sabotaged_window_lets_repeats_through() {
    let sabotage = Some(wavetank::system::sabotage::AT_MOST_ONCE_WINDOW_OFF);
    let world = WorldConfig { sabotage, ..WorldConfig::new(1) };
    pair_with(world, RpcConfig::default(), async |pair| {
        let counts = call_in_duplicate(&pair).await;
        assert!(counts.values().filter(|count| **count == 2).count() == 100, "{counts:?}");
    });
}

#[test]
fn a_call_that_arrives_behind_the_window_is_refused_and_perhaps_was_handled() {
    pair(async |pair| {
        let (probe, _server, remote) = pair.probe().await;
        let kind = Some("ProbeGateway.echo");
        let hold = pair.world.add_rule(pair.to_server(kind, LinkEffect::Hold));
        let old = remote.echo(text("old"));
        for _ in 0..1100 {
            remote.note(text("new"));
        }
        pair.settle().await;
        pair.world.remove_rule(hold);
        let answer = pair.at_once(old).await;
        assert_eq!(answer, Err(RpcError::TooOld));
        assert!(RpcError::TooOld.is_maybe(), "the receiver can't tell it from a repeat");
        assert!(!probe.seen().contains(&text("old")));
    });
}

#[test]
fn two_services_of_one_process_do_not_repeat_each_other() {
    pair(async |pair| {
        let (probe, server, first) = pair.probe().await;
        let second = RpcSystem::default().bind(pair.client.host(), 0).await.expect("a free port");
        let second: ProbeGateway = second.connect(server.address()).await.expect("a server");
        for gateway in [&first, &second, &first, &second] {
            assert_eq!(pair.at_once(gateway.echo(text("mine"))).await, value("mine"));
        }
        assert_eq!(probe.seen().len(), 5);
    });
}

#[test]
fn a_damaged_call_never_reaches_a_handler_and_its_asker_is_told_at_once() {
    impatient(async |pair| {
        let (probe, _server, remote) = pair.probe().await;
        pair.world.add_rule(pair.to_server(None, LinkEffect::Corrupt { per_million: ALWAYS }));
        let mut told = 0;
        for _ in 0..50 {
            let (answer, took) = pair.timed(remote.echo("x".repeat(300))).await;
            match answer {
                Err(RpcError::Malformed(_)) => {
                    assert!(took < AT_ONCE, "{took:?}");
                    told += 1;
                }
                // The header was hit: nobody knows whom to tell.
                Err(RpcError::Timeout) => assert!(took >= SECOND),
                other => panic!("{other:?}"),
            }
            remote.note("x".repeat(300));
        }
        assert_eq!(probe.seen(), ["on_start"]);
        assert!((35..50).contains(&told), "{told} of 50 flipped bits were in the body");
        assert!(pair.events.dropped("bad body") > told);
        assert!(pair.events.dropped("bad header") > 0);
    });
}

#[test]
fn arguments_and_answers_are_never_altered_by_damage() {
    impatient(async |pair| {
        let (probe, _server, remote) = pair.probe().await;
        let damage = || LinkEffect::Corrupt { per_million: ALWAYS / 2 };
        pair.world.add_rule(pair.to_server(None, damage()));
        pair.world.add_rule(pair.to_client(None, damage()));
        let (mut values, mut no_reply) = (0, 0);
        for number in 0..100 {
            let text = format!("{number} {}", "y".repeat(200));
            match remote.echo(text.clone()).await {
                Ok(answer) => {
                    assert_eq!(answer, text);
                    values += 1;
                }
                Err(RpcError::NoReply) => no_reply += 1,
                Err(RpcError::Malformed(_)) => assert!(!probe.seen().contains(&text)),
                Err(error) => assert_eq!(error, RpcError::Timeout),
            }
        }
        assert!(values > 10 && no_reply > 5, "{values} values, {no_reply} damaged answers");
        for text in &probe.seen()[1..] {
            let (number, rest) = text.split_once(' ').expect("as it was sent");
            assert!(number.parse::<u32>().is_ok() && rest == "y".repeat(200), "{text}");
        }
    });
}

#[test]
fn a_call_reported_as_damaged_was_not_handled_though_a_whole_copy_arrived() {
    impatient(async |pair| {
        let (probe, _server, remote) = pair.probe().await;
        pair.world.add_rule(pair.to_server(None, LinkEffect::Duplicate { per_million: ALWAYS }));
        pair.world.add_rule(pair.to_server(None, LinkEffect::Corrupt { per_million: ALWAYS / 2 }));
        let (mut values, mut damaged) = (0, 0);
        for number in 0..200 {
            let text = format!("{number} {}", "z".repeat(300));
            let answer = remote.echo(text.clone()).await;
            pair.settle().await;
            let handled = probe.seen().contains(&text);
            match answer {
                Ok(_) => values += 1,
                Err(RpcError::Malformed(_)) => {
                    assert!(!handled, "{number} was handled and reported as damaged");
                    damaged += 1;
                }
                other => panic!("one copy is always whole: {other:?}"),
            }
        }
        assert!(values > 80 && damaged > 10, "{values} values, {damaged} damaged calls");
    });
}

/// One byte more than a message may have.
const TOO_LONG: usize = 8 * 1024 * 1024 + 1;

#[test]
fn arguments_above_the_limit_are_too_large_and_not_sent() {
    pair(async |pair| {
        let (probe, server, remote) = pair.probe().await;
        for gateway in [&remote, &server.self_gateway()] {
            let answer = pair.at_once(gateway.echo("x".repeat(TOO_LONG))).await;
            assert!(matches!(answer, Err(RpcError::TooLarge(length)) if length >= TOO_LONG));
            gateway.note("x".repeat(TOO_LONG));
        }
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start"]);
        let asked = pair.events.count(|event| {
            matches!(event, RpcEvent::AskSent { kind, .. } if kind.name().ends_with("echo"))
        });
        assert_eq!(asked, 0);
    });
}

#[test]
fn answers_above_the_limit_are_too_large_to_the_asker_near_and_far() {
    pair(async |pair| {
        let (_probe, server, remote) = pair.probe().await;
        let length = u64::try_from(TOO_LONG).unwrap();
        for gateway in [&remote, &server.self_gateway()] {
            let fits = pair.at_once(gateway.bytes(length - 1000)).await;
            assert_eq!(fits.map(|bytes| bytes.len()), Ok(TOO_LONG - 1000));
            let answer = pair.at_once(gateway.bytes(length)).await;
            assert!(matches!(answer, Err(RpcError::TooLarge(length)) if length >= TOO_LONG));
            let answer = pair.at_once(gateway.refuse_at_length(length)).await;
            assert!(matches!(answer, Err(RpcError::TooLarge(length)) if length >= TOO_LONG));
        }
        assert!(pair.world.is_running(pair.server_node));
    });
}

#[test]
fn handlers_and_closures_of_an_endpoint_never_overlap() {
    pair(async |pair| {
        let (_probe, server, remote) = pair.probe().await;
        let own = server.self_gateway();
        let asks = (0..100).map(|number| {
            server.handle().run_without_fencing(|probe, context| {
                context.self_gateway().note(text("from a closure"));
                probe.write("closure");
            });
            let gateway = if number % 2 == 0 { &remote } else { &own };
            gateway.echo(number.to_string())
        });
        let answers = futures::future::join_all(asks.collect::<Vec<_>>()).await;
        assert!(answers.iter().all(Result::is_ok));
        pair.settle().await;
        let (mut running, mut handled) = (false, 0);
        for (_, event) in pair.events.all() {
            match event {
                RpcEvent::HandlerStarted { .. } => {
                    assert!(!running, "two handlers at once");
                    running = true;
                    handled += 1;
                }
                RpcEvent::HandlerEnded { .. } => running = false,
                _ => {}
            }
        }
        assert_eq!(handled, 300);
    });
}

#[test]
fn local_calls_and_closures_keep_their_order() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let local: ProbeGateway = pair.server.connect(server.address()).await.expect("a server");
        let expected: Vec<String> = on_main(&server, move |_, context| {
            let own = context.self_gateway();
            let note = |number: u32| {
                let text = number.to_string();
                match number % 4 {
                    0 => own.note(text.clone()),
                    1 => drop(own.echo(text.clone())),
                    2 => local.note(text.clone()),
                    _ => {
                        let text = text.clone();
                        context.executor().execute(move |probe, _| probe.write(text));
                    }
                }
                text
            };
            (0..200).map(note).collect()
        })
        .await;
        pair.settle().await;
        assert_eq!(probe.seen()[1..], expected);
    });
}

#[test]
fn remote_calls_may_overtake_each_other() {
    pair(async |pair| {
        let (probe, _server, remote) = pair.probe().await;
        (0..50).for_each(|number| remote.note(number.to_string()));
        pair.settle().await;
        let mut numbers: Vec<u32> = probe.seen()[1..].iter().map(|n| n.parse().unwrap()).collect();
        assert!(!numbers.is_sorted(), "the links do reorder");
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..50));
    });
}

#[test]
fn asks_that_nobody_waits_for_are_over_by_their_deadline() {
    impatient(async |pair| {
        let (_probe, _server, remote) = pair.probe().await;
        pair.world.add_rule(pair.to_client(None, LinkEffect::Loss { per_million: ALWAYS / 2 }));
        let begin = pair.world.elapsed();
        (0..200).for_each(|number| drop(remote.echo(number.to_string())));
        pair.world.sleep(SECOND + ms(1)).await;
        let outcomes: Vec<_> = outcomes(&pair).into_values().skip(1).collect();
        assert_eq!(outcomes.len(), 200);
        for outcome in &outcomes {
            let [(time, _)] = outcome[..] else { panic!("{outcome:?}") };
            assert!(time <= begin + SECOND + ms(1), "{time:?}");
        }
        let lost = AskOutcome::Failed("timeout");
        let lost = outcomes.iter().filter(|outcome| outcome[0].1 == lost).count();
        assert!((60..140).contains(&lost), "{lost}");
    });
}

/// When and how each of the client's asks ended, by its number.
fn outcomes(pair: &Pair) -> BTreeMap<u64, Vec<(Duration, AskOutcome)>> {
    let mut outcomes: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for (stamp, event) in pair.events.all() {
        if stamp.node != pair.client_node {
            continue;
        }
        match event {
            RpcEvent::AskSent { call, .. } => drop(outcomes.entry(call).or_default()),
            RpcEvent::AskResolved { call, outcome } => {
                outcomes.entry(call).or_default().push((stamp.time, outcome));
            }
            _ => {}
        }
    }
    outcomes
}
