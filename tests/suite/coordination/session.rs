//! The client's view of its lease, and watches across the server's restarts.

use super::{Cell, Client, in_simulation, ms, usual};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    host::{
        Instant,
        sim::{ProcessEnd, WorldConfig},
    },
    system::service::coordination::{
        CoordinationConfig, CoordinationEvent, KeyPattern, LeaseEnd, LeaseId, Session,
        SessionState, Transaction, Watch,
    },
};

const TIMEOUT: Duration = ms(6000);

type States = Arc<Mutex<Vec<SessionState>>>;

/// Opens a session; every state that it passes through is written down.
fn open(client: &Client) -> (Session, States) {
    let session = Session::open(&client.coordination);
    let states = States::default();
    let (mut observed, seen) = (session.observe(), states.clone());
    client.service.host().spawn(async move {
        loop {
            let state = observed.changed().await;
            seen.lock().unwrap().push(state);
        }
    });
    (session, states)
}

fn leases(
    cell: &Cell,
    wanted: impl Fn(&CoordinationEvent) -> Option<LeaseId>,
) -> Vec<(Duration, LeaseId)> {
    let events = cell.history.events().into_iter();
    events.filter_map(|(stamp, event)| Some((stamp.time, wanted(&event)?))).collect()
}

fn lost(event: &CoordinationEvent) -> Option<LeaseId> {
    match event {
        CoordinationEvent::SessionLost { lease } => Some(*lease),
        _ => None,
    }
}

fn expired(event: &CoordinationEvent) -> Option<LeaseId> {
    match event {
        CoordinationEvent::LeaseEnded { lease, end: LeaseEnd::Expired, .. } => Some(*lease),
        _ => None,
    }
}

#[test]
fn contact_that_is_back_in_time_leaves_the_lease_alive() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        let (session, states) = open(&client);
        cell.world.sleep(ms(500)).await;
        let lease = session.state().lease().expect("it is connected");
        let write = Transaction::new().put_ephemeral("key", vec![1], lease);
        client.coordination.transact(write).await.expect("a lease that lives");
        let rules = cell.cut(client.node);
        cell.world.sleep(ms(3500)).await;
        assert_eq!(session.state(), SessionState::Suspended(lease));
        cell.lift(rules);
        cell.world.sleep(ms(10_000)).await;
        let seen = states.lock().unwrap().clone();
        assert_eq!(
            seen,
            [
                SessionState::Connecting,
                SessionState::Connected(lease),
                SessionState::Suspended(lease),
                SessionState::Connected(lease)
            ]
        );
        assert_eq!(leases(&cell, expired), []);
        assert!(client.value("key").await.is_some());
    });
}

/// The client with such a clock loses contact for good; when it and the server know of it.
fn cut_off(per_million: i64) -> (Duration, Duration, Duration) {
    in_simulation(WorldConfig::new(1), async move |cell| {
        let client = cell.client("client", usual()).await;
        cell.world.set_drift(client.node, per_million);
        let (session, states) = open(&client);
        cell.world.sleep(ms(500)).await;
        let first = session.state().lease().expect("it is connected");
        let granted = leases(&cell, |event| match event {
            CoordinationEvent::LeaseGranted { lease } => Some(*lease),
            _ => None,
        });
        let rules = cell.cut(client.node);
        cell.world.sleep(ms(15_000)).await;
        assert_eq!(session.state(), SessionState::Connecting);
        cell.lift(rules);
        cell.world.sleep(ms(5000)).await;
        let second = session.state().lease().expect("a new lease after the loss");
        assert_ne!(first, second);
        let seen = states.lock().unwrap().clone();
        assert_eq!(
            seen,
            [
                SessionState::Connecting,
                SessionState::Connected(first),
                SessionState::Suspended(first),
                SessionState::Connecting,
                SessionState::Connected(second)
            ]
        );
        let (lost, expired) = (leases(&cell, lost), leases(&cell, expired));
        assert_eq!((lost.len(), expired.len()), (1, 1));
        assert_eq!((lost[0].1, expired[0].1), (first, first));
        (granted[0].0, lost[0].0, expired[0].0)
    })
}

#[test]
fn a_session_is_lost_when_the_clients_own_clock_says_so() {
    for per_million in [-300_000, 0, 300_000] {
        let (granted, lost, expired) = cut_off(per_million);
        let rate = f64::from(i32::try_from(1_000_000 + per_million).unwrap()) / 1e6;
        let by_own_clock = (lost - granted).mul_f64(rate);
        // The grant was asked for and granted within 100 ms.
        assert!(by_own_clock > TIMEOUT - ms(100) && by_own_clock < TIMEOUT + ms(10), "{lost:?}");
        assert!(expired >= granted + TIMEOUT - ms(100) && expired < granted + TIMEOUT + ms(100));
        assert!(per_million < 0 || lost < expired, "by equal clocks the client knows first");
    }
}

