//! What the handles to one endpoint share, whatever its type.

use super::{
    address::RpcAddress,
    call::Call,
    end::{End, Termination},
    fence::Fence,
    ids::{EndpointId, FencingToken, Session, SessionNumber},
    mailbox::{Envelope, Mailbox},
    protocol::Protocol,
    recipient::Registered,
};
use crate::host::Host;
use futures::{FutureExt, future::BoxFuture};

/// The outside of an endpoint; `C` is what its main thread runs besides calls.
pub(super) struct EndpointShared<C> {
    pub id: EndpointId,
    pub address: RpcAddress,
    pub protocol: &'static Protocol,
    /// `None` when calls carry no token; in a box, since most have none.
    pub fence: Option<Box<Fence>>,
    pub mailbox: Mailbox<C>,
    pub end: End,
}

impl<C> EndpointShared<C> {
    pub fn new(
        host: &Host,
        id: EndpointId,
        address: RpcAddress,
        protocol: &'static Protocol,
        fence: Option<Fence>,
    ) -> Self {
        let (fence, mailbox) = (fence.map(Box::new), Mailbox::new(host.clone()));
        EndpointShared { id, address, protocol, fence, mailbox, end: End::new() }
    }

    /// The present session; that of an unfenced endpoint never ends.
    pub fn session(&self) -> Session {
        let never = Session { token: None, number: SessionNumber(0) };
        self.fence.as_ref().map_or(never, |fence| fence.session())
    }

    /// Whether a call that carries this token may be handled.
    pub fn admits(&self, found: Option<FencingToken>) -> bool {
        self.fence.as_ref().map_or(found.is_none(), |fence| fence.admits(found))
    }
}

impl<C: Send> Registered for EndpointShared<C> {
    fn name(&self) -> &str {
        &self.address.path
    }

    fn invoke(&self, call: Call) {
        self.mailbox.invoke(call);
    }

    fn terminate(&self) {
        self.mailbox.push(Envelope::Terminate);
    }

    fn terminated(&self) -> BoxFuture<'static, Termination> {
        self.end.wait().boxed()
    }

    fn token(&self) -> Option<FencingToken> {
        self.session().token
    }

    fn protocol(&self) -> &'static Protocol {
        self.protocol
    }
}
