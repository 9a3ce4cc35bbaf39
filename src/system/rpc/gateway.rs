//! The typed clients of endpoints and the untyped one under them.

use super::{
    address::RpcAddress,
    call::Origin,
    calls::Ask,
    error::RpcError,
    ids::FencingToken,
    protocol::Protocol,
    recipient::{Registered, deliver},
    socket::Socket,
    wire::{self, FrameType, Header, Invocation},
};
use crate::host::{Kind, MESSAGE_BYTES_MAX, Peer};
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// A typed client of an endpoint, made by [`gateway!`](crate::gateway). Cheap to clone.
pub trait Gateway: Clone + Send + Sync + 'static {
    /// What it speaks.
    const PROTOCOL: &'static Protocol;

    /// Wraps a client.
    fn from_client(client: RpcClient) -> Self;

    /// The client under it.
    fn client(&self) -> &RpcClient;

    /// The endpoint's address.
    fn address(&self) -> &RpcAddress {
        &self.client().address
    }

    /// The same gateway with another time-out for its asks.
    fn with_timeout(&self, timeout: Duration) -> Self {
        Self::from_client(RpcClient { timeout, ..self.client().clone() })
    }
}

/// Where a client's calls go.
#[derive(Clone)]
pub(super) enum Target {
    /// A peer, and the incarnation of it that the handshake met; 0 before the handshake.
    Remote(Peer, u64),
    /// An endpoint of this very service; through its mailbox all the same.
    Local(Arc<dyn Registered>),
}

impl Target {
    fn peer(&self) -> Option<&Peer> {
        match self {
            Target::Remote(peer, _) => Some(peer),
            Target::Local(_) => None,
        }
    }
}

/// Where a client takes the fencing token of its calls from.
#[derive(Clone)]
pub(super) enum TokenSource {
    Fixed(Option<FencingToken>),
    /// The self gateway's: the endpoint's own token at the time of the call.
    Own(Arc<dyn Registered>),
}

/// The untyped client under a gateway.
#[derive(Clone)]
pub struct RpcClient {
    pub(super) socket: Arc<Socket>,
    pub(super) address: RpcAddress,
    pub(super) target: Target,
    pub(super) token: TokenSource,
    pub(super) timeout: Duration,
}

impl RpcClient {
    /// Sends a call that wants an answer of type `T`.
    pub fn ask<T>(&self, method: u16, kind: Kind, arguments: &impl Serialize) -> Ask<T> {
        match self.body(method, arguments) {
            Ok(_) if self.socket.calls().is_closed() => Ask::failed(RpcError::ServiceStopped),
            Ok(frame) => {
                let (call, ask) = self.socket.ask(self.target.peer(), kind, self.timeout);
                self.dispatch(FrameType::Ask, call, kind, frame);
                ask
            }
            Err(error) => Ask::failed(error),
        }
    }

    /// Sends a call that wants no answer; there is no word on what becomes of it.
    pub fn tell(&self, method: u16, kind: Kind, arguments: &impl Serialize) {
        match self.body(method, arguments) {
            Ok(_) if self.socket.calls().is_closed() => {}
            Ok(frame) => {
                let call = self.socket.next_call(self.target.peer());
                self.dispatch(FrameType::Tell, call, kind, frame);
            }
            Err(error) => tracing::warn!(%error, kind = kind.name(), "a tell was not sent"),
        }
    }

    fn body(&self, method: u16, arguments: &impl Serialize) -> Result<Vec<u8>, RpcError> {
        let token = match &self.token {
            TokenSource::Fixed(token) => *token,
            TokenSource::Own(endpoint) => endpoint.token(),
        };
        let invocation = Invocation { endpoint: &self.address.path, method, token };
        let encode =
            |bytes| postcard::to_extend(arguments, postcard::to_extend(&invocation, bytes)?);
        let frame =
            encode(wire::begin()).map_err(|error| RpcError::Malformed(error.to_string()))?;
        if frame.len() > MESSAGE_BYTES_MAX {
            return Err(RpcError::TooLarge(frame.len()));
        }
        Ok(frame)
    }

    fn dispatch(&self, frame_type: FrameType, call: u64, kind: Kind, frame: Vec<u8>) {
        let incarnation = self.socket.host().incarnation();
        let recipient = match &self.target {
            Target::Remote(_, recipient) => *recipient,
            Target::Local(_) => incarnation,
        };
        let version = wire::version_of(self.socket.host());
        let header = Header { frame_type, incarnation, call, recipient };
        let frame = wire::finish(frame, header, version);
        match &self.target {
            Target::Remote(peer, _) => self.socket.send(peer, kind, call, frame),
            Target::Local(endpoint) => {
                let opened = wire::open(frame, version);
                let (header, body) = opened.expect("the frame was just finished");
                deliver(&self.socket, |_| Some(endpoint.clone()), header, body, Origin::Local);
            }
        }
    }
}
