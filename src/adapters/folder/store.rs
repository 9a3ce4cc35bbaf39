//! The object store in a folder. What a call does when others work there is told in [`super`].

use super::{
    disk,
    layout::{FILE_BYTES_MAX, OBJECTS, SEALED, below, content, file, framed, name},
    outcome::{is_full, maybe, not_done, refused, since},
};
use crate::{
    host::{Host, live::Node},
    system::{
        rpc::RpcError,
        service::{
            ServiceClient, ServiceError,
            object_store::{
                ObjectStore, ObjectStoreError, ObjectStoreRefusal, ObjectSum, RenameOf, Renaming,
                check_name, check_size, prefixes, trim_prefix,
            },
        },
    },
};
use bytes::Bytes;
use futures::{
    FutureExt, TryStreamExt,
    channel::oneshot,
    future::{BoxFuture, ready, try_join_all},
};
use object_store::{
    Error as FileError, ObjectStore as _, ObjectStoreExt, PutMode, PutPayload,
    local::LocalFileSystem, path::Path as FilePath,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fs::File,
    future::Future,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long to wait after a failure before the next try.
const RETRY_DELAY: Duration = Duration::from_millis(200);
/// How long a call waits for the file system: it goes on after that, and nobody knows how far it comes.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How many locks there are, each for a part of all names.
const LOCKS: u32 = 64;
/// How long a removal waits for another one.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
/// From try to try.
const LOCK_DELAY: Duration = Duration::from_millis(2);
/// How often a call looks again that finds what others have changed meanwhile.
const LOOKS_MAX: usize = 16;

/// Objects in a folder. Cheap to clone.
#[derive(Clone)]
pub struct FolderObjectStore {
    host: Host,
    path: PathBuf,
    /// Whether the last call has failed, which is told once.
    fails: Arc<AtomicBool>,
}

impl FolderObjectStore {
    /// Those of a folder that was [prepared](super::ObjectStoreAddress::prepare); whether it was, the calls tell.
    pub fn new(host: &Host, path: &Path) -> Self {
        FolderObjectStore { host: host.clone(), path: path.to_path_buf(), fails: Arc::default() }
    }

    /// The folder, if it is there: what is not mounted any more must not be taken for it.
    async fn folder(&self) -> Result<Folder, ObjectStoreError> {
        let path = self.path.clone();
        let open = move || -> Result<(PathBuf, LocalFileSystem), Box<dyn Error + Send + Sync>> {
            let root = disk::open(&path)?;
            let files = LocalFileSystem::new_with_prefix(&root)?;
            // Folders that are empty go, or a list would walk through those of all checkpoints there ever were.
            Ok((root, files.with_fsync(true).with_automatic_cleanup(true)))
        };
        let (root, files) = Node::block(&self.host, open).await.map_err(not_done)?;
        Ok(Folder { host: self.host.clone(), root, files })
    }

    /// Does a call to its end, whoever waits for it: what it has begun is finished, and its locks are held as long.
    async fn call<T: Send + 'static, F: Future<Output = Result<T, ObjectStoreError>> + Send>(
        &self,
        work: impl FnOnce(Folder) -> F + Send + 'static,
    ) -> Result<T, ObjectStoreError> {
        let (store, (done, is_done)) = (self.clone(), oneshot::channel());
        self.host.spawn(async move {
            let answer = match store.folder().await {
                Ok(folder) => work(folder).await,
                Err(error) => Err(error),
            };
            // Whoever asked may have gone.
            let _ = done.send(answer);
        });
        let answer = match self.host.timeout(CALL_TIMEOUT, is_done).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(ServiceError::Indeterminate(RpcError::NoReply)),
            Err(_) => Err(ServiceError::Indeterminate(RpcError::Timeout)),
        };
        self.tell(answer.as_ref().err());
        answer
    }

    /// Tells of the first failure after a call that went well.
    fn tell(&self, error: Option<&ObjectStoreError>) {
        let failure = error.filter(|error| !matches!(error, ServiceError::Refused(_)));
        let failed = self.fails.swap(failure.is_some(), Ordering::Relaxed);
        if let (Some(error), false) = (failure, failed) {
            tracing::warn!(%error, folder = %self.path.display(), "the folder of objects fails");
        }
    }
}

