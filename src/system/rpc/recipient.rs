//! Endpoints as those see them who hand them calls.

use super::{
    call::{Answer, Call, Origin},
    end::Termination,
    error::RpcError,
    handshake::{HANDSHAKE, HANDSHAKE_REPLY, REFUSED, shake_hands},
    ids::FencingToken,
    protocol::Protocol,
    socket::Socket,
    wire::{Header, Invocation, version_of},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{borrow::Borrow, cmp::Ordering, sync::Arc};

/// An endpoint as its service sees it, whatever its type.
pub(super) trait Registered: Send + Sync {
    fn name(&self) -> &str;
    fn invoke(&self, call: Call);
    fn terminate(&self);
    /// Ready when it is gone and its name is free.
    fn terminated(&self) -> BoxFuture<'static, Termination>;
    fn token(&self) -> Option<FencingToken>;
    fn protocol(&self) -> &'static Protocol;
}

/// An endpoint in a table, found by its name, which is kept once.
#[derive(Clone)]
pub(super) struct ByName(pub Arc<dyn Registered>);

impl Borrow<str> for ByName {
    fn borrow(&self) -> &str {
        self.0.name()
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.0.name() == other.0.name()
    }
}

impl Eq for ByName {}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.name().cmp(other.0.name())
    }
}

/// Puts a call into the mailbox of the endpoint of that name.
pub(super) fn deliver(
    socket: &Arc<Socket>,
    named: impl FnOnce(&str) -> Option<Arc<dyn Registered>>,
    header: Header,
    body: Bytes,
    origin: Origin,
) {
    let (invocation, arguments) = match postcard::take_from_bytes::<Invocation<'_>>(&body) {
        Ok((invocation, rest)) => (invocation, body.slice_ref(rest)),
        Err(error) => {
            let answer = Answer::new(socket, origin, header, REFUSED);
            return answer.typed::<()>().fail(RpcError::Malformed(error.to_string()));
        }
    };
    let Some(endpoint) = named(invocation.endpoint) else {
        let answer = Answer::new(socket, origin, header, REFUSED);
        let error = RpcError::NoSuchEndpoint(invocation.endpoint.to_string());
        return answer.typed::<()>().fail(error);
    };
    if invocation.method == HANDSHAKE {
        let answer = Answer::new(socket, origin, header, HANDSHAKE_REPLY);
        let spoken = version_of(socket.host());
        let greeted = shake_hands(endpoint.protocol(), &arguments, spoken);
        return answer.typed().send(greeted.map(|()| socket.host().incarnation()));
    }
    if header.recipient == 0 {
        let answer = Answer::new(socket, origin, header, REFUSED);
        return answer.typed::<()>().fail(RpcError::Incompatible("no handshake".to_string()));
    }
    let Some(method) = endpoint.protocol().methods.get(usize::from(invocation.method)) else {
        let answer = Answer::new(socket, origin, header, REFUSED);
        let error = RpcError::Incompatible(format!("no method {}", invocation.method));
        return answer.typed::<()>().fail(error);
    };
    endpoint.invoke(Call {
        method: invocation.method,
        kind: method.kind,
        token: invocation.token,
        sender: header.incarnation,
        call: header.call,
        arguments,
        answer: Answer::new(socket, origin, header, method.reply_kind),
    });
}
