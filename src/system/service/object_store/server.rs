//! The object store: an endpoint in front of the index, its log and the objects' files.

use super::{
    Content, ObjectStoreEvent, files,
    index::{Index, Object, Record, Sealing},
    model::{ObjectStoreRefusal, ObjectSum, Renaming, check_size},
};
use crate::{
    gateway,
    host::{Disk, Host},
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
        sabotage,
        service::{
            batch::{self, BatchError, BatchQueue, BatchServer},
            durable::{Durable, DurableLog},
        },
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::mem::take;

/// The name of the server's endpoint. Like the names of its messages and of its folders it stays what it
/// was: scenarios and disks name them.
pub const OBJECT_STORE_ENDPOINT: &str = "blobs";

/// Objects that are read at the same time; a call beyond it is answered with an error.
const READS_MAX: usize = 64;

gateway! {
    /// Speaks to the object store.
    pub gateway BlobGateway serves ObjectStoreHandler {
        /// Stores an object. The same content under the same name again is done.
        ask put(name: String, bytes: Bytes) -> Result<(), ObjectStoreRefusal>;
        /// An object's content.
        ask get(name: String) -> Result<Bytes, ObjectStoreRefusal>;
        /// Removes objects; absent ones are fine.
        ask delete(names: Vec<String>) -> Result<(), ObjectStoreRefusal>;
        /// Removes every object under a prefix and refuses puts under it for ever.
        ask seal(prefix: String) -> Result<(), ObjectStoreRefusal>;
        /// The first names under a prefix that come after `after`, in order.
        ask list(prefix: String, after: String) -> Vec<String>;
        /// Gives an object of that content another name; once more is fine.
        ask rename(from: String, to: String, content: ObjectSum) -> Result<(), ObjectStoreRefusal>;
    }
}

/// The server's state.
pub struct ObjectStoreServer {
    host: Host,
    disk: Disk,
    index: Index,
    queue: BatchQueue<Self, Index>,
    /// Files to be written before the batch's records, by number.
    written: Vec<(u64, Bytes)>,
    /// Files to be removed once the batch's records are durable.
    removed: Vec<u64>,
    /// Objects that are being read.
    reads: usize,
}

type Batch = batch::Batch<ObjectStoreServer, Index>;

impl RpcEndpoint for ObjectStoreServer {
    type Gateway = BlobGateway;
}

async fn recover(disk: &Disk) -> Result<(DurableLog<Index>, Index), BatchError> {
    // Before an index is made: the next start would take every file for a draft of it.
    if !DurableLog::<Index>::exists(disk, files::INDEX_FOLDER).await? {
        files::refuse_orphans(disk).await?;
    }
    let (log, index) = DurableLog::<Index>::recover(disk.clone(), files::INDEX_FOLDER).await?;
    files::recover(disk, &index).await?;
    Ok((log, index))
}

impl ObjectStoreServer {
    /// Recovers the server from its node's disk, verifies every object and starts it. When that is
    /// impossible the process exits.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt; the process has been told to exit then.
    pub async fn start(service: &RpcService) -> Result<RpcServer<ObjectStoreServer>, RpcError> {
        let host = service.host();
        let (log, index) = match recover(&host.disk()).await {
            Ok(recovered) => recovered,
            Err(error) => {
                host.exit(&format!("blobs: {error}"));
                return Err(RpcError::Application(error.to_string()));
            }
        };
        let objects =
            index.objects().map(|(name, object)| (name.clone(), object.length, object.crc));
        host.announce(&ObjectStoreEvent::Recovered {
            objects: objects.collect(),
            sealed: index.sealed().cloned().collect(),
        });
        let server = ObjectStoreServer {
            host: host.clone(),
            disk: host.disk(),
            index,
            queue: BatchQueue::new(host, log),
            written: Vec::new(),
            removed: Vec::new(),
            reads: 0,
        };
        let server = service.start_server(OBJECT_STORE_ENDPOINT, server)?;
        server.start();
        Ok(server)
    }

    fn apply(&mut self, record: Record, batch: &mut Batch) {
        self.index.apply(&record);
        batch.records.push(record);
    }

    fn store(
        &mut self,
        name: String,
        bytes: Bytes,
        batch: &mut Batch,
    ) -> Result<(), ObjectStoreRefusal> {
        check_size(&bytes)?;
        let (len, crc) = (bytes.len() as u64, crc32fast::hash(&bytes));
        if let Some(object) = self.index.put(&name, len, crc)? {
            let content = Content(bytes.clone());
            self.written.push((object.file, bytes));
            batch.announce(ObjectStoreEvent::Stored { name: name.clone(), len, crc, content });
            self.apply(Record::Store { name, object }, batch);
        }
        Ok(())
    }

    fn give_name(
        &mut self,
        (from, to): (String, String),
        content: ObjectSum,
        batch: &mut Batch,
    ) -> Result<(), ObjectStoreRefusal> {
        match self.index.rename(&from, &to, content)? {
            Renaming::Moves => {
                let ObjectSum { length: len, crc } = content;
                let (was, is) = (from.clone(), to.clone());
                batch.announce(ObjectStoreEvent::Renamed { from: was, to: is, len, crc });
                let kept = match self.host.sabotaged(sabotage::RENAME_HALF_KEPT) {
                    true => Record::Delete { names: vec![from.clone()] },
                    false => Record::Rename { from: from.clone(), to: to.clone() },
                };
                self.index.apply(&Record::Rename { from, to });
                batch.records.push(kept);
            }
            Renaming::Removes => {
                let object = self.index.get(&from).into_iter();
                let names =
                    self.remove_files(object.map(|object| (from.clone(), object)).collect());
                batch.announce(ObjectStoreEvent::Deleted { names: names.clone() });
                self.apply(Record::Delete { names }, batch);
            }
            Renaming::Done if self.host.sabotaged(sabotage::RENAMED_BEFORE_IS_REFUSED) => {
                return Err(ObjectStoreRefusal::Exists);
            }
            Renaming::Done => {
                crate::reachable!(self.host, "rename-repeated", "{from} is {to}");
            }
        }
        Ok(())
    }

    fn remove(&mut self, names: &[String], batch: &mut Batch) -> Result<(), ObjectStoreRefusal> {
        let known = self.index.delete(names)?;
        if !known.is_empty() {
            let names = self.remove_files(known);
            batch.announce(ObjectStoreEvent::Deleted { names: names.clone() });
            self.apply(Record::Delete { names }, batch);
        }
        Ok(())
    }

    fn close(&mut self, prefix: &str, batch: &mut Batch) -> Result<(), ObjectStoreRefusal> {
        if let Some(Sealing { prefix, removed }) = self.index.seal(prefix)? {
            let removed = self.remove_files(removed);
            batch.announce(ObjectStoreEvent::Sealed { prefix: prefix.clone(), removed });
            self.apply(Record::Seal { prefix }, batch);
        }
        Ok(())
    }

    /// Reads an object of the durable index beside the main thread.
    fn read(
        &mut self,
        context: &Context<Self>,
        name: String,
        reply: Reply<Result<Bytes, ObjectStoreRefusal>>,
    ) {
        let Some(object) = self.index.get(&name) else {
            return reply.ok(Err(ObjectStoreRefusal::NotFound));
        };
        if self.reads >= READS_MAX {
            return reply.fail(RpcError::NotRunning("too much is read".to_string()));
        }
        self.reads += 1;
        let disk = self.disk.clone();
        let work = async move { files::read(&disk, object).await };
        context.spawn_then(work, move |server, context, read| {
            server.reads -= 1;
            match read {
                Ok(bytes) => reply.ok(Ok(bytes)),
                // Its file may go while it is read; then the object has gone before.
                Err(_) if server.index.get(&name) != Some(object) => {
                    reply.ok(Err(ObjectStoreRefusal::NotFound));
                }
                Err(error) => context.host().exit(&format!("blobs: {error}")),
            }
        });
    }

    /// Marks objects' files for removal; returns the names.
    fn remove_files(&mut self, objects: Vec<(String, Object)>) -> Vec<String> {
        self.removed.extend(objects.iter().map(|(_, object)| object.file));
        objects.into_iter().map(|(name, _)| name).collect()
    }
}

impl BatchServer<Index> for ObjectStoreServer {
    const NAME: &'static str = "blobs";

    fn queue(&mut self) -> &mut BatchQueue<Self, Index> {
        &mut self.queue
    }

    fn state(&self) -> &Index {
        &self.index
    }

    fn write(
        &mut self,
        log: DurableLog<Index>,
        records: Vec<Record>,
        snapshot: Option<Index>,
    ) -> BoxFuture<'static, Result<DurableLog<Index>, BatchError>> {
        let (written, removed) = (take(&mut self.written), take(&mut self.removed));
        let synced = written.is_empty() || !self.host.sabotaged(sabotage::OBJECTS_NOT_SYNCED);
        let disk = self.disk.clone();
        async move {
            files::write(&disk, written, synced).await?;
            let log = log.commit(records, snapshot).await?;
            files::remove(&disk, &removed).await?;
            Ok(log)
        }
        .boxed()
    }
}

