//! What one client, and all together, may take of the server; who is refused learns *refused*.

use super::{Cell, Client, in_simulation, ms, usual};
use futures::future::join_all;
use std::collections::BTreeMap;
use wavetank::{
    host::sim::WorldConfig,
    system::service::coordination::{
        CLIENT_LEASES_MAX, CLIENT_WATCHES_MAX, Change, Compare, CoordinationError, KEY_BYTES_MAX,
        KeyPattern, PAGE_BYTES_MAX, Refusal, STEPS_MAX, STORE_BYTES_MAX, Transacted, Transaction,
        VALUE_BYTES_MAX, Watch,
    },
};

type Outcome = Result<Transacted, CoordinationError>;

fn run(body: impl AsyncFnOnce(&Cell, &Client, &Client) + Send + 'static) {
    in_simulation(WorldConfig::new(1), async |cell| {
        let greedy = cell.client("greedy", usual()).await;
        let modest = cell.client("modest", usual()).await;
        body(&cell, &greedy, &modest).await;
    });
}

fn refused<T>(refusal: Refusal) -> Result<T, CoordinationError> {
    Err(CoordinationError::Refused(refusal))
}

async fn put(client: &Client, key: &str, bytes: usize) -> Outcome {
    client.coordination.transact(Transaction::new().put(key, vec![7; bytes])).await
}

#[test]
fn keys_values_and_transactions_that_are_too_large_are_refused() {
    run(async |_, client, _| {
        let key = "k".repeat(KEY_BYTES_MAX);
        assert!(put(client, &key, 10).await.is_ok());
        assert!(put(client, "k", VALUE_BYTES_MAX).await.is_ok());
        assert_eq!(put(client, &(key.clone() + "k"), 10).await, refused(Refusal::TooLarge));
        assert_eq!(put(client, "k", VALUE_BYTES_MAX + 1).await, refused(Refusal::TooLarge));
        let condition = Compare::Absent { key: key.clone() + "k" };
        let outcome = client.coordination.transact(Transaction::new().when(condition)).await;
        assert_eq!(outcome, refused(Refusal::TooLarge));
        let many = (0..=STEPS_MAX).map(|n| n.to_string());
        let many = many.fold(Transaction::new(), |all, key| all.put(key, Vec::new()));
        assert_eq!(client.coordination.transact(many).await, refused(Refusal::TooLarge));
        let longer = key.clone() + "k";
        for pattern in [
            KeyPattern::Exact(longer.clone()),
            KeyPattern::Prefix(longer),
            // A slash follows it.
            KeyPattern::Children(key),
        ] {
            let watch = Watch::new(&client.coordination, pattern).next().await;
            assert_eq!(watch, refused(Refusal::TooLarge));
        }
    });
}

#[test]
fn a_full_server_refuses_what_grows_and_takes_what_removes() {
    run(async |cell, greedy, modest| {
        assert!(put(modest, "own", 10).await.is_ok());
        let mut keys = 0;
        while put(greedy, &format!("key-{keys}"), VALUE_BYTES_MAX).await.is_ok() {
            keys += 1;
            assert!(keys * VALUE_BYTES_MAX as u64 <= STORE_BYTES_MAX);
        }
        assert!((keys + 2) * VALUE_BYTES_MAX as u64 > STORE_BYTES_MAX, "only {keys} keys");
        assert_eq!(put(greedy, "more", VALUE_BYTES_MAX).await, refused(Refusal::Full));
        assert_eq!(put(greedy, "own", VALUE_BYTES_MAX).await, refused(Refusal::Full), "a growth");
        assert!(put(modest, "own", 9).await.is_ok(), "nothing grows");
        // What is held is known again after a restart.
        cell.restart_server(wavetank::host::sim::ProcessEnd::Killed);
        cell.recovered(2).await;
        modest
            .coordination
            .read(&KeyPattern::Exact("own".to_string()))
            .await
            .expect("a quiet server");
        assert_eq!(put(modest, "more", VALUE_BYTES_MAX).await, refused(Refusal::Full));
        let key = "key-0".to_string();
        let delete = wavetank::system::service::coordination::Change::Delete { key };
        let outcome = modest.coordination.transact(Transaction::new().then(delete)).await;
        assert!(outcome.is_ok(), "{outcome:?}");
        assert!(put(modest, "more", VALUE_BYTES_MAX).await.is_ok());
    });
}

