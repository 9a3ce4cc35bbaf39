//! Live nodes against the real clock, loopback and a temporary folder.

use super::*;
use crate::host::{Elapsed, Host, Inbound, Kind, MessageReceiver, MessageSender, NodeAddress};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

mod disk;
mod message;
mod node;
mod stranger;
mod stream;

const KIND: Kind = Kind::new("Test.ping");
const BOUND: Duration = Duration::from_secs(10);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A data folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wavetank-live-{}-{count}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }

    fn config(&self) -> NodeConfig {
        let hostname = "127.0.0.1".to_string();
        NodeConfig { name: "test".to_string(), hostname, data: self.0.clone(), members: Vec::new() }
    }

    fn start(&self) -> Host {
        Node::start(self.config()).expect("a writable temporary folder")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        }
    }
}

/// Fails the test when `future` takes too long.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(BOUND, future).await.expect("not within the bound")
}

/// True when `future` is still not done after a while.
async fn pends<T>(future: impl Future<Output = T>) -> bool {
    tokio::time::timeout(ms(50), future).await.is_err()
}