impl ObjectStoreHandler for ObjectStoreServer {
    fn put(
        &mut self,
        context: &mut Context<Self>,
        name: String,
        bytes: Bytes,
        reply: Reply<Result<(), ObjectStoreRefusal>>,
    ) {
        let size = name.len() + bytes.len();
        self.ask(context, size, reply, |server, batch| server.store(name, bytes, batch));
    }

    fn get(
        &mut self,
        context: &mut Context<Self>,
        name: String,
        reply: Reply<Result<Bytes, ObjectStoreRefusal>>,
    ) {
        self.ask_by(context, name.len(), reply, |_, batch, reply| {
            batch.then(|server, context| server.read(context, name, reply));
        });
    }

    fn delete(
        &mut self,
        context: &mut Context<Self>,
        names: Vec<String>,
        reply: Reply<Result<(), ObjectStoreRefusal>>,
    ) {
        let bytes = names.iter().map(|name| name.len() + size_of::<String>()).sum();
        self.ask(context, bytes, reply, move |server, batch| server.remove(&names, batch));
    }

    fn seal(
        &mut self,
        context: &mut Context<Self>,
        prefix: String,
        reply: Reply<Result<(), ObjectStoreRefusal>>,
    ) {
        self.ask(context, prefix.len(), reply, move |server, batch| server.close(&prefix, batch));
    }