#[test]
fn one_client_can_not_take_the_leases_and_watches_of_the_others() {
    run(async |cell, greedy, modest| {
        let gateway = greedy.gateway().await;
        let mut leases = Vec::new();
        for _ in 0..CLIENT_LEASES_MAX {
            leases.push(gateway.grant_lease(60_000).await.expect("an answer").expect("a lease"));
        }
        assert_eq!(gateway.grant_lease(60_000).await, Ok(Err(Refusal::TooManyLeases)));
        let other = modest.gateway().await;
        assert!(matches!(other.grant_lease(60_000).await, Ok(Ok(_))));
        assert_eq!(gateway.revoke_lease(leases[0].id).await, Ok(Ok(())));
        assert!(matches!(gateway.grant_lease(60_000).await, Ok(Ok(_))));

        let revision = modest.read().await.revision;
        let watch = |n: usize| {
            gateway.watch(KeyPattern::Prefix(format!("prefix-{n}")), Some(revision), 5_000)
        };
        let watches: Vec<_> = (0..CLIENT_WATCHES_MAX).map(watch).collect();
        cell.world.sleep(ms(100)).await;
        assert_eq!(watch(CLIENT_WATCHES_MAX).await, Ok(Err(Refusal::TooManyWatches)));
        let own = other.watch(KeyPattern::Exact("own".to_string()), Some(revision), 1_000).await;
        assert!(matches!(own, Ok(Ok(_))), "{own:?}");
        assert!(join_all(watches).await.iter().all(|answer| matches!(answer, Ok(Ok(_)))));
        assert!(matches!(watch(0).await, Ok(Ok(_))), "there is room again");
    });
}

/// What one answer can't hold comes in several, and what is written meanwhile is told of from the revision that
/// the whole names.
#[test]
fn what_comes_in_pages_misses_nothing_that_is_written_meanwhile() {
    run(async |_, reader, writer| {
        let pages = 6;
        let keys = pages * PAGE_BYTES_MAX / 100_000;
        for key in 0..keys {
            assert!(put(writer, &format!("k/{key:03}"), 100_000).await.is_ok());
        }
        let pattern = KeyPattern::Prefix("k/".to_string());
        let write = async {
            for n in 0..200_u64 {
                // A key of an early page, one of a late page, a new one, and one that goes.
                let key = format!("k/{:03}", [0, keys - 1, keys + n, n % keys][n as usize % 4]);
                let change = match n % 4 {
                    3 => Transaction::new().then(Change::Delete { key }),
                    _ => Transaction::new().put(key, n.to_be_bytes().to_vec()),
                };
                writer.coordination.transact(change).await.expect("a quiet server");
            }
        };
        let (range, ()) = futures::join!(reader.coordination.read(&pattern), write);
        let range = range.expect("a quiet server");
        assert!(range.keys.is_sorted_by_key(|found| found.key.clone()));
        let newer = range.keys.iter().filter(|found| found.modified > range.revision).count();
        assert!(newer > 0, "a later page shows something that was written after the first");
        let update = reader.coordination.changes(&pattern, Some(range.revision)).await;
        let update = update.expect("a quiet server");
        assert!(!update.whole);
        let mut seen: BTreeMap<_, _> =
            range.keys.into_iter().map(|found| (found.key, found.value)).collect();
        update.removed.iter().for_each(|key| drop(seen.remove(key)));
        seen.extend(update.keys.into_iter().map(|found| (found.key, found.value)));
        let there = writer.coordination.read(&pattern).await.expect("a quiet server");
        let there: BTreeMap<_, _> =
            there.keys.into_iter().map(|found| (found.key, found.value)).collect();
        assert_eq!(seen.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
        assert!(seen == there, "the values too");
    });
}
