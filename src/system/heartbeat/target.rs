//! The way to a peer.

use super::Beat;
use crate::system::rpc::RpcError;
use futures::{
    FutureExt,
    future::{BoxFuture, pending, ready},
};

/// Sends beats to one peer. An outcome of [`RpcError::RecipientUnreachable`] counts against it, a
/// success speaks for it, any other error is ignored.
///
/// Nothing is sent by a method that is left as it is: a peer that is asked for its beats need not be
/// sent unasked ones, and the other way round.
pub trait HeartbeatTarget<P: Send + 'static>: Send + Sync + 'static {
    /// Hands the peer a beat that it asked for.
    fn receive_heartbeat(&self, beat: Beat<P>) -> BoxFuture<'static, Result<(), RpcError>> {
        drop(beat);
        ready(Ok(())).boxed()
    }

    /// Ready when a connection that is kept open for nothing else breaks, or can't be had: a process that is gone
    /// takes its connections along at once, where its silence takes a while to be noticed. What it means is found
    /// out by a beat. Never ready where none is kept.
    fn connection_broken(&self) -> BoxFuture<'static, ()> {
        pending().boxed()
    }

    /// Asks the peer for a beat.
    fn request_heartbeat(&self, beat: Beat<P>) -> BoxFuture<'static, Result<(), RpcError>> {
        drop(beat);
        ready(Ok(())).boxed()
    }
}
