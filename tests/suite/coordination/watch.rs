//! Watches of one key, of a prefix and of a key's children.

use super::{Cell, Client, in_simulation, ms, usual};
use futures::future::join;
use wavetank::{
    host::sim::WorldConfig,
    system::service::coordination::{
        CLIENT_WATCHES_MAX, Change, KeyPattern, Revision, Transaction, Watch,
    },
};

fn run(body: impl AsyncFnOnce(&Cell, &Client, &Client) + Send + 'static) {
    in_simulation(WorldConfig::new(1), async |cell| {
        let watcher = cell.client("watcher", usual()).await;
        let writer = cell.client("writer", usual()).await;
        body(&cell, &watcher, &writer).await;
    });
}

/// Keys that were written and removed, as one update tells.
type Told = (Vec<String>, Vec<String>);

/// What a watch of these keys is told of what was written and removed since it began.
async fn told(watcher: &Client, writer: &Client, keys: KeyPattern) -> [Told; 3] {
    let all = ["a", "a.b", "a/", "a/b", "a/b/c", "a/b/d", "a/e", "ab", "b"];
    let delete = |key: &&str| Change::Delete { key: key.to_string() };
    let clear = all.iter().map(delete).fold(Transaction::new(), Transaction::then);
    let fill = all.iter().fold(Transaction::new(), |fill, key| fill.put(*key, vec![1]));
    writer.coordination.transact(fill.clone()).await.expect("a quiet server");
    let mut watch = Watch::new(&watcher.coordination, keys);
    let mut told = <[Told; 3]>::default();
    for (place, write) in told.iter_mut().zip([None, Some(clear), Some(fill)]) {
        let written = async {
            if let Some(write) = write {
                // The watch waits at the server then.
                writer.service.host().sleep(ms(100)).await;
                writer.coordination.transact(write).await.expect("a quiet server");
            }
        };
        let (host, asked) = (watcher.service.host(), watcher.service.host().now());
        let (update, ()) = join(watch.next(), written).await;
        let update = update.expect("a quiet server");
        assert!(host.now().saturating_since(asked) < ms(200), "it is told at once");
        let mut keys: Vec<String> = update.keys.into_iter().map(|found| found.key).collect();
        keys.sort();
        *place = (keys, update.removed);
    }
    told
}

fn assert_told(keys: KeyPattern, expected: &'static [&'static str]) {
    run(async move |_, watcher, writer| {
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        let (written, removed) = ((expected.clone(), vec![]), (vec![], expected));
        let all = told(watcher, writer, keys).await;
        assert_eq!(all, [written.clone(), removed, written]);
    });
}

#[test]
fn a_watch_of_a_key_is_told_of_it_alone() {
    assert_told(KeyPattern::Exact("a".to_string()), &["a"]);
    assert_told(KeyPattern::Exact("a/b".to_string()), &["a/b"]);
}

#[test]
fn a_watch_of_a_prefix_is_told_of_all_keys_that_begin_with_it() {
    let all = &["a", "a.b", "a/", "a/b", "a/b/c", "a/b/d", "a/e", "ab"];
    assert_told(KeyPattern::Prefix("a".to_string()), all);
    assert_told(KeyPattern::Prefix("a/b".to_string()), &["a/b", "a/b/c", "a/b/d"]);
}

#[test]
fn a_watch_of_children_is_told_of_those_one_part_below_and_of_none_deeper() {
    assert_told(KeyPattern::Children("a".to_string()), &["a/b", "a/e"]);
    assert_told(KeyPattern::Children("a/b".to_string()), &["a/b/c", "a/b/d"]);
}

#[test]
fn a_watch_does_not_wake_for_keys_that_are_near_its_own() {
    run(async |_, watcher, writer| {
        for (keys, near) in [
            (KeyPattern::Exact("a".to_string()), ["ab", "a/b", "A"]),
            (KeyPattern::Children("a".to_string()), ["a", "ab", "a/b/c"]),
            (KeyPattern::Prefix("a/".to_string()), ["a", "ab", "b/a/"]),
        ] {
            let mut watch = Watch::new(&watcher.coordination, keys.clone());
            watch.next().await.expect("a quiet server");
            let writes = async {
                for key in near {
                    writer.put(key, b"1").await;
                }
            };
            let (told, ()) = join(watch.next_within_contact(), writes).await;
            assert_eq!(told, Ok(None), "{keys:?}");
        }
    });
}

#[test]
fn a_watch_that_was_dropped_takes_no_room_for_long() {
    run(async |cell, watcher, writer| {
        let revision = writer.put("a", b"1").await.revision;
        let gateway = watcher.gateway().await;
        let keys = || KeyPattern::Exact("a".to_string());
        for _ in 0..CLIENT_WATCHES_MAX {
            let watch = gateway.watch(keys(), Some(revision), 1_000);
            assert!(
                watcher.service.host().timeout(ms(1), watch).await.is_err(),
                "there is nothing to tell"
            );
        }
        cell.world.sleep(ms(1_100)).await;
        let other = gateway.watch(keys(), Some(revision), 10).await;
        let update = other.expect("an answer").expect("there is room again");
        assert_eq!((update.revision, update.keys, update.removed), (revision, vec![], vec![]));
    });
}

#[test]
fn a_watch_that_stands_in_the_past_is_told_what_came_since_and_never_goes_back() {
    run(async |_, watcher, writer| {
        let first = writer.put("a", b"1").await.revision;
        let second = writer.put("a", b"2").await.revision;
        let third = writer.put("b", b"3").await.revision;
        let gateway = watcher.gateway().await;
        let since = async |after| {
            let watch = gateway.watch(KeyPattern::Exact("a".to_string()), Some(after), 10);
            watch.await.expect("an answer").expect("an update")
        };
        for after in [Revision(0), first] {
            let update = since(after).await;
            assert_eq!((update.revision, update.keys.len()), (third, 1), "after {after:?}");
            assert_eq!((&update.keys[0].value[..], update.keys[0].modified), (&b"2"[..], second));
        }
        for after in [second, third] {
            let update = since(after).await;
            assert_eq!((update.revision, update.keys), (third, vec![]), "after {after:?}");
        }
    });
}
