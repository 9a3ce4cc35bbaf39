//! Protocols, the clients that speak them and the calls that reach their endpoints.

use super::{
    Ask, Context, FencingToken, RpcAddress, RpcEndpoint, RpcError,
    calls::Service,
    service::{Registered, RpcService},
    wire::{self, FrameType, Header, Invocation},
};
use crate::host::{Kind, MESSAGE_BYTES_MAX, Peer, mix};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use std::{marker::PhantomData, sync::Arc, time::Duration};

/// At least what header and tags take in the frame of an answer.
const ANSWER_BYTES_AROUND: usize = 64;

/// One method of a protocol.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The kind of its calls, `Gateway.method`.
    pub kind: Kind,
    /// The kind of its answers, `Gateway.method.reply`.
    pub reply_kind: Kind,
    /// Whether its calls are answered.
    pub is_ask: bool,
    /// The hash of its name and types.
    pub signature: u64,
}

/// The list of methods that a gateway and its endpoint must share.
#[derive(Debug)]
pub struct Protocol {
    /// The gateway's name.
    pub name: &'static str,
    /// Its methods, in the order in which they are numbered.
    pub methods: &'static [Method],
}

impl Protocol {
    /// A hash over the methods' names, types and order.
    pub fn hash(&self) -> u64 {
        self.methods
            .iter()
            .fold(Kind::new(self.name).hash(), |hash, method| mix(hash, method.signature))
    }
}

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

/// A gateway whose calls an endpoint of type `E` can handle.
pub trait Serves<E: RpcEndpoint>: Gateway {
    /// Decodes a call and hands it to the endpoint's handler.
    fn dispatch(endpoint: &mut E, context: &mut Context<E>, call: Call);
}

/// Where a client's calls go.
#[derive(Clone)]
pub(super) enum Target {
    /// A peer, and the incarnation of it that the handshake met; 0 before the handshake.
    Remote(Peer, u64),
    /// An endpoint of this very service; through its mailbox all the same.
    Local(Arc<dyn Registered>),
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
    pub(super) service: RpcService,
    pub(super) address: RpcAddress,
    pub(super) target: Target,
    pub(super) token: TokenSource,
    pub(super) timeout: Duration,
}

impl RpcClient {
    /// Sends a call that wants an answer of type `T`.
    pub fn ask<T>(&self, method: u16, kind: Kind, arguments: &impl Serialize) -> Ask<T> {
        match self.body(method, arguments) {
            Ok(_) if self.service.is_closed() => Ask::failed(RpcError::ServiceStopped),
            Ok(frame) => {
                let (call, answer) = self.service.register(&self.target, kind, self.timeout);
                self.dispatch(FrameType::Ask, call, kind, frame);
                Ask::new(answer)
            }
            Err(error) => Ask::failed(error),
        }
    }

