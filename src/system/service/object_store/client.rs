//! The client of the object store.

use super::{
    BlobGateway, OBJECT_STORE_ENDPOINT,
    model::{OBJECT_BYTES_MAX, OBJECT_NAMES_MAX, ObjectStoreRefusal},
};
use crate::{
    host::{Host, NodeAddress},
    system::{
        rpc::RpcService,
        service::{
            ServiceError,
            connection::{Connection, once_more, until_acknowledged},
        },
    },
};
use bytes::Bytes;
use std::time::Duration;

/// How a client behaves.
#[derive(Clone, Debug)]
pub struct ObjectStoreConfig {
    /// The server's message socket.
    pub server: NodeAddress,
    /// How long a call waits for its answer; 2 s.
    pub ask_timeout: Duration,
    /// How long to wait after a failure before the next try; 200 ms.
    pub retry_delay: Duration,
}

impl ObjectStoreConfig {
    /// The defaults, for the server at that address.
    pub fn new(server: NodeAddress) -> Self {
        ObjectStoreConfig {
            server,
            ask_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
        }
    }
}

/// Why a call has no value.
pub type ObjectStoreError = ServiceError<ObjectStoreRefusal>;

/// Speaks to the object store. Cheap to clone.
///
/// Names are `/`-separated parts of `A-Za-z0-9._-`, none of them `.` or `..`, at most 512 bytes
/// together. A name is *under* a prefix that is the name or its first parts: `a/b` is under `a` and
/// not under `a/b2`. A slash at a prefix's end means nothing.
///
/// The `*_until_acknowledged` calls try again until the server answers; drop them to give up.
#[derive(Clone)]
pub struct ObjectStoreClient {
    connection: Connection<BlobGateway>,
    retry_delay: Duration,
}

impl ObjectStoreClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: ObjectStoreConfig) -> Self {
        let ObjectStoreConfig { server, ask_timeout, retry_delay } = config;
        let connection = Connection::new(service, &server, OBJECT_STORE_ENDPOINT, ask_timeout);
        ObjectStoreClient { connection, retry_delay }
    }

    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.connection.host()
    }

    /// Stores an object of up to 4 MiB. Done again with the same content it is done; the server tells
    /// contents apart by length and CRC-32.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `BadName`, `TooLarge`, `Sealed`, `Exists` or `Full`.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), ObjectStoreError> {
        // A larger one fits in no message, and the caller would be told nothing better than maybe.
        if bytes.len() > OBJECT_BYTES_MAX {
            return Err(ServiceError::Refused(ObjectStoreRefusal::TooLarge));
        }
        self.connection.call(|gateway| gateway.put(name.to_string(), bytes)).await
    }

    /// An object's content.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `NotFound`.
    pub async fn get(&self, name: &str) -> Result<Bytes, ObjectStoreError> {
        once_more(|| self.connection.call(|gateway| gateway.get(name.to_string()))).await
    }

    /// Removes objects; absent ones are fine.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `BadName`. Of more than 4096 names some may be gone then.
    pub async fn delete(&self, names: &[String]) -> Result<(), ObjectStoreError> {
        for names in names.chunks(OBJECT_NAMES_MAX) {
            self.connection.call(|gateway| gateway.delete(names.to_vec())).await?;
        }
        Ok(())
    }

    /// Removes every object under a prefix and refuses puts under it for ever.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; refused `BadName` or `Full`.
    pub async fn seal(&self, prefix: &str) -> Result<(), ObjectStoreError> {
        self.connection.call(|gateway| gateway.seal(prefix.to_string())).await
    }

    /// The names under a prefix, in order; all there are under the empty one. Of more than 4096
    /// names, those that come and go meanwhile may be seen or not.
    ///
    /// # Errors
    /// [`ObjectStoreError`]; never *refused*.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectStoreError> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let after = names.last().cloned().unwrap_or_default();
            let page = once_more(|| self.page(prefix, &after)).await?;
            let last = page.len() < OBJECT_NAMES_MAX;
            names.extend(page);
            if last {
                return Ok(names);
            }
        }
    }

    async fn page(&self, prefix: &str, after: &str) -> Result<Vec<String>, ObjectStoreError> {
        let ask = self.connection.gateway().await?.list(prefix.to_string(), after.to_string());
        self.connection.answer(ask).await
    }

    /// [`put`](Self::put) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn put_until_acknowledged(
        &self,
        name: &str,
        bytes: Bytes,
    ) -> Result<(), ObjectStoreRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.put(name, bytes.clone())).await
    }

    /// [`get`](Self::get) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn get_until_acknowledged(&self, name: &str) -> Result<Bytes, ObjectStoreRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.get(name)).await
    }

    /// [`delete`](Self::delete) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn delete_until_acknowledged(
        &self,
        names: &[String],
    ) -> Result<(), ObjectStoreRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.delete(names)).await
    }

    /// [`seal`](Self::seal) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn seal_until_acknowledged(&self, prefix: &str) -> Result<(), ObjectStoreRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.seal(prefix)).await
    }
}
