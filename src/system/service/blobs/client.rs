//! The client of the blob service.

use super::{
    BLOB_ENDPOINT, BlobGateway,
    model::{BLOB_BYTES_MAX, BLOB_NAMES_MAX, BlobRefusal},
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
pub struct BlobConfig {
    /// The server's message socket.
    pub server: NodeAddress,
    /// How long a call waits for its answer; 2 s.
    pub ask_timeout: Duration,
    /// How long to wait after a failure before the next try; 200 ms.
    pub retry_delay: Duration,
}

impl BlobConfig {
    /// The defaults, for the server at that address.
    pub fn new(server: NodeAddress) -> Self {
        BlobConfig {
            server,
            ask_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
        }
    }
}

/// Why a call has no value.
pub type BlobError = ServiceError<BlobRefusal>;

/// Speaks to the blob server. Cheap to clone.
///
/// Names are `/`-separated parts of `A-Za-z0-9._-`, none of them `.` or `..`, at most 512 bytes
/// together. A name is *under* a prefix that is the name or its first parts: `a/b` is under `a` and
/// not under `a/b2`. A slash at a prefix's end means nothing.
///
/// The `*_until_acknowledged` calls try again until the server answers; drop them to give up.
#[derive(Clone)]
pub struct BlobClient {
    connection: Connection<BlobGateway>,
    retry_delay: Duration,
}

impl BlobClient {
    /// A client on this process's RPC service. It connects on first use.
    pub fn new(service: &RpcService, config: BlobConfig) -> Self {
        let BlobConfig { server, ask_timeout, retry_delay } = config;
        let connection = Connection::new(service, &server, BLOB_ENDPOINT, ask_timeout);
        BlobClient { connection, retry_delay }
    }

    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.connection.host()
    }

    /// Stores a blob of up to 4 MiB. Done again with the same content it is done; the server tells
    /// contents apart by length and CRC-32.
    ///
    /// # Errors
    /// [`BlobError`]; refused `BadName`, `TooLarge`, `Sealed`, `Exists` or `Full`.
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        // A larger one fits in no message, and the caller would be told nothing better than maybe.
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(ServiceError::Refused(BlobRefusal::TooLarge));
        }
        self.connection.call(|gateway| gateway.put(name.to_string(), bytes)).await
    }

    /// A blob's content.
    ///
    /// # Errors
    /// [`BlobError`]; refused `NotFound`.
    pub async fn get(&self, name: &str) -> Result<Bytes, BlobError> {
        once_more(|| self.connection.call(|gateway| gateway.get(name.to_string()))).await
    }

    /// Removes blobs; absent ones are fine.
    ///
    /// # Errors
    /// [`BlobError`]; refused `BadName`. Of more than 4096 names some may be gone then.
    pub async fn delete(&self, names: &[String]) -> Result<(), BlobError> {
        for names in names.chunks(BLOB_NAMES_MAX) {
            self.connection.call(|gateway| gateway.delete(names.to_vec())).await?;
        }
        Ok(())
    }

    /// Removes every blob under a prefix and refuses puts under it for ever.
    ///
    /// # Errors
    /// [`BlobError`]; refused `BadName` or `Full`.
    pub async fn seal(&self, prefix: &str) -> Result<(), BlobError> {
        self.connection.call(|gateway| gateway.seal(prefix.to_string())).await
    }

    /// The names under a prefix, in order; all there are under the empty one. Of more than 4096
    /// names, those that come and go meanwhile may be seen or not.
    ///
    /// # Errors
    /// [`BlobError`]; never *refused*.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, BlobError> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let after = names.last().cloned().unwrap_or_default();
            let page = once_more(|| self.page(prefix, &after)).await?;
            let last = page.len() < BLOB_NAMES_MAX;
            names.extend(page);
            if last {
                return Ok(names);
            }
        }
    }

    async fn page(&self, prefix: &str, after: &str) -> Result<Vec<String>, BlobError> {
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
    ) -> Result<(), BlobRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.put(name, bytes.clone())).await
    }

    /// [`get`](Self::get) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn get_until_acknowledged(&self, name: &str) -> Result<Bytes, BlobRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.get(name)).await
    }

    /// [`delete`](Self::delete) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn delete_until_acknowledged(&self, names: &[String]) -> Result<(), BlobRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.delete(names)).await
    }

    /// [`seal`](Self::seal) until the server answers.
    ///
    /// # Errors
    /// What the server refuses.
    pub async fn seal_until_acknowledged(&self, prefix: &str) -> Result<(), BlobRefusal> {
        until_acknowledged(self.host(), self.retry_delay, || self.seal(prefix)).await
    }
}
