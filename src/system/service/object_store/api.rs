//! What a process is promised by an object store.

use super::model::{ObjectStoreRefusal, ObjectSum};
use crate::system::{
    rpc::RpcService,
    service::client::{ServiceClient, ServiceError, until_acknowledged},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{fmt, sync::Arc};

/// Why a call has no value.
pub type ObjectStoreError = ServiceError<ObjectStoreRefusal>;

/// Immutable objects by name.
///
/// **Names** are `/`-separated parts of `A-Za-z0-9._-`, none of them `.` or `..`, at most
/// [`OBJECT_NAME_BYTES_MAX`](super::OBJECT_NAME_BYTES_MAX) bytes together. A name is *under* a prefix that
/// is the name or its first parts: `a/b` is under `a` and not under `a/b2`. A slash at a prefix's end means
/// nothing.
///
/// **Outcomes.** `Ok` is given when what was asked for is done and survives the loss of power. *Refused*
/// and *not done*: nothing was done, but of a `delete` of more names than one call takes. *Indeterminate*:
/// it may be done at any time, also after calls that were made later.
///
/// **Content.** Who reads an object reads all that was put under its name, or gets no value; never another
/// content nor a part of it. Within one life of a name its content never changes.
///
/// **Repeating.** Anybody may make any call again. The same content put again is done, a name deleted or a
/// prefix sealed again too, and so is an object renamed again under the same names. Only a put whose outcome is
/// unknown outlives a later delete or rename of that name; a seal keeps it out for ever.
pub trait ObjectStore: ServiceClient {
    /// Stores an object of up to [`OBJECT_BYTES_MAX`](super::OBJECT_BYTES_MAX) bytes. The same content under
    /// the same name again is done; contents may be told apart by length and CRC-32.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `BadName`, `TooLarge`, `Sealed`, `Exists` or `Full`.
    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>>;

    /// An object's content.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `NotFound`.
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Bytes, ObjectStoreError>>;

    /// Gives an object another name: at one instant it is under `from` no longer and is under `to`. `content` is what
    /// the caller knows it to hold, so a call that comes late, or from somebody who has been replaced, moves nothing
    /// else and takes nothing's place:
    ///
    /// | under `from` | under `to` | |
    /// | --- | --- | --- |
    /// | that content | nothing | it is renamed |
    /// | that content | that content | what is under `from` is removed |
    /// | anything else, or nothing | that content | done, nothing is changed |
    /// | nothing | nothing | refused `NotFound` |
    /// | other content | nothing | refused `Exists` |
    /// | anything, or nothing | other content | refused `Exists` |
    ///
    /// Where objects lie in a folder without a server there is no one instant: the object is under both names for a moment,
    /// and stays so if the caller dies then, until the rename is made again.
    ///
    /// A name renamed to itself is left as it is: done if it holds that content. The first line is refused `Sealed` where
    /// a prefix of `to` is sealed.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `BadName`, `NotFound`, `Exists` or `Sealed`.
    fn rename<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        content: ObjectSum,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>>;

    /// Removes objects; absent ones are fine.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `BadName`. Of more than
    /// [`OBJECT_NAMES_MAX`](super::OBJECT_NAMES_MAX) names some may be gone then.
    fn delete<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<(), ObjectStoreError>>;

    /// Removes every object under a prefix and refuses puts under it for ever.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `BadName` or `Full`.
    fn seal<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), ObjectStoreError>>;

    /// The names under a prefix, in order; all there are under the empty one. Of more than
    /// [`OBJECT_NAMES_MAX`](super::OBJECT_NAMES_MAX) names, those that come and go meanwhile may be seen or
    /// not.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; never *refused*.
    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, ObjectStoreError>>;
}

/// Where the objects of a cluster are, in the words of a command line.
pub trait ObjectStores: fmt::Debug + fmt::Display + Send + Sync + 'static {
    /// The way of a process with this RPC service to them. Whether anybody answers shows at the first call.
    fn open(&self, service: &RpcService) -> Arc<dyn ObjectStore>;
}

/// The calls again until the service answers; drop them to give up.
impl dyn ObjectStore {
    /// [`put`](ObjectStore::put) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn put_until_acknowledged(
        &self,
        name: &str,
        bytes: Bytes,
    ) -> Result<(), ObjectStoreRefusal> {
        until_acknowledged(self, || self.put(name, bytes.clone())).await
    }

    /// [`get`](ObjectStore::get) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn get_until_acknowledged(&self, name: &str) -> Result<Bytes, ObjectStoreRefusal> {
        until_acknowledged(self, || self.get(name)).await
    }

    /// [`rename`](ObjectStore::rename) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn rename_until_acknowledged(
        &self,
        from: &str,
        to: &str,
        content: ObjectSum,
    ) -> Result<(), ObjectStoreRefusal> {
        until_acknowledged(self, || self.rename(from, to, content)).await
    }

    /// [`list`](ObjectStore::list) until the service answers.
    ///
    /// # Errors
    /// What the service refuses: nothing.
    pub async fn list_until_acknowledged(
        &self,
        prefix: &str,
    ) -> Result<Vec<String>, ObjectStoreRefusal> {
        until_acknowledged(self, || self.list(prefix)).await
    }

    /// [`delete`](ObjectStore::delete) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn delete_until_acknowledged(
        &self,
        names: &[String],
    ) -> Result<(), ObjectStoreRefusal> {
        until_acknowledged(self, || self.delete(names)).await
    }

    /// [`seal`](ObjectStore::seal) until the service answers.
    ///
    /// # Errors
    /// What the service refuses.
    pub async fn seal_until_acknowledged(&self, prefix: &str) -> Result<(), ObjectStoreRefusal> {
        until_acknowledged(self, || self.seal(prefix)).await
    }
}