    fn rename(
        &mut self,
        context: &mut Context<Self>,
        from: String,
        to: String,
        content: ObjectSum,
        reply: Reply<Result<(), ObjectStoreRefusal>>,
    ) {
        let bytes = from.len() + to.len();
        self.ask(context, bytes, reply, move |server, batch| {
            server.give_name((from, to), content, batch)
        });
    }

    fn list(
        &mut self,
        context: &mut Context<Self>,
        prefix: String,
        after: String,
        reply: Reply<Vec<String>>,
    ) {
        let bytes = prefix.len() + after.len();
        self.ask_by(context, bytes, reply, move |_, batch, reply| {
            batch.then(move |server, _| reply.ok(server.index.list(&prefix, &after)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::run_two;

    #[test]
    fn objects_without_their_index_are_refused_at_every_start_and_kept() {
        run_two(
            |_| std::future::pending(),
            async |host: Host| {
                let disk = host.disk();
                recover(&disk).await.expect("a new folder");
                files::write(&disk, vec![(7, Bytes::from("7"))], true).await.expect("a good disk");
                for name in disk.list(files::INDEX_FOLDER).await.expect("a good disk") {
                    let path = format!("{}/{name}", files::INDEX_FOLDER);
                    disk.remove(&path).await.expect("a good disk");
                }
                for start in 0..3 {
                    let refusal = recover(&disk).await.err().expect("it is refused").to_string();
                    let named = refusal.contains("blob-00000000000000000007 is corrupt");
                    assert!(named, "start {start}: {refusal}");
                }
                assert_eq!(disk.list("blobs").await.expect("a good disk").len(), 1);
            },
        );
    }
}
