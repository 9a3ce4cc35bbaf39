//! The blob server: an endpoint in front of the index, its log and the blobs' files.

use super::{
    BlobEvent,
    files::{self, FileError},
    index::{Blob, Index, Record, Sealing},
    model::{BLOB_BYTES_MAX, BlobRefusal},
};
use crate::{
    gateway,
    host::Disk,
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        service::{
            backlog::Backlog,
            durable::{Durable, DurableError, DurableLog},
        },
    },
};
use bytes::Bytes;

/// The name of the server's endpoint.
pub const BLOB_ENDPOINT: &str = "blobs";

/// Where the index's log is kept.
const FOLDER: &str = "blob-index";

/// Blobs that are read at the same time; a call beyond it is answered with an error.
const READS_MAX: usize = 64;

gateway! {
    /// Speaks to the blob server.
    pub gateway BlobGateway serves BlobHandler {
        /// Stores a blob. The same content under the same name again is done.
        ask put(name: String, bytes: Bytes) -> Result<(), BlobRefusal>;
        /// A blob's content.
        ask get(name: String) -> Result<Bytes, BlobRefusal>;
        /// Removes blobs; absent ones are fine.
        ask delete(names: Vec<String>) -> Result<(), BlobRefusal>;
        /// Removes every blob under a prefix and refuses puts under it for ever.
        ask seal(prefix: String) -> Result<(), BlobRefusal>;
        /// The first names under a prefix that come after `after`, in order.
        ask list(prefix: String, after: String) -> Vec<String>;
    }
}

enum Request {
    Put(String, Bytes, Reply<Result<(), BlobRefusal>>),
    Get(String, Reply<Result<Bytes, BlobRefusal>>),
    Delete(Vec<String>, Reply<Result<(), BlobRefusal>>),
    Seal(String, Reply<Result<(), BlobRefusal>>),
    List(String, String, Reply<Vec<String>>),
}

impl Request {
    fn refuse(self, error: RpcError) {
        match self {
            Request::Put(_, _, reply) | Request::Delete(_, reply) | Request::Seal(_, reply) => {
                reply.fail(error);
            }
            Request::Get(_, reply) => reply.fail(error),
            Request::List(_, _, reply) => reply.fail(error),
        }
    }

    fn bytes(&self) -> usize {
        if let Request::Put(_, bytes, _) = self { bytes.len() } else { 0 }
    }
}

/// An answer that waits for the batch to be durable.
type Answer = Box<dyn FnOnce(&mut BlobServer, &Context<BlobServer>) + Send>;

/// What one batch of requests comes to.
#[derive(Default)]
struct Batch {
    /// Files to be written, by number.
    written: Vec<(u64, Bytes)>,
    records: Vec<Record>,
    /// Files to be removed once the records are durable.
    removed: Vec<u64>,
    events: Vec<BlobEvent>,
    answers: Vec<Answer>,
}