/// A folder that was found.
#[derive(Clone)]
struct Folder {
    host: Host,
    root: PathBuf,
    files: LocalFileSystem,
}

/// An object that was read.
struct Found {
    content: Bytes,
    sum: ObjectSum,
}

impl Folder {
    /// What there is under a name, whole, also if nobody is to see it.
    async fn read(&self, name: &str) -> Result<Option<Found>, ObjectStoreError> {
        let path = file(OBJECTS, name);
        let found = match self.files.get(&path).await {
            Err(FileError::NotFound { .. }) => return Ok(None),
            found => found.map_err(not_done)?,
        };
        let damaged = || not_done(format!("{path} of {} is damaged", self.root.display()));
        if found.meta.size > FILE_BYTES_MAX {
            return Err(damaged());
        }
        let bytes = found.bytes().await.map_err(not_done)?;
        let (content, sum) = content(&bytes).ok_or_else(damaged)?;
        Ok(Some(Found { content, sum }))
    }

    /// What is to be seen under a name. The mark is looked for last: what was read may have come after it.
    async fn visible(&self, name: &str) -> Result<Option<Found>, ObjectStoreError> {
        let Some(found) = self.read(name).await? else { return Ok(None) };
        Ok((!self.is_sealed(name).await?).then_some(found))
    }

    async fn exists(&self, path: &FilePath) -> Result<bool, ObjectStoreError> {
        match self.files.head(path).await {
            Ok(_) => Ok(true),
            Err(FileError::NotFound { .. }) => Ok(false),
            Err(error) => Err(not_done(error)),
        }
    }

    /// Whether the name is under a sealed prefix. What is told of a mark must hold for ever, so it is made durable first:
    /// who made it may not have come that far.
    async fn is_sealed(&self, name: &str) -> Result<bool, ObjectStoreError> {
        let marks: Vec<FilePath> = prefixes(name).map(|prefix| file(SEALED, prefix)).collect();
        let there = try_join_all(marks.iter().map(|mark| self.exists(mark))).await?;
        match marks.iter().zip(there).find(|(_, there)| *there) {
            Some((mark, _)) => self.sync_names(mark).await.map(|()| true),
            None => Ok(false),
        }
    }

    /// Makes what was done to a file's name durable, and the names of the folders above it.
    async fn sync_names(&self, path: &FilePath) -> Result<(), ObjectStoreError> {
        let path = self.files.path_to_filesystem(path).map_err(not_done)?;
        self.block(move |root| disk::sync_names(root, &path)).await.map_err(not_done)
    }

