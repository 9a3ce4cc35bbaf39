//! The life of objects while nothing fails.

use super::{Cell, Client, Objects, content, shown};
use crate::service::{PORT, in_simulation, server_address};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use wavetank::{
    host::sim::WorldConfig,
    system::{
        rpc::RpcAddress,
        service::{
            ServiceError,
            object_store::{
                BlobGateway, Content, OBJECT_BYTES_MAX, OBJECT_NAMES_MAX, OBJECT_STORE_ENDPOINT,
                ObjectStoreError, ObjectStoreEvent, ObjectStoreRefusal, ObjectSum,
            },
        },
    },
};

fn refused<T>(refusal: ObjectStoreRefusal) -> Result<T, ObjectStoreError> {
    Err(ServiceError::Refused(refusal))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

fn run(body: impl AsyncFnOnce(Cell, Client) + Send + 'static) {
    in_simulation::<Objects, ()>(WorldConfig::new(1), async |cell| {
        let objects = cell.objects("client").await;
        body(cell, objects).await;
    });
}

#[test]
fn a_object_is_stored_once_read_and_deleted() {
    run(async |cell, objects| {
        let (one, two) = (content("one"), content("two"));
        assert_eq!(objects.get("a/b").await, refused(ObjectStoreRefusal::NotFound));
        assert_eq!(objects.put("a/b", one.clone()).await, Ok(()));
        assert_eq!(objects.put("a/b", one.clone()).await, Ok(()), "the same again is done");
        assert_eq!(objects.put("a/b", two.clone()).await, refused(ObjectStoreRefusal::Exists));
        assert_eq!(objects.get("a/b").await, Ok(one.clone()));
        assert_eq!(objects.put("empty", Bytes::new()).await, Ok(()));
        assert_eq!(objects.get("empty").await, Ok(Bytes::new()));
        let deleted = names(&["a/b", "absent", "a/b"]);
        assert_eq!(objects.delete(&deleted).await, Ok(()));
        assert_eq!(objects.delete(&deleted).await, Ok(()));
        assert_eq!(objects.get("a/b").await, refused(ObjectStoreRefusal::NotFound));
        assert_eq!(objects.put("a/b", two.clone()).await, Ok(()), "the name is free again");
        assert_eq!(objects.get("a/b").await, Ok(two.clone()));
        let stored = |name: &str, content: &Bytes| {
            let (name, len, crc) = shown(name, content);
            let content = Content(content.clone());
            ObjectStoreEvent::Stored { name, len, crc, content }
        };
        let expected = [
            stored("a/b", &one),
            stored("empty", &Bytes::new()),
            ObjectStoreEvent::Deleted { names: names(&["a/b"]) },
            stored("a/b", &two),
        ];
        assert_eq!(cell.history.events()[1..], expected);
        let ObjectStoreEvent::Recovered { objects, sealed } = cell.after_power_cut().await else {
            panic!()
        };
        assert_eq!(objects, [shown("a/b", &two), shown("empty", &Bytes::new())]);
        assert_eq!(sealed, [""; 0]);
    });
}

#[test]
fn nothing_comes_under_a_sealed_prefix() {
    run(async |cell, objects| {
        let some = content("some");
        for name in ["job-1", "job-1/chk-1/a", "job-1/chk-2/a", "job-1-b", "job-10/a", "job"] {
            assert_eq!(objects.put(name, some.clone()).await, Ok(()));
        }
        assert_eq!(objects.seal("job-1/").await, Ok(()));
        assert_eq!(objects.seal("job-1").await, Ok(()), "again is fine");
        assert_eq!(objects.seal("job-1/chk-1").await, Ok(()), "it is sealed above");
        assert_eq!(objects.get("job-1/chk-1/a").await, refused(ObjectStoreRefusal::NotFound));
        for name in ["job-1", "job-1/chk-1/a", "job-1/new"] {
            assert_eq!(objects.put(name, some.clone()).await, refused(ObjectStoreRefusal::Sealed));
        }
        let left = names(&["job", "job-1-b", "job-10/a"]);
        assert_eq!(objects.list("").await, Ok(left));
        assert_eq!(
            objects.seal("unknown").await,
            Ok(()),
            "a prefix may be sealed before its first"
        );
        let sealed = |prefix: &str, removed: &[&str]| ObjectStoreEvent::Sealed {
            prefix: prefix.to_string(),
            removed: names(removed),
        };
        let seals = cell.history.events().into_iter();
        let seals = seals.filter(|event| matches!(event, ObjectStoreEvent::Sealed { .. }));
        let expected =
            [sealed("job-1", &["job-1", "job-1/chk-1/a", "job-1/chk-2/a"]), sealed("unknown", &[])];
        assert_eq!(seals.collect::<Vec<_>>(), expected);
        let ObjectStoreEvent::Recovered { objects: found, sealed } = cell.after_power_cut().await
        else {
            panic!()
        };
        let found: Vec<String> = found.into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(found, ["job", "job-1-b", "job-10/a"]);
        assert_eq!(sealed, ["job-1", "unknown"]);
        assert_eq!(
            objects.put_until_acknowledged("unknown/a", some).await,
            Err(ObjectStoreRefusal::Sealed)
        );
    });
}

#[test]
fn a_renamed_object_is_under_its_other_name_and_a_repeated_rename_is_done() {
    run(async |cell, objects| {
        let (one, two) = (content("one"), content("two"));
        let (of_one, of_two) = (ObjectSum::of(&one), ObjectSum::of(&two));
        assert_eq!(objects.rename("a", "b", of_one).await, refused(ObjectStoreRefusal::NotFound));
        assert_eq!(objects.put("a", one.clone()).await, Ok(()));
        assert_eq!(objects.rename("a", "b", of_two).await, refused(ObjectStoreRefusal::Exists));
        assert_eq!(objects.rename("a", "a", of_one).await, Ok(()), "nothing is changed");
        assert_eq!(objects.rename("a", "b/c", of_one).await, Ok(()));
        assert_eq!(objects.rename("a", "b/c", of_one).await, Ok(()), "once more is done");
        assert_eq!(objects.get("b/c").await, Ok(one.clone()));
        assert_eq!(objects.list("").await, Ok(names(&["b/c"])));
        // A late copy of the put, and then of the rename.
        assert_eq!(objects.put("a", one.clone()).await, Ok(()));
        assert_eq!(objects.rename("a", "b/c", of_one).await, Ok(()));
        assert_eq!(objects.list("").await, Ok(names(&["b/c"])), "one of the two is enough");
        // The name is in use again: a late rename leaves that alone.
        assert_eq!(objects.put("a", two.clone()).await, Ok(()));
        assert_eq!(objects.rename("a", "b/c", of_one).await, Ok(()));
        assert_eq!(objects.get("a").await, Ok(two.clone()));
        assert_eq!(objects.rename("a", "b/c", of_two).await, refused(ObjectStoreRefusal::Exists));
        assert_eq!(objects.seal("s").await, Ok(()));
        assert_eq!(objects.rename("a", "s/a", of_two).await, refused(ObjectStoreRefusal::Sealed));
        for (from, to) in [("", "d"), ("a", "../d"), ("a", "ä")] {
            let renamed = objects.rename(from, to, of_two).await;
            assert_eq!(renamed, refused(ObjectStoreRefusal::BadName));
        }
        // What is sealed takes names with it, and no rename brings them back.
        assert_eq!(objects.seal("b").await, Ok(()));
        assert_eq!(objects.rename("x", "b/c", of_one).await, refused(ObjectStoreRefusal::NotFound));
        let ObjectStoreEvent::Recovered { objects, .. } = cell.after_power_cut().await else {
            panic!()
        };
        assert_eq!(objects, [shown("a", &two)]);
    });
}

#[test]
fn what_is_no_name_or_too_large_is_refused() {
    run(async |cell, objects| {
        let large = Bytes::from(vec![1; OBJECT_BYTES_MAX + 1]);
        for name in ["", "a//b", "../a", "ä"] {
            assert_eq!(objects.put(name, content("")).await, refused(ObjectStoreRefusal::BadName));
            assert_eq!(objects.seal(name).await, refused(ObjectStoreRefusal::BadName));
            assert_eq!(objects.delete(&names(&[name])).await, refused(ObjectStoreRefusal::BadName));
            assert_eq!(objects.get(name).await, refused(ObjectStoreRefusal::NotFound));
        }
        assert_eq!(
            objects.put("large", large.clone()).await,
            refused(ObjectStoreRefusal::TooLarge)
        );
        assert_eq!(
            objects.put_until_acknowledged("large", large.clone()).await,
            Err(ObjectStoreRefusal::TooLarge)
        );
        let largest = large.slice(1..);
        assert_eq!(objects.put("largest", largest.clone()).await, Ok(()));
        assert_eq!(objects.get("largest").await, Ok(largest));
        // A caller that is no client of ours.
        let (_, service) = cell.client("other").await;
        let address = RpcAddress::new(server_address(), OBJECT_STORE_ENDPOINT);
        let gateway: BlobGateway = service.connect(&address).await.expect("a server");
        assert_eq!(PORT, address.node.port);
        assert_eq!(gateway.put("large".into(), large).await, Ok(Err(ObjectStoreRefusal::TooLarge)));
        let many = vec!["a".to_string(); OBJECT_NAMES_MAX + 1];
        assert_eq!(gateway.delete(many).await, Ok(Err(ObjectStoreRefusal::TooLarge)));
        assert_eq!(cell.history.events().len(), 2);
    });
}

#[test]
fn more_names_than_a_message_may_hold_are_listed_and_deleted() {
    run(async |_, objects| {
        let all: Vec<String> = (0..OBJECT_NAMES_MAX + 10).map(|n| format!("p/{n:05}")).collect();
        let put = |name: String| {
            let objects = objects.clone();
            async move { objects.put_until_acknowledged(&name, content(&name)).await }
        };
        let put = futures::stream::iter(all.clone()).map(put).buffer_unordered(512);
        put.try_collect::<Vec<()>>().await.expect("all are stored");
        assert_eq!(objects.put("q", content("")).await, Ok(()));
        assert_eq!(objects.list("p/").await.as_ref(), Ok(&all));
        assert_eq!(objects.list("p/00007").await, Ok(names(&["p/00007"])));
        assert_eq!(objects.delete(&all).await, Ok(()));
        assert_eq!(objects.list("").await, Ok(names(&["q"])));
    });
}

#[test]
fn calls_can_be_made_by_tasks() {
    run(async |_, objects| {
        let host = objects.host().clone();
        let (done, is_done) = futures::channel::oneshot::channel();
        host.spawn(async move {
            assert_eq!(objects.put_until_acknowledged("a/b", content("1")).await, Ok(()));
            assert_eq!(objects.get_until_acknowledged("a/b").await, Ok(content("1")));
            assert_eq!(objects.list("a").await, Ok(names(&["a/b"])));
            assert_eq!(objects.delete_until_acknowledged(&names(&["a/b"])).await, Ok(()));
            assert_eq!(objects.seal_until_acknowledged("a").await, Ok(()));
            let _ = done.send(());
        });
        is_done.await.expect("the task ends");
    });
}
