//! Endpoints as those see them who hand them calls.

use super::{
    call::{Answer, Call, Origin},
    error::RpcError,
    handshake::{HANDSHAKE, HANDSHAKE_REPLY, REFUSED, shake_hands},
    ids::FencingToken,
    protocol::Protocol,
    socket::Socket,
    wire::{Header, Invocation},
};
use bytes::Bytes;
use std::sync::Arc;

/// An endpoint as its service sees it, whatever its type.
pub(super) trait Registered: Send + Sync {
    fn invoke(&self, call: Call);
    fn terminate(&self);
    fn token(&self) -> Option<FencingToken>;
    fn protocol(&self) -> &'static Protocol;
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
        let greeted = shake_hands(endpoint.protocol(), &arguments);
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
