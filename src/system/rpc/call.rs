//! Calls that reach their endpoints, and the right to answer them.

use super::{
    error::RpcError,
    ids::FencingToken,
    socket::Socket,
    wire::{self, FrameType, Header},
};
use crate::host::{Kind, MESSAGE_BYTES_MAX, Peer};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, sync::Arc};

/// At least what header and tags take in the frame of an answer.
const ANSWER_BYTES_AROUND: usize = 64;

/// Where a call came from.
#[derive(Clone)]
pub(super) enum Origin {
    Local,
    Remote(Peer),
}

/// A call on its way to its handler, still encoded.
pub struct Call {
    pub(super) method: u16,
    pub(super) kind: Kind,
    pub(super) token: Option<FencingToken>,
    pub(super) sender: u64,
    pub(super) call: u64,
    pub(super) arguments: Bytes,
    pub(super) answer: Answer,
}

impl Call {
    /// The method's place in the protocol's list.
    pub fn method(&self) -> u16 {
        self.method
    }

    /// Decodes the arguments, or answers the caller that they can't be.
    pub fn decode<A: DeserializeOwned>(self) -> Option<(A, Answer)> {
        match postcard::from_bytes(&self.arguments) {
            Ok(arguments) => Some((arguments, self.answer)),
            Err(error) => {
                self.answer.send(Err(RpcError::Malformed(error.to_string())));
                None
            }
        }
    }

    /// Answers that the call is not handled.
    pub(super) fn refuse(self, error: RpcError) {
        self.answer.send(Err(error));
    }
}

/// The untyped right to answer one call. Dropping it answers [`RpcError::NoReply`].
pub struct Answer {
    /// `None` for a tell and once it was used.
    to: Option<AnswerTo>,
}

struct AnswerTo {
    socket: Arc<Socket>,
    origin: Origin,
    incarnation: u64,
    call: u64,
    kind: Kind,
}

impl Answer {
    pub(super) fn new(socket: &Arc<Socket>, origin: Origin, header: Header, kind: Kind) -> Self {
        let to = (header.frame_type == FrameType::Ask).then(|| AnswerTo {
            socket: socket.clone(),
            origin,
            incarnation: header.incarnation,
            call: header.call,
            kind,
        });
        Answer { to }
    }

    fn send(mut self, result: Result<Bytes, RpcError>) {
        if let Some(to) = self.to.take() {
            to.send(result);
        }
    }

    /// The incarnation of the process that waits for it; 0 for nobody.
    fn caller(&self) -> u64 {
        self.to.as_ref().map_or(0, |to| to.incarnation)
    }

    /// Gives the answer its type.
    pub fn typed<T>(self) -> Reply<T> {
        Reply { answer: self, instead: None, value: PhantomData }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(to) = self.to.take() {
            to.send(Err(RpcError::NoReply));
        }
    }
}

impl AnswerTo {
    fn send(self, result: Result<Bytes, RpcError>) {
        let result = within_limit(result);
        let peer = match &self.origin {
            Origin::Local => return self.socket.calls().resolve(self.call, result),
            Origin::Remote(peer) => peer,
        };
        let mut frame = wire::begin();
        let frame_type = match &result {
            Ok(value) => {
                frame.extend_from_slice(value);
                FrameType::Value
            }
            Err(error) => {
                frame = postcard::to_extend(error, frame).expect("errors can be encoded");
                FrameType::Error
            }
        };
        let (incarnation, call) = (self.incarnation, self.call);
        let header = Header { frame_type, incarnation, call, recipient: 0 };
        let version = wire::version_of(self.socket.host());
        self.socket.send(peer, self.kind, 0, wire::finish(frame, header, version));
    }
}

/// The answer, if it fits in a frame.
fn within_limit(answer: Result<Bytes, RpcError>) -> Result<Bytes, RpcError> {
    let length = match &answer {
        Ok(value) => value.len(),
        Err(error) => error.to_string().len(),
    };
    if length > MESSAGE_BYTES_MAX - ANSWER_BYTES_AROUND {
        return Err(RpcError::TooLarge(length));
    }
    answer
}

/// The right to answer one call with a `T`, now or later. Dropping it answers an error.
pub struct Reply<T> {
    answer: Answer,
    /// Answered in place of whatever it is answered.
    instead: Option<RpcError>,
    value: PhantomData<fn(T)>,
}

impl<T: Serialize> Reply<T> {
    /// The same, but when it is answered the caller is told of this error.
    pub fn but(self, error: RpcError) -> Self {
        Reply { instead: Some(error), ..self }
    }

    /// The incarnation of the process that asks. It says so itself: good for fairness, not for rights.
    pub fn caller(&self) -> u64 {
        self.answer.caller()
    }

    /// The kind of the message that asks, such as `CoordinationGateway.read`; empty when nobody does.
    pub fn call(&self) -> &'static str {
        let kind = self.answer.to.as_ref().map_or("", |to| to.kind.name());
        kind.strip_suffix(".reply").unwrap_or(kind)
    }

    /// Answers with a value.
    pub fn ok(self, value: T) {
        if let Some(error) = self.instead {
            return self.answer.send(Err(error));
        }
        match postcard::to_allocvec(&value) {
            Ok(bytes) => self.answer.send(Ok(Bytes::from(bytes))),
            // Dropping it says that the call may have been handled, as it was.
            Err(error) => tracing::warn!(%error, "an answer can't be encoded"),
        }
    }

    /// Answers with an error.
    pub fn fail(self, error: RpcError) {
        self.answer.send(Err(self.instead.unwrap_or(error)));
    }

    /// Answers with what a piece of work came to.
    pub fn send(self, result: Result<T, RpcError>) {
        match result {
            Ok(value) => self.ok(value),
            Err(error) => self.fail(error),
        }
    }
}
