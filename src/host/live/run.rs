//! Nodes as their callers start and run them.

use super::node::{ExitReason, Node, NodeConfig};
use crate::host::Host;
use std::io;

impl Node {
    /// Starts a node in the runtime of the caller, which needs tokio's time and I/O drivers.
    ///
    /// # Errors
    /// When its data folder can't be made.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(config: NodeConfig) -> io::Result<Host> {
        Ok(Host::from_imp(Node::new(config)?))
    }

    /// Ends the node of `host`, as if its main function had come to its end.
    pub fn stop(host: &Host) {
        host.imp.end(ExitReason::Returned);
    }

    /// Waits until the node of `host` has ended, and says why it did.
    pub async fn ended(host: &Host) -> ExitReason {
        host.imp.wait_for_end().await
    }

    /// Does `work`, which may block, on another thread than those of tasks. Once begun it goes on whoever waits for it.
    pub async fn block<T: Send + 'static>(
        host: &Host,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        host.imp.blocking(work).await
    }
}

/// Runs a node in a runtime of its own, on this thread, until `main` returns, the node exits or one
/// of its tasks panics.
///
/// # Errors
/// When there is no runtime or no data folder to be had.
pub fn run_node(config: NodeConfig, main: impl AsyncFnOnce(Host)) -> io::Result<ExitReason> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reason = runtime.block_on(async {
        let host = Node::start(config)?;
        let node = host.imp.clone();
        Ok(node.run(main(host)).await)
    });
    // A disk call that hangs must not keep a node that has ended from going.
    runtime.shutdown_background();
    reason
}