/// Why a batch is not durable.
#[derive(Debug, thiserror::Error)]
enum BatchError {
    #[error(transparent)]
    Log(#[from] DurableError),
    #[error(transparent)]
    File(#[from] FileError),
}

/// The server's state. While a batch is being synced, requests wait: what is answered and announced
/// is durable.
pub struct BlobServer {
    disk: Disk,
    index: Index,
    /// `None` while a batch is being synced.
    log: Option<DurableLog<Index>>,
    backlog: Backlog<Request>,
    /// Blobs that are being read.
    reads: usize,
}

impl RpcEndpoint for BlobServer {
    type Gateway = BlobGateway;
}

async fn recover(disk: &Disk) -> Result<(DurableLog<Index>, Index), BatchError> {
    let (log, index) = DurableLog::<Index>::recover(disk.clone(), FOLDER).await?;
    files::recover(disk, &index).await?;
    Ok((log, index))
}

impl BlobServer {
    /// Recovers the server from its node's disk, verifies every blob and starts it. When that is
    /// impossible the process exits.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt; the process has been told to exit then.
    pub async fn start(service: &RpcService) -> Result<RpcServer<BlobServer>, RpcError> {
        let host = service.host();
        let (log, index) = match recover(&host.disk()).await {
            Ok(recovered) => recovered,
            Err(error) => {
                host.exit(&format!("blobs: {error}"));
                return Err(RpcError::Application(error.to_string()));
            }
        };
        let blobs = index.blobs().map(|(name, blob)| (name.clone(), blob.length, blob.crc));
        host.announce(&BlobEvent::Recovered {
            blobs: blobs.collect(),
            sealed: index.sealed().cloned().collect(),
        });
        let server = BlobServer {
            disk: host.disk(),
            index,
            log: Some(log),
            backlog: Backlog::new(),
            reads: 0,
        };
        let server = service.start_server(BLOB_ENDPOINT, server)?;
        server.start();
        Ok(server)
    }

    fn request(&mut self, context: &mut Context<Self>, request: Request) {
        let bytes = request.bytes();
        if let Err(request) = self.backlog.push(request, bytes) {
            return request.refuse(RpcError::NotRunning("too much waits".to_string()));
        }
        if self.log.is_some() {
            self.process(context);
        }
    }

    /// Takes all that waits as one batch.
    fn process(&mut self, context: &mut Context<Self>) {
        let mut batch = Batch::default();
        for request in self.backlog.take() {
            self.evaluate(request, &mut batch);
        }
        let Batch { written, records, removed, events, answers } = batch;
        if records.is_empty() {
            answers.into_iter().for_each(|answer| answer(self, context));
            return;
        }
        let mut log = self.log.take().expect("requests are processed only when no batch is synced");
        let snapshot = log.wants_snapshot().then(|| self.index.clone());
        let disk = self.disk.clone();
        let work = async move {
            files::write(&disk, written).await?;
            log.append(&records).await?;
            if let Some(index) = snapshot {
                log.snapshot(&index).await?;
            }
            files::remove(&disk, &removed).await?;
            Ok::<_, BatchError>(log)
        };
        context.spawn_then(work, move |server, context, done| match done {
            Ok(log) => {
                server.log = Some(log);
                events.iter().for_each(|event| context.host().announce(event));
                answers.into_iter().for_each(|answer| answer(server, context));
                server.process(context);
            }
            Err(error) => context.host().exit(&format!("blobs: {error}")),
        });
    }

    fn evaluate(&mut self, request: Request, batch: &mut Batch) {
        match request {
            Request::Put(name, bytes, reply) => {
                let outcome = self.put(name, bytes, batch);
                batch.answers.push(Box::new(move |_, _| reply.ok(outcome)));
            }
            Request::Get(name, reply) => {
                batch.answers.push(Box::new(move |server, context| {
                    server.get(context, name, reply);
                }));
            }
            Request::Delete(names, reply) => {
                let outcome = self.delete(&names, batch);
                batch.answers.push(Box::new(move |_, _| reply.ok(outcome)));
            }
            Request::Seal(prefix, reply) => {
                let outcome = self.seal(&prefix, batch);
                batch.answers.push(Box::new(move |_, _| reply.ok(outcome)));
            }
            Request::List(prefix, after, reply) => {
                let names = self.index.list(&prefix, &after);
                batch.answers.push(Box::new(move |_, _| reply.ok(names)));
            }
        }
    }

    fn apply(&mut self, record: Record, batch: &mut Batch) {
        self.index.apply(&record);
        batch.records.push(record);
    }

    fn put(&mut self, name: String, bytes: Bytes, batch: &mut Batch) -> Result<(), BlobRefusal> {
        if bytes.len() > BLOB_BYTES_MAX {
            return Err(BlobRefusal::TooLarge);
        }
        let (len, crc) = (bytes.len() as u64, crc32fast::hash(&bytes));
        if let Some(blob) = self.index.put(&name, len, crc)? {
            batch.written.push((blob.file, bytes));
            batch.events.push(BlobEvent::Stored { name: name.clone(), len, crc });
            self.apply(Record::Store { name, blob }, batch);
        }
        Ok(())
    }

    fn delete(&mut self, names: &[String], batch: &mut Batch) -> Result<(), BlobRefusal> {
        let known = self.index.delete(names)?;
        if !known.is_empty() {
            let names = gone(known, batch);
            batch.events.push(BlobEvent::Deleted { names: names.clone() });
            self.apply(Record::Delete { names }, batch);
        }
        Ok(())
    }

    fn seal(&mut self, prefix: &str, batch: &mut Batch) -> Result<(), BlobRefusal> {
        if let Some(Sealing { prefix, removed }) = self.index.seal(prefix)? {
            let removed = gone(removed, batch);
            batch.events.push(BlobEvent::Sealed { prefix: prefix.clone(), removed });
            self.apply(Record::Seal { prefix }, batch);
        }
        Ok(())
    }

    /// Reads a blob of the durable index beside the main thread.
    fn get(
        &mut self,
        context: &Context<Self>,
        name: String,
        reply: Reply<Result<Bytes, BlobRefusal>>,
    ) {
        let Some(blob) = self.index.get(&name) else {
            return reply.ok(Err(BlobRefusal::NotFound));
        };
        if self.reads >= READS_MAX {
            return reply.fail(RpcError::NotRunning("too much is read".to_string()));
        }
        self.reads += 1;
        let disk = self.disk.clone();
        let work = async move { files::read(&disk, blob).await };
        context.spawn_then(work, move |server, context, read| {
            server.reads -= 1;
            match read {
                Ok(bytes) => reply.ok(Ok(bytes)),
                // Its file may go while it is read; then the blob has gone before.
                Err(_) if server.index.get(&name) != Some(blob) => {
                    reply.ok(Err(BlobRefusal::NotFound));
                }
                Err(error) => context.host().exit(&format!("blobs: {error}")),
            }
        });
    }
}

/// Marks blobs' files for removal; returns the names.
fn gone(blobs: Vec<(String, Blob)>, batch: &mut Batch) -> Vec<String> {
    batch.removed.extend(blobs.iter().map(|(_, blob)| blob.file));
    blobs.into_iter().map(|(name, _)| name).collect()
}

impl BlobHandler for BlobServer {
    fn put(
        &mut self,
        context: &mut Context<Self>,
        name: String,
        bytes: Bytes,
        reply: Reply<Result<(), BlobRefusal>>,
    ) {
        self.request(context, Request::Put(name, bytes, reply));
    }

    fn get(
        &mut self,
        context: &mut Context<Self>,
        name: String,
        reply: Reply<Result<Bytes, BlobRefusal>>,
    ) {
        self.request(context, Request::Get(name, reply));
    }

    fn delete(
        &mut self,
        context: &mut Context<Self>,
        names: Vec<String>,
        reply: Reply<Result<(), BlobRefusal>>,
    ) {
        self.request(context, Request::Delete(names, reply));
    }

    fn seal(
        &mut self,
        context: &mut Context<Self>,
        prefix: String,
        reply: Reply<Result<(), BlobRefusal>>,
    ) {
        self.request(context, Request::Seal(prefix, reply));
    }

    fn list(
        &mut self,
        context: &mut Context<Self>,
        prefix: String,
        after: String,
        reply: Reply<Vec<String>>,
    ) {
        self.request(context, Request::List(prefix, after, reply));
    }
}
