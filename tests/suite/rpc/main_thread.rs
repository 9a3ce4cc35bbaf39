//! Work on the main thread: at once, later, again and again, and taken back.

use super::{Pair, Probe, ms, pair, pair_with, probe::on_main, text, token, value};
use futures::{FutureExt, channel::oneshot};
use std::{sync::Arc, time::Duration};
use wavetank::{
    host::sim::{WorldConfig, WorldReport},
    system::rpc::{Context, FencingToken, RpcConfig, RpcError, RpcEvent, RpcServer, Scheduled},
};

const OLD: FencingToken = token(1);
const NEW: FencingToken = token(2);

/// Ticks that write the time at which they run.
async fn tick_every(pair: &Pair, server: &RpcServer<Probe>, period: Duration) -> Scheduled {
    let world = pair.world.clone();
    on_main(server, move |_, context| {
        let begin = world.elapsed();
        context.schedule_every(period, move |probe, _| {
            probe.write(format!("tick {}", (world.elapsed() - begin).as_millis()));
        })
    })
    .await
}

#[test]
fn scheduled_work_runs_after_its_delay_and_not_before() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        on_main(&server, |_, context| {
            context.schedule(ms(1500), |probe, _| probe.write("1500 ms"));
            context.schedule(Duration::from_micros(1_200), |probe, _| probe.write("1200 us"));
            context.schedule(Duration::from_secs(1), |probe, _| probe.write("1 s"));
        })
        .await;
        pair.world.sleep(Duration::from_micros(1_100)).await;
        assert_eq!(probe.seen(), ["on_start"]);
        pair.world.sleep(Duration::from_micros(200)).await;
        assert_eq!(probe.seen(), ["on_start", "1200 us"]);
        pair.world.sleep(ms(990)).await;
        assert_eq!(probe.seen().len(), 2);
        pair.world.sleep(ms(10)).await;
        assert_eq!(probe.seen(), ["on_start", "1200 us", "1 s"]);
        pair.world.sleep(ms(1000)).await;
        assert_eq!(probe.seen(), ["on_start", "1200 us", "1 s", "1500 ms"]);
    });
}

#[test]
fn periodic_work_runs_once_a_period_on_the_main_thread() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        tick_every(&pair, &server, ms(10)).await;
        pair.world.sleep(ms(45)).await;
        assert_eq!(probe.seen(), ["on_start", "tick 10", "tick 20", "tick 30", "tick 40"]);
        let closures = |event: &RpcEvent| match event {
            RpcEvent::HandlerStarted { kind, .. } => kind.name() == "closure",
            _ => false,
        };
        assert_eq!(pair.events.count(closures), 5, "the first of them scheduled the others");
    });
}

#[test]
fn ticks_that_a_pause_made_late_are_left_out_and_not_made_up_for() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        tick_every(&pair, &server, ms(10)).await;
        pair.world.sleep(ms(15)).await;
        pair.world.pause(pair.server_node);
        pair.world.sleep(ms(50)).await;
        pair.world.resume(pair.server_node);
        pair.world.sleep(ms(20)).await;
        assert_eq!(probe.seen(), ["on_start", "tick 10", "tick 65", "tick 70", "tick 80"]);
    });
}

#[test]
fn canceled_work_never_runs_and_its_destructor_runs_at_once() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let (guard, mut gone) = oneshot::channel::<()>();
        let once = on_main(&server, |_, context| {
            context.schedule(ms(10), move |probe, _| {
                drop(guard);
                probe.write("once");
            })
        });
        let once = once.await;
        let every = tick_every(&pair, &server, ms(10)).await;
        on_main(&server, move |_, context| {
            context.cancel(once);
            context.cancel(every);
            context.cancel(every);
        })
        .await;
        assert!(gone.try_recv().is_err(), "what the closure held is let go");
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start"]);
    });
}

