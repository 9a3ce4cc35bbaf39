//! What is promised of an object store while nothing fails, of whichever there are. Each part begins with an empty one.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use wavetank::system::service::{
    ServiceError,
    object_store::{
        OBJECT_BYTES_MAX, OBJECT_NAME_BYTES_MAX, OBJECT_NAMES_MAX, ObjectStore, ObjectStoreError,
        ObjectStoreRefusal, ObjectSum,
    },
};

pub fn refused<T>(refusal: ObjectStoreRefusal) -> Result<T, ObjectStoreError> {
    Err(ServiceError::Refused(refusal))
}

pub fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_string()).collect()
}

pub fn content(text: &str) -> Bytes {
    Bytes::from(text.to_string())
}

/// An object is stored once, read and deleted. Leaves `a/b` and `empty`.
pub async fn stores_once(objects: &dyn ObjectStore) {
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
    assert_eq!(objects.get("a/b").await, Ok(two));
}

/// Nothing comes under a sealed prefix. Leaves `job`, `job-1-b`, `job-10/a`, and seals of `job-1` and `unknown`.
pub async fn seals(objects: &dyn ObjectStore) {
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
    assert_eq!(objects.seal("unknown").await, Ok(()), "a prefix may be sealed before its first");
    let unknown = objects.put_until_acknowledged("unknown/a", some).await;
    assert_eq!(unknown, Err(ObjectStoreRefusal::Sealed));
}

/// Each line of the table of renames. Leaves `a` with the content `two`, and seals of `b` and `s`.
pub async fn renames(objects: &dyn ObjectStore) {
    let (one, two) = (content("one"), content("two"));
    let (of_one, of_two) = (ObjectSum::of(&one), ObjectSum::of(&two));
    assert_eq!(objects.rename("a", "b", of_one).await, refused(ObjectStoreRefusal::NotFound));
    assert_eq!(objects.put("a", one.clone()).await, Ok(()));
    assert_eq!(objects.rename("a", "b", of_two).await, refused(ObjectStoreRefusal::Exists));
    assert_eq!(objects.rename("a", "a", of_one).await, Ok(()), "nothing is changed");
    assert_eq!(objects.rename("a", "a", of_two).await, refused(ObjectStoreRefusal::Exists));
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
    assert_eq!(objects.get("b/c").await, Ok(one), "nothing takes its place");
    assert_eq!(objects.rename("x", "b/c", of_two).await, refused(ObjectStoreRefusal::Exists));
    assert_eq!(objects.seal("s").await, Ok(()));
    assert_eq!(objects.rename("a", "s/a", of_two).await, refused(ObjectStoreRefusal::Sealed));
    for (from, to) in [("", "d"), ("a", "../d"), ("a", "ä")] {
        let renamed = objects.rename(from, to, of_two).await;
        assert_eq!(renamed, refused(ObjectStoreRefusal::BadName));
    }
    // What is sealed takes names with it, and no rename brings them back.
    assert_eq!(objects.seal("b").await, Ok(()));
    assert_eq!(objects.rename("x", "b/c", of_one).await, refused(ObjectStoreRefusal::NotFound));
    assert_eq!(objects.get("a").await, Ok(two));
}

/// What is no name or too large is refused, and the longest and largest are not. Leaves these.
pub async fn bounds(objects: &dyn ObjectStore) {
    let large = Bytes::from(vec![1; OBJECT_BYTES_MAX + 1]);
    for name in ["", "a//b", "../a", "ä"] {
        assert_eq!(objects.put(name, content("")).await, refused(ObjectStoreRefusal::BadName));
        assert_eq!(objects.seal(name).await, refused(ObjectStoreRefusal::BadName));
        assert_eq!(objects.delete(&names(&[name])).await, refused(ObjectStoreRefusal::BadName));
        assert_eq!(objects.get(name).await, refused(ObjectStoreRefusal::NotFound));
    }
    for prefix in ["a//b", "..", "../", "ä", "/a"] {
        assert_eq!(objects.list(prefix).await, Ok(vec![]), "nothing is under {prefix:?}");
    }
    assert_eq!(objects.put("large", large.clone()).await, refused(ObjectStoreRefusal::TooLarge));
    assert_eq!(
        objects.put_until_acknowledged("large", large.clone()).await,
        Err(ObjectStoreRefusal::TooLarge)
    );
    let largest = large.slice(1..);
    assert_eq!(objects.put("largest", largest.clone()).await, Ok(()));
    assert_eq!(objects.get("largest").await, Ok(largest));
    let longest = "b".repeat(OBJECT_NAME_BYTES_MAX);
    assert_eq!(objects.put(&longest, content("1")).await, Ok(()));
    assert_eq!(objects.get(&longest).await, Ok(content("1")));
    let longer = format!("{longest}b");
    assert_eq!(objects.put(&longer, content("1")).await, refused(ObjectStoreRefusal::BadName));
    assert_eq!(objects.list("").await, Ok(vec![longest, "largest".to_string()]));
}

/// Lists are in the order of names, of what is under a prefix and nothing beside it.
pub async fn lists(objects: &dyn ObjectStore) {
    let all = names(&["a", "a-b", "a.b", "a/b", "a/b/c", "a/b2", "ab", "b", "objects/a", "sealed"]);
    for name in all.iter().rev() {
        assert_eq!(objects.put(name, content(name)).await, Ok(()));
    }
    assert_eq!(objects.list("").await.as_ref(), Ok(&all));
    assert_eq!(objects.list("/").await.as_ref(), Ok(&all));
    for (prefix, under) in [
        ("a", &["a", "a/b", "a/b/c", "a/b2"][..]),
        ("a/", &["a", "a/b", "a/b/c", "a/b2"]),
        ("a/b", &["a/b", "a/b/c"]),
        ("a/b/c", &["a/b/c"]),
        ("objects", &["objects/a"]),
        ("sealed", &["sealed"]),
        ("c", &[]),
    ] {
        assert_eq!(objects.list(prefix).await, Ok(names(under)), "{prefix:?}");
    }
    assert_eq!(objects.seal("a/b").await, Ok(()));
    assert_eq!(objects.list("a").await, Ok(names(&["a", "a/b2"])), "no mark is a name");
}

/// More names than a message may hold are listed and deleted. Leaves `q`.
pub async fn many_names(objects: &dyn ObjectStore) {
    let all: Vec<String> = (0..OBJECT_NAMES_MAX + 10).map(|n| format!("p/{n:05}")).collect();
    let put =
        |name: String| async move { objects.put_until_acknowledged(&name, content(&name)).await };
    let put = futures::stream::iter(all.clone()).map(put).buffer_unordered(512);
    put.try_collect::<Vec<()>>().await.expect("all are stored");
    assert_eq!(objects.put("q", content("")).await, Ok(()));
    assert_eq!(objects.list("p/").await.as_ref(), Ok(&all));
    assert_eq!(objects.list("p/00007").await, Ok(names(&["p/00007"])));
    assert_eq!(objects.delete(&all).await, Ok(()));
    assert_eq!(objects.list("").await, Ok(names(&["q"])));
}