    /// Sends a call that wants no answer; there is no word on what becomes of it.
    pub fn tell(&self, method: u16, kind: Kind, arguments: &impl Serialize) {
        match self.body(method, arguments) {
            Ok(_) if self.service.is_closed() => {}
            Ok(frame) => {
                let call = self.service.next_call(&self.target);
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
        let incarnation = self.service.host().incarnation();
        let recipient = match &self.target {
            Target::Remote(_, recipient) => *recipient,
            Target::Local(_) => incarnation,
        };
        let frame = wire::finish(frame, Header { frame_type, incarnation, call, recipient });
        match &self.target {
            Target::Remote(peer, _) => self.service.send(peer, kind, call, frame),
            Target::Local(endpoint) => {
                let (header, body) = wire::open(frame).expect("the frame was just finished");
                self.service.deliver(Some(endpoint), header, body, Origin::Local);
            }
        }
    }
}

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
    service: Service,
    origin: Origin,
    incarnation: u64,
    call: u64,
    kind: Kind,
}

impl Answer {
    pub(super) fn new(service: &Service, origin: Origin, header: Header, kind: Kind) -> Self {
        let to = (header.frame_type == FrameType::Ask).then(|| AnswerTo {
            service: service.clone(),
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
            Origin::Local => return self.service.calls.resolve(self.call, result),
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
        self.service.send(peer, self.kind, 0, wire::finish(frame, header));
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

/// Declares a protocol: the typed client and the trait of its endpoints.
///
/// `ask` methods return [`Ask`]; `tell` methods return nothing and may get lost silently. Handlers
/// of asks get a [`Reply`] to answer now or later. Arguments and values must be serde types; both
/// sides check at connect that their lists of methods, names and types included, are the same.
#[macro_export]
macro_rules! gateway {
    (
        $(#[$meta:meta])*
        $vis:vis gateway $gateway:ident serves $handler:ident {
            $(
                $(#[$method_meta:meta])*
                $mode:ident $method:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone)]
        $vis struct $gateway {
            client: $crate::system::rpc::RpcClient,
        }

        impl $crate::system::rpc::Gateway for $gateway {
            const PROTOCOL: &'static $crate::system::rpc::Protocol = &$crate::system::rpc::Protocol {
                name: stringify!($gateway),
                methods: &[$(
                    $crate::system::rpc::Method {
                        kind: $crate::host::Kind::new(
                            concat!(stringify!($gateway), ".", stringify!($method))
                        ),
                        reply_kind: $crate::host::Kind::new(
                            concat!(stringify!($gateway), ".", stringify!($method), ".reply")
                        ),
                        is_ask: matches!(stringify!($mode).as_bytes(), b"ask"),
                        signature: $crate::host::Kind::new(concat!(
                            stringify!($mode), " ", stringify!($method),
                            "(", stringify!($($arg: $ty),*), ")", stringify!($($ret)?)
                        )).hash(),
                    },
                )+],
            };

            fn from_client(client: $crate::system::rpc::RpcClient) -> Self {
                $gateway { client }
            }

            fn client(&self) -> &$crate::system::rpc::RpcClient {
                &self.client
            }
        }

        impl $gateway {
            $($crate::gateway!(@client $gateway $(#[$method_meta])* $mode $method($($arg: $ty),*) $(-> $ret)?);)+
        }

        #[doc = concat!("What an endpoint behind a [`", stringify!($gateway), "`] must handle.")]
        $vis trait $handler: $crate::system::rpc::RpcEndpoint {
            $($crate::gateway!(@handler $(#[$method_meta])* $mode $method($($arg: $ty),*) $(-> $ret)?);)+
        }

        impl<E: $handler> $crate::system::rpc::Serves<E> for $gateway {
            fn dispatch(
                endpoint: &mut E,
                context: &mut $crate::system::rpc::Context<E>,
                call: $crate::system::rpc::Call,
            ) {
                $crate::gateway!(@methods $($method)+);
                match call.method() {
                    $(
                        method if method == Methods::$method as u16 => {
                            if let Some((($($arg,)*), _answer)) = call.decode::<($($ty,)*)>() {
                                $crate::gateway!(@invoke $mode endpoint context $method _answer ($($arg),*));
                            }
                        }
                    )+
                    _ => unreachable!("the mailbox takes only numbers of the protocol's methods"),
                }
            }
        }
    };
    (@methods $($method:ident)+) => {
        #[allow(non_camel_case_types, reason = "numbers the methods under their own names")]
        enum Methods { $($method),+ }
    };
    (@client $gateway:ident $(#[$meta:meta])* ask $method:ident($($arg:ident: $ty:ty),*) -> $ret:ty) => {
        $(#[$meta])*
        pub fn $method(&self, $($arg: $ty),*) -> $crate::system::rpc::Ask<$ret> {
            const NUMBER: usize = $crate::system::rpc::method_number(
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL,
                concat!(stringify!($gateway), ".", stringify!($method)),
            );
            const KIND: $crate::host::Kind =
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL.methods[NUMBER].kind;
            self.client.ask(NUMBER as u16, KIND, &($($arg,)*))
        }
    };
    (@client $gateway:ident $(#[$meta:meta])* tell $method:ident($($arg:ident: $ty:ty),*)) => {
        $(#[$meta])*
        pub fn $method(&self, $($arg: $ty),*) {
            const NUMBER: usize = $crate::system::rpc::method_number(
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL,
                concat!(stringify!($gateway), ".", stringify!($method)),
            );
            const KIND: $crate::host::Kind =
                <$gateway as $crate::system::rpc::Gateway>::PROTOCOL.methods[NUMBER].kind;
            self.client.tell(NUMBER as u16, KIND, &($($arg,)*));
        }
    };
    (@handler $(#[$meta:meta])* ask $method:ident($($arg:ident: $ty:ty),*) -> $ret:ty) => {
        $(#[$meta])*
        fn $method(
            &mut self,
            context: &mut $crate::system::rpc::Context<Self>,
            $($arg: $ty,)*
            reply: $crate::system::rpc::Reply<$ret>,
        );
    };
    (@handler $(#[$meta:meta])* tell $method:ident($($arg:ident: $ty:ty),*)) => {
        $(#[$meta])*
        fn $method(&mut self, context: &mut $crate::system::rpc::Context<Self>, $($arg: $ty,)*);
    };
    (@invoke ask $endpoint:ident $context:ident $method:ident $answer:ident ($($arg:ident),*)) => {
        $endpoint.$method($context, $($arg,)* $answer.typed())
    };
    (@invoke tell $endpoint:ident $context:ident $method:ident $answer:ident ($($arg:ident),*)) => {
        $endpoint.$method($context, $($arg,)*)
    };
}

/// The place of a method in a protocol, found at compile time.
#[doc(hidden)]
pub const fn method_number(protocol: &Protocol, kind: &str) -> usize {
    let wanted = Kind::new_for_lookup(kind);
    let mut number = 0;
    while protocol.methods[number].kind.hash() != wanted {
        number += 1;
    }
    number
}