#[test]
fn periodic_work_takes_itself_back() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        on_main(&server, |_, context| {
            let (own, mut name) = oneshot::channel();
            let mut own_name = None;
            let scheduled = context.schedule_every(
                ms(10),
                move |probe: &mut Probe, context: &mut Context<Probe>| {
                    let own_name: Scheduled = *own_name.get_or_insert_with(|| {
                        name.try_recv().ok().flatten().expect("it was sent")
                    });
                    probe.write("tick");
                    if probe.seen().len() == 3 {
                        context.cancel(own_name);
                    }
                },
            );
            own.send(scheduled).expect("the closure waits");
        })
        .await;
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "tick", "tick"]);
    });
}

#[test]
fn periodic_work_rests_while_the_endpoint_is_stopped_and_goes_on_when_it_is_started_again() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        tick_every(&pair, &server, ms(10)).await;
        pair.world.sleep(ms(15)).await;
        server.stop();
        pair.world.sleep(ms(30)).await;
        server.start();
        pair.world.sleep(ms(10)).await;
        assert_eq!(probe.seen(), ["on_start", "tick 10", "tick 50"]);
    });
}

#[test]
fn work_scheduled_under_an_old_token_never_runs_under_a_new_one() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        on_main(&server, move |_, context| {
            context.schedule(ms(20), move |probe, _| probe.write(format!("once {held:?}")));
            context.schedule_every(ms(20), |probe, _| probe.write("tick"));
            context.schedule_every(ms(5), |probe, context| {
                probe.write("changes the token");
                context.set_token(Some(NEW));
            });
        })
        .await;
        pair.world.sleep(ms(200)).await;
        assert_eq!(probe.seen(), ["on_start", "changes the token"]);
        assert_eq!(weak.strong_count(), 0, "and what it held is let go");

        on_main(&server, |_, context| {
            context.schedule(ms(10), |probe, _| probe.write("of the new one"));
        })
        .await;
        pair.settle().await;
        assert_eq!(probe.seen().len(), 3);
    });
}

#[test]
fn what_is_scheduled_ends_with_its_endpoint() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let held = Arc::new(());
        let weak = Arc::downgrade(&held);
        on_main(&server, move |_, context| {
            let also_held = held.clone();
            context.schedule(ms(1_000_000), move |_, _| drop(held));
            context.schedule_every(ms(1_000_000), move |_, _| {
                assert!(Arc::strong_count(&also_held) > 0)
            });
        })
        .await;
        server.terminate();
        assert_eq!(server.termination().await, Ok(()));
        assert_eq!(weak.strong_count(), 0);
        assert_eq!(probe.seen(), ["on_start", "on_stop"]);
    });
}

#[test]
fn what_is_scheduled_runs_until_the_future_of_on_stop_is_done_and_not_longer() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let finish = probe.stops_when_told();
        tick_every(&pair, &server, ms(10)).await;
        server.terminate();
        pair.world.sleep(ms(15)).await;
        finish.send(Ok(())).expect("on_stop waits");
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "on_stop", "tick 10"]);
    });
}

#[test]
fn a_call_to_the_main_thread_tells_what_it_came_to() {
    pair(async |pair| {
        let (probe, server, remote) = pair.probe().await;
        let executor = on_main(&server, |_, context| context.executor()).await;
        let seen = executor.call(|probe, _| {
            probe.write("called");
            probe.seen().len()
        });
        remote.note(text("later"));
        assert_eq!(pair.at_once(seen).await, Ok(2));
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "called", "later"]);
        server.terminate();
        server.termination().await.expect("it stops well");
        let late = pair.at_once(executor.call(|probe, _| probe.write("late"))).await;
        assert!(matches!(late, Err(RpcError::NotRunning(_))), "{late:?}");
    });
}

#[test]
fn a_call_of_an_old_token_is_told_that_it_did_not_run() {
    pair(async |pair| {
        let probe = Probe::default();
        let server = pair.host_fenced(&probe, Some(OLD));
        let executor = on_main(&server, |_, context| context.executor()).await;
        assert_eq!(executor.call(|_, context| context.token()).await, Ok(Some(OLD)));
        on_main(&server, |_, context| context.set_token(Some(NEW))).await;
        let answer = pair.at_once(executor.call(|probe, _| probe.write("old"))).await;
        assert!(matches!(answer, Err(RpcError::NotRunning(_))), "{answer:?}");
        assert_eq!(probe.seen(), ["on_start"]);
    });
}

