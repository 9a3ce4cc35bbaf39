//! The life of objects while nothing fails.

use super::{Cell, Client, Objects, content, shown};
use crate::{
    object_contract::{self, names},
    service::{PORT, in_simulation, server_address},
};
use bytes::Bytes;
use wavetank::{
    host::sim::WorldConfig,
    system::{
        rpc::RpcAddress,
        service::object_store::{
            BlobGateway, Content, OBJECT_BYTES_MAX, OBJECT_NAMES_MAX, OBJECT_STORE_ENDPOINT,
            ObjectStoreEvent, ObjectStoreRefusal,
        },
    },
};

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
        object_contract::stores_once(&*objects).await;
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
        object_contract::seals(&*objects).await;
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
        let late = objects.put_until_acknowledged("unknown/a", content("some")).await;
        assert_eq!(late, Err(ObjectStoreRefusal::Sealed));
    });
}

#[test]
fn a_renamed_object_is_under_its_other_name_and_a_repeated_rename_is_done() {
    run(async |cell, objects| {
        object_contract::renames(&*objects).await;
        let ObjectStoreEvent::Recovered { objects, .. } = cell.after_power_cut().await else {
            panic!()
        };
        assert_eq!(objects, [shown("a", &content("two"))]);
    });
}

#[test]
fn what_is_no_name_or_too_large_is_refused() {
    run(async |cell, objects| {
        object_contract::bounds(&*objects).await;
        // A caller that is no client of ours.
        let (_, service) = cell.client("other").await;
        let address = RpcAddress::new(server_address(), OBJECT_STORE_ENDPOINT);
        let gateway: BlobGateway = service.connect(&address).await.expect("a server");
        assert_eq!(PORT, address.node.port);
        let large = Bytes::from(vec![1; OBJECT_BYTES_MAX + 1]);
        assert_eq!(gateway.put("large".into(), large).await, Ok(Err(ObjectStoreRefusal::TooLarge)));
        let many = vec!["a".to_string(); OBJECT_NAMES_MAX + 1];
        assert_eq!(gateway.delete(many).await, Ok(Err(ObjectStoreRefusal::TooLarge)));
        assert_eq!(cell.history.events().len(), 3);
    });
}

#[test]
fn names_are_listed_in_order_by_their_prefixes() {
    run(async |_, objects| object_contract::lists(&*objects).await);
}

#[test]
fn more_names_than_a_message_may_hold_are_listed_and_deleted() {
    run(async |_, objects| object_contract::many_names(&*objects).await);
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