    async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let root = self.root.clone();
        Node::block(&self.host, move || work(&root)).await
    }

    /// The locks of these names, of which nothing is removed by others while they are held.
    async fn lock(&self, names: &[&str]) -> Result<Vec<File>, ObjectStoreError> {
        let number = |name: &&str| crc32fast::hash(name.as_bytes()) % LOCKS;
        self.take(names.iter().map(number).collect()).await
    }

    async fn take(&self, numbers: BTreeSet<u32>) -> Result<Vec<File>, ObjectStoreError> {
        let (until, mut held) = (self.host.now() + LOCK_TIMEOUT, Vec::new());
        // In order, or two would wait for each other.
        for number in numbers {
            loop {
                let lock = self.block(move |root| disk::try_lock(root, number)).await;
                match lock.map_err(not_done)? {
                    Some(lock) => break held.push(lock),
                    None if self.host.now() > until => {
                        return Err(not_done(format!("another process holds lock {number}")));
                    }
                    None => self.host.sleep(LOCK_DELAY).await,
                }
            }
        }
        Ok(held)
    }

    /// Removes a file; one that is not there is fine.
    async fn remove(&self, path: &FilePath) -> Result<(), ObjectStoreError> {
        match self.files.delete(path).await {
            Ok(()) | Err(FileError::NotFound { .. }) => Ok(()),
            Err(error) => Err(maybe(error)),
        }
    }

    /// Makes a file, unless there is one; whether it did.
    async fn create(&self, path: &FilePath, bytes: PutPayload) -> Result<bool, ObjectStoreError> {
        let error = match self.files.put_opts(path, bytes, PutMode::Create.into()).await {
            Ok(_) => return Ok(true),
            Err(FileError::AlreadyExists { .. }) => return Ok(false),
            Err(error) => error,
        };
        // A disk may be full for the name that is there already.
        match is_full(&error) && !self.exists(path).await.map_err(since)? {
            true => refused(ObjectStoreRefusal::Full),
            false => Err(maybe(error)),
        }
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), ObjectStoreError> {
        if self.is_sealed(name).await? {
            return refused(ObjectStoreRefusal::Sealed);
        }
        let (path, sum) = (file(OBJECTS, name), ObjectSum::of(&bytes));
        for _ in 0..LOOKS_MAX {
            let found = match self.read(name).await? {
                Some(found) => found.sum,
                None if self.create(&path, framed(bytes.clone())).await? => sum,
                // Another put came in between.
                None => continue,
            };
            // After the object is there: a seal that does not remove it has made its mark before.
            if self.is_sealed(name).await.map_err(since)? {
                self.remove(&path).await?;
                self.sync_names(&path).await.map_err(since)?;
                return refused(ObjectStoreRefusal::Sealed);
            }
            return match found == sum {
                true => self.sync_names(&path).await.map_err(since),
                false => refused(ObjectStoreRefusal::Exists),
            };
        }
        Err(not_done(format!("{name} comes and goes")))
    }

    async fn rename(
        &self,
        from: &str,
        to: &str,
        content: ObjectSum,
    ) -> Result<(), ObjectStoreError> {
        let _locks = self.lock(&[from, to]).await?;
        let (source, target) = (file(OBJECTS, from), file(OBJECTS, to));
        let sum = |found: Option<Found>| found.map(|found| found.sum);
        for _ in 0..LOOKS_MAX {
            let sealed = self.is_sealed(to).await?;
            let (there, here) = (sum(self.visible(to).await?), sum(self.visible(from).await?));
            // Nothing goes while the locks are held, but puts come: both are to be of one instant.
            if there.is_none() && self.visible(to).await?.is_some() {
                continue;
            }
            let rename = RenameOf { content, from: here, to: there, to_itself: from == to, sealed };
            match rename.decide().map_err(ServiceError::Refused)? {
                Renaming::Done => return self.sync_names(&target).await.map_err(since),
                Renaming::Removes => return self.take_away(&source, &target).await,
                Renaming::Moves => {}
            }
            match self.files.copy_if_not_exists(&source, &target).await {
                Ok(()) => return self.take_away(&source, &target).await,
                // A put came in between, or somebody without locks has taken it.
                Err(FileError::AlreadyExists { .. } | FileError::NotFound { .. }) => {}
                Err(error) => return Err(maybe(error)),
            }
        }
        Err(not_done(format!("{from} or {to} comes and goes")))
    }

    /// Removes what is under the old name of an object, once it is under its new name whatever happens.
    async fn take_away(
        &self,
        source: &FilePath,
        target: &FilePath,
    ) -> Result<(), ObjectStoreError> {
        self.sync_names(target).await.map_err(since)?;
        self.remove(source).await?;
        self.sync_names(source).await.map_err(since)
    }

    async fn delete<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
    ) -> Result<(), ObjectStoreError> {
        // One file of each folder: its names are synced once.
        let mut folders = BTreeMap::<PathBuf, FilePath>::new();
        for name in names {
            let path = file(OBJECTS, name);
            let _lock = self.lock(&[name]).await.map_err(since)?;
            self.remove(&path).await?;
            let place = self.files.path_to_filesystem(&path).map_err(maybe)?;
            folders.extend(place.parent().map(|folder| (folder.to_path_buf(), path)));
        }
        for path in folders.values() {
            self.sync_names(path).await.map_err(since)?;
        }
        Ok(())
    }

    async fn seal(&self, prefix: &str) -> Result<(), ObjectStoreError> {
        if !self.is_sealed(prefix).await? {
            // No rename is under way then that has not seen it.
            let _locks = self.take((0..LOCKS).collect()).await?;
            let mark = file(SEALED, prefix);
            self.create(&mark, PutPayload::default()).await?;
            self.sync_names(&mark).await.map_err(since)?;
        }
        // Nothing more is visible now. Also where it was sealed before: who did that may have died, or somebody since.
        let itself = file(OBJECTS, prefix);
        self.remove(&itself).await?;
        let folder = self.root.join(below(OBJECTS, prefix).as_ref());
        self.block(move |_| disk::remove_folder(&folder)).await.map_err(maybe)?;
        self.sync_names(&itself).await.map_err(since)
    }

    /// The names under a prefix, in order, also of what nobody is to see.
    async fn names(&self, prefix: &str) -> Result<BTreeSet<String>, ObjectStoreError> {
        let mut names = self.names_below(OBJECTS, prefix).await?;
        if !prefix.is_empty() && self.exists(&file(OBJECTS, prefix)).await? {
            names.insert(prefix.to_string());
        }
        Ok(names)
    }

    async fn names_below(
        &self,
        top: &str,
        prefix: &str,
    ) -> Result<BTreeSet<String>, ObjectStoreError> {
        let files = self.files.list(Some(&below(top, prefix)));
        // Drafts are not among them, nor what was put there by others.
        let named = files.try_filter_map(|found| ready(Ok(name(top, &found.location))));
        named.try_collect().await.map_err(not_done)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectStoreError> {
        let names = self.names(prefix).await?;
        // Behind the names: what came after a mark is not to be seen.
        if !prefix.is_empty() && self.is_sealed(prefix).await? {
            return Ok(Vec::new());
        }
        let sealed = self.names_below(SEALED, prefix).await?;
        let is_visible = |name: &String| !prefixes(name).any(|prefix| sealed.contains(prefix));
        Ok(names.into_iter().filter(is_visible).collect())
    }
}