#[test]
fn a_call_to_a_main_thread_that_is_not_its_turn_is_bounded_by_a_timeout() {
    pair(async |pair| {
        let (probe, server, _) = pair.probe().await;
        let executor = on_main(&server, |_, context| context.executor()).await;
        let host = pair.client.host().clone();
        pair.world.pause(pair.server_node);
        let call = host.timeout(ms(100), executor.call(|probe, _| probe.write("called")));
        let (answer, took) = pair.timed(call).await;
        assert!(answer.is_err() && took >= ms(100), "{took:?}");
        pair.world.resume(pair.server_node);
        pair.settle().await;
        assert_eq!(probe.seen(), ["on_start", "called"], "it was only given up");
    });
}

#[test]
fn an_endpoint_runs_from_its_start_until_its_stop_or_termination_begins() {
    pair(async |pair| {
        let (probe, server, remote) = pair.probe().await;
        let is_running = async || on_main(&server, |_, context| context.is_running()).await;
        assert!(is_running().await);
        server.stop();
        server.start();
        assert!(is_running().await);
        let finish = probe.stops_when_told();
        server.terminate();
        assert!(!is_running().await, "though it still serves");
        assert_eq!(remote.echo(text("served")).await, value("served"));
        finish.send(Ok(())).expect("on_stop waits");
        server.termination().await.expect("it stops well");
    });
}

#[test]
fn no_handler_of_a_simulated_endpoint_is_said_to_hold_its_main_thread() {
    pair(async |pair| {
        let (_probe, server, remote) = pair.probe().await;
        pair.world.pause(pair.server_node);
        let echo = remote.echo(text("while it is paused"));
        pair.world.sleep(ms(2000)).await;
        pair.world.resume(pair.server_node);
        assert_eq!(echo.await, value("while it is paused"));
        server.terminate();
        server.termination().await.expect("it stops well");
        let held = |event: &RpcEvent| matches!(event, RpcEvent::MainThreadHeld { .. });
        assert_eq!(pair.events.count(held), 0, "no time passes while code runs");
        assert!(server.termination().now_or_never().is_some());
    });
}

/// How many timers of the server have fired after the first second.
fn late_timers(report: &WorldReport) -> usize {
    let fired = report.trace.iter().filter(|line| line.kind == "timer-fired");
    let late = fired.filter(|line| line.says("node") == Some("server"));
    late.filter(|line| line.time > 1_000_000_000).count()
}

/// Schedules work that is due after 10 s, once and every 10 s.
async fn put_off(server: &RpcServer<Probe>) -> [Scheduled; 2] {
    on_main(server, |_, context| {
        let once = context.schedule(ms(10_000), |probe, _| probe.write("once"));
        [once, context.schedule_every(ms(10_000), |probe, _| probe.write("tick"))]
    })
    .await
}

#[test]
fn the_timers_of_what_is_taken_back_fenced_off_or_ended_never_fire() {
    for end in 0..3 {
        let world = WorldConfig { trace: true, ..WorldConfig::new(1) };
        let report = pair_with(world, RpcConfig::default(), async move |pair| {
            let server = pair.host_fenced(&Probe::default(), Some(OLD));
            let scheduled = put_off(&server).await;
            on_main(&server, move |_, context| match end {
                0 => scheduled.into_iter().for_each(|scheduled| context.cancel(scheduled)),
                1 => context.set_token(Some(NEW)),
                _ => context.fail("on purpose"),
            })
            .await;
            pair.world.sleep(ms(60_000)).await;
        });
        assert_eq!(late_timers(&report), 0, "way {end}");
    }
}

#[test]
fn the_timers_of_what_is_put_off_fire_otherwise() {
    let world = WorldConfig { trace: true, ..WorldConfig::new(1) };
    let report = pair_with(world, RpcConfig::default(), async |pair| {
        let (_probe, server, _) = pair.probe().await;
        put_off(&server).await;
        pair.world.sleep(ms(25_000)).await;
    });
    assert_eq!(late_timers(&report), 3);
}
