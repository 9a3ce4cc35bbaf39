//! The life of blobs while nothing fails.

use super::{Blobs, Cell, content, shown};
use crate::service::{PORT, in_simulation, server_address};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use wavetank::{
    host::sim::WorldConfig,
    system::{
        rpc::RpcAddress,
        service::{
            ServiceError,
            blobs::{
                BLOB_BYTES_MAX, BLOB_ENDPOINT, BLOB_NAMES_MAX, BlobClient, BlobError, BlobEvent,
                BlobGateway, BlobRefusal,
            },
        },
    },
};

fn refused<T>(refusal: BlobRefusal) -> Result<T, BlobError> {
    Err(ServiceError::Refused(refusal))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

fn run(body: impl AsyncFnOnce(Cell, BlobClient) + Send + 'static) {
    in_simulation::<Blobs, ()>(WorldConfig::new(1), async |cell| {
        let blobs = cell.blobs("client").await;
        body(cell, blobs).await;
    });
}

#[test]
fn a_blob_is_stored_once_read_and_deleted() {
    run(async |cell, blobs| {
        let (one, two) = (content("one"), content("two"));
        assert_eq!(blobs.get("a/b").await, refused(BlobRefusal::NotFound));
        assert_eq!(blobs.put("a/b", one.clone()).await, Ok(()));
        assert_eq!(blobs.put("a/b", one.clone()).await, Ok(()), "the same again is done");
        assert_eq!(blobs.put("a/b", two.clone()).await, refused(BlobRefusal::Exists));
        assert_eq!(blobs.get("a/b").await, Ok(one.clone()));
        assert_eq!(blobs.put("empty", Bytes::new()).await, Ok(()));
        assert_eq!(blobs.get("empty").await, Ok(Bytes::new()));
        let deleted = names(&["a/b", "absent", "a/b"]);
        assert_eq!(blobs.delete(&deleted).await, Ok(()));
        assert_eq!(blobs.delete(&deleted).await, Ok(()));
        assert_eq!(blobs.get("a/b").await, refused(BlobRefusal::NotFound));
        assert_eq!(blobs.put("a/b", two.clone()).await, Ok(()), "the name is free again");
        assert_eq!(blobs.get("a/b").await, Ok(two.clone()));
        let stored = |name: &str, content: &Bytes| {
            let (name, len, crc) = shown(name, content);
            BlobEvent::Stored { name, len, crc }
        };
        let expected = [
            stored("a/b", &one),
            stored("empty", &Bytes::new()),
            BlobEvent::Deleted { names: names(&["a/b"]) },
            stored("a/b", &two),
        ];
        assert_eq!(cell.history.events()[1..], expected);
        let BlobEvent::Recovered { blobs, sealed } = cell.after_power_cut().await else { panic!() };
        assert_eq!(blobs, [shown("a/b", &two), shown("empty", &Bytes::new())]);
        assert_eq!(sealed, [""; 0]);
    });
}

#[test]
fn nothing_comes_under_a_sealed_prefix() {
    run(async |cell, blobs| {
        let some = content("some");
        for name in ["job-1", "job-1/chk-1/a", "job-1/chk-2/a", "job-1-b", "job-10/a", "job"] {
            assert_eq!(blobs.put(name, some.clone()).await, Ok(()));
        }
        assert_eq!(blobs.seal("job-1/").await, Ok(()));
        assert_eq!(blobs.seal("job-1").await, Ok(()), "again is fine");
        assert_eq!(blobs.seal("job-1/chk-1").await, Ok(()), "it is sealed above");
        assert_eq!(blobs.get("job-1/chk-1/a").await, refused(BlobRefusal::NotFound));
        for name in ["job-1", "job-1/chk-1/a", "job-1/new"] {
            assert_eq!(blobs.put(name, some.clone()).await, refused(BlobRefusal::Sealed));
        }
        let left = names(&["job", "job-1-b", "job-10/a"]);
        assert_eq!(blobs.list("").await, Ok(left));
        assert_eq!(blobs.seal("unknown").await, Ok(()), "a prefix may be sealed before its first");
        let sealed = |prefix: &str, removed: &[&str]| BlobEvent::Sealed {
            prefix: prefix.to_string(),
            removed: names(removed),
        };
        let seals = cell.history.events().into_iter();
        let seals = seals.filter(|event| matches!(event, BlobEvent::Sealed { .. }));
        let expected =
            [sealed("job-1", &["job-1", "job-1/chk-1/a", "job-1/chk-2/a"]), sealed("unknown", &[])];
        assert_eq!(seals.collect::<Vec<_>>(), expected);
        let BlobEvent::Recovered { blobs: found, sealed } = cell.after_power_cut().await else {
            panic!()
        };
        let found: Vec<String> = found.into_iter().map(|(name, _, _)| name).collect();
        assert_eq!(found, ["job", "job-1-b", "job-10/a"]);
        assert_eq!(sealed, ["job-1", "unknown"]);
        assert_eq!(blobs.put_until_acknowledged("unknown/a", some).await, Err(BlobRefusal::Sealed));
    });
}

#[test]
fn what_is_no_name_or_too_large_is_refused() {
    run(async |cell, blobs| {
        let large = Bytes::from(vec![1; BLOB_BYTES_MAX + 1]);
        for name in ["", "a//b", "../a", "ä"] {
            assert_eq!(blobs.put(name, content("")).await, refused(BlobRefusal::BadName));
            assert_eq!(blobs.seal(name).await, refused(BlobRefusal::BadName));
            assert_eq!(blobs.delete(&names(&[name])).await, refused(BlobRefusal::BadName));
            assert_eq!(blobs.get(name).await, refused(BlobRefusal::NotFound));
        }
        assert_eq!(blobs.put("large", large.clone()).await, refused(BlobRefusal::TooLarge));
        assert_eq!(
            blobs.put_until_acknowledged("large", large.clone()).await,
            Err(BlobRefusal::TooLarge)
        );
        let largest = large.slice(1..);
        assert_eq!(blobs.put("largest", largest.clone()).await, Ok(()));
        assert_eq!(blobs.get("largest").await, Ok(largest));
        // A caller that is no client of ours.
        let (_, service) = cell.client("other").await;
        let address = RpcAddress::new(server_address(), BLOB_ENDPOINT);
        let gateway: BlobGateway = service.connect(&address).await.expect("a server");
        assert_eq!(PORT, address.node.port);
        assert_eq!(gateway.put("large".into(), large).await, Ok(Err(BlobRefusal::TooLarge)));
        let many = vec!["a".to_string(); BLOB_NAMES_MAX + 1];
        assert_eq!(gateway.delete(many).await, Ok(Err(BlobRefusal::TooLarge)));
        assert_eq!(cell.history.events().len(), 2);
    });
}

#[test]
fn more_names_than_a_message_may_hold_are_listed_and_deleted() {
    run(async |_, blobs| {
        let all: Vec<String> = (0..BLOB_NAMES_MAX + 10).map(|n| format!("p/{n:05}")).collect();
        let put = |name: String| {
            let blobs = blobs.clone();
            async move { blobs.put_until_acknowledged(&name, content(&name)).await }
        };
        let put = futures::stream::iter(all.clone()).map(put).buffer_unordered(512);
        put.try_collect::<Vec<()>>().await.expect("all are stored");
        assert_eq!(blobs.put("q", content("")).await, Ok(()));
        assert_eq!(blobs.list("p/").await.as_ref(), Ok(&all));
        assert_eq!(blobs.list("p/00007").await, Ok(names(&["p/00007"])));
        assert_eq!(blobs.delete(&all).await, Ok(()));
        assert_eq!(blobs.list("").await, Ok(names(&["q"])));
    });
}

#[test]
fn calls_can_be_made_by_tasks() {
    run(async |_, blobs| {
        let host = blobs.host().clone();
        let (done, is_done) = futures::channel::oneshot::channel();
        host.spawn(async move {
            assert_eq!(blobs.put_until_acknowledged("a/b", content("1")).await, Ok(()));
            assert_eq!(blobs.get_until_acknowledged("a/b").await, Ok(content("1")));
            assert_eq!(blobs.list("a").await, Ok(names(&["a/b"])));
            assert_eq!(blobs.delete_until_acknowledged(&names(&["a/b"])).await, Ok(()));
            assert_eq!(blobs.seal_until_acknowledged("a").await, Ok(()));
            let _ = done.send(());
        });
        is_done.await.expect("the task ends");
    });
}