impl ServiceClient for FolderObjectStore {
    fn host(&self) -> &Host {
        &self.host
    }

    fn retry_delay(&self) -> Duration {
        RETRY_DELAY
    }
}

fn check(name: &str) -> Result<(), ObjectStoreError> {
    check_name(name).map_err(ServiceError::Refused)
}

impl ObjectStore for FolderObjectStore {
    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        async move {
            check_size(&bytes).and(check_name(name)).map_err(ServiceError::Refused)?;
            let name = name.to_string();
            self.call(move |folder| async move { folder.put(&name, bytes).await }).await
        }
        .boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Bytes, ObjectStoreError>> {
        async move {
            if check_name(name).is_err() {
                return refused(ObjectStoreRefusal::NotFound);
            }
            let name = name.to_string();
            let read = |folder: Folder| async move { folder.visible(&name).await };
            match self.call(read).await? {
                Some(found) => Ok(found.content),
                None => refused(ObjectStoreRefusal::NotFound),
            }
        }
        .boxed()
    }

    fn rename<'a>(
        &'a self,
        from: &'a str,
        to: &'a str,
        content: ObjectSum,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        async move {
            check(from).and(check(to))?;
            let (from, to) = (from.to_string(), to.to_string());
            self.call(move |folder| async move { folder.rename(&from, &to, content).await }).await
        }
        .boxed()
    }

    fn delete<'a>(&'a self, names: &'a [String]) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        async move {
            names.iter().try_for_each(|name| check(name))?;
            let names = names.to_vec();
            self.call(move |folder| async move { folder.delete(names.iter()).await }).await
        }
        .boxed()
    }

    fn seal<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        async move {
            let prefix = trim_prefix(prefix).to_string();
            check(&prefix)?;
            self.call(move |folder| async move { folder.seal(&prefix).await }).await
        }
        .boxed()
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Vec<String>, ObjectStoreError>> {
        async move {
            let prefix = trim_prefix(prefix).to_string();
            // Nothing is under what is no name.
            if !prefix.is_empty() && check_name(&prefix).is_err() {
                return Ok(Vec::new());
            }
            self.call(move |folder| async move { folder.list(&prefix).await }).await
        }
        .boxed()
    }
}