#[test]
fn a_lease_that_is_shorter_than_was_asked_for_is_believed_in_no_longer() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let hour = Duration::from_secs(3600);
        let config = CoordinationConfig { session_timeout: hour, ..usual() };
        let client = cell.client("client", config).await;
        let (session, _) = open(&client);
        cell.world.sleep(ms(500)).await;
        let lease = session.state().lease().expect("it is connected");
        cell.cut(client.node);
        cell.world.sleep(hour).await;
        let (lost, expired) = (leases(&cell, lost), leases(&cell, expired));
        assert_eq!((lost.len(), expired.len()), (1, 1));
        assert_eq!((lost[0].1, expired[0].1), (lease, lease));
        assert!(lost[0].0 <= expired[0].0, "{lost:?} {expired:?}");
    });
}

#[test]
fn the_servers_word_ends_a_session_at_the_next_sign_of_life() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        let other = cell.client("other", usual()).await;
        let (session, _) = open(&client);
        cell.world.sleep(ms(500)).await;
        let first = session.state().lease().expect("it is connected");
        other.gateway().await.revoke_lease(first).await.unwrap().expect("it lives");
        let revoked = cell.world.elapsed();
        cell.world.sleep(TIMEOUT).await;
        let lost = leases(&cell, lost);
        assert_eq!(lost.len(), 1);
        assert!(lost[0].0 < revoked + TIMEOUT / 3 + ms(50), "{lost:?}");
        assert!(session.state().lease().is_some_and(|second| second != first));
    });
}

#[test]
fn a_process_paused_past_its_lease_knows_that_it_is_lost_before_it_acts() {
    for seed in 0..30 {
        in_simulation(WorldConfig::new(seed), async move |cell| {
            let client = cell.client("client", usual()).await;
            let session = Arc::new(Session::open(&client.coordination));
            let host = client.service.host().clone();
            cell.world.sleep(ms(500)).await;
            let lease = session.state().lease().expect("it is connected");
            let acts = Arc::<Mutex<Vec<(Instant, SessionState)>>>::default();
            for _ in 0..4 {
                let (host, session, acts) = (host.clone(), session.clone(), acts.clone());
                host.clone().spawn(async move {
                    loop {
                        host.sleep(ms(10)).await;
                        acts.lock().unwrap().push((host.now(), session.state()));
                    }
                });
            }
            cell.world.sleep(ms(100)).await;
            let paused = host.now();
            cell.world.pause(client.node);
            cell.world.sleep(TIMEOUT * 2).await;
            cell.world.resume(client.node);
            cell.world.sleep(ms(3000)).await;
            let acts = acts.lock().unwrap().clone();
            let wrong = acts.iter().find(|(at, state)| {
                *at > paused + TIMEOUT + ms(500) && state.lease() == Some(lease)
            });
            assert_eq!(wrong, None, "seed {seed}: paused at {paused:?}");
            assert!(session.state().lease().is_some(), "seed {seed}: it has a new lease");
        });
    }
}

#[test]
fn a_watch_goes_on_after_the_servers_restart() {
    in_simulation(WorldConfig::new(1), async |cell| {
        let client = cell.client("client", usual()).await;
        let other = cell.client("other", usual()).await;
        let view = Arc::<Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let revisions = Arc::<Mutex<Vec<u64>>>::default();
        let mut watch = Watch::new(&client.coordination, KeyPattern::Prefix("w/".to_string()));
        let (seen, order) = (view.clone(), revisions.clone());
        client.service.host().spawn(async move {
            loop {
                let Ok(update) = watch.next().await else {
                    watch.back_off().await;
                    continue;
                };
                order.lock().unwrap().push(update.revision.0);
                let mut view = seen.lock().unwrap();
                if update.whole {
                    view.clear();
                }
                view.extend(update.keys.into_iter().map(|found| (found.key, found.value)));
                for key in update.removed {
                    view.remove(&key);
                }
            }
        });
        other.put("w/a", b"1").await;
        other.put("w/b", b"1").await;
        cell.world.sleep(ms(100)).await;
        for (round, end) in [(1, ProcessEnd::Killed), (2, ProcessEnd::PowerCut)] {
            cell.restart_server(end);
            cell.recovered(round + 1).await;
            other.put("w/a", &[u8::try_from(round).unwrap()]).await;
            let delete =
                wavetank::system::service::coordination::Change::Delete { key: "w/b".into() };
            other
                .coordination
                .transact(Transaction::new().then(delete))
                .await
                .expect("no condition");
            cell.world.sleep(ms(7000)).await;
            let expected =
                BTreeMap::from([("w/a".to_string(), vec![u8::try_from(round).unwrap()])]);
            assert_eq!(*view.lock().unwrap(), expected);
            other.put("w/b", b"2").await;
            cell.world.sleep(ms(100)).await;
            assert_eq!(view.lock().unwrap().len(), 2, "a watch that waits is told at once");
        }
        assert!(revisions.lock().unwrap().is_sorted_by(|a, b| a < b));
    });
}
