//! The engine of a process: hosts endpoints, connects to others, routes frames.

use super::{
    Context, EndpointId, FencingToken, Gateway, PROTOCOL_VERSION, Protocol, RpcAddress,
    RpcEndpoint, RpcError, RpcServer,
    calls::{Calls, run_deadlines},
    endpoint::EndpointShared,
    gateway::{Answer, Call, Origin, RpcClient, Target, TokenSource},
    window::{Seen, Windows},
    wire::{self, FrameError, FrameType, Header, Invocation},
};
use crate::{
    host::{Host, Inbound, Kind, MessageReceiver, MessageSender, NodeAddress, Peer, Sabotage},
    system::event::RpcEvent,
};
use bytes::Bytes;
use futures::channel::oneshot;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// The number that stands for "do you speak this protocol?" in place of a method's.
const HANDSHAKE: u16 = u16::MAX;
const HANDSHAKE_KIND: Kind = Kind::new("handshake");
const REFUSED: Kind = Kind::new("refused");
const HANDSHAKE_REPLY: Kind = Kind::new("handshake.reply");
const DAMAGED: Kind = Kind::new("damaged");

/// The kinds of frames that belong to no protocol's method.
pub const SERVICE_KINDS: &[Kind] = &[HANDSHAKE_KIND, HANDSHAKE_REPLY, REFUSED, DAMAGED];

/// How a service behaves.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// How long an ask waits unless its gateway says otherwise; 10 s.
    pub ask_timeout: Duration,
    /// How long a connect waits; 10 s.
    pub connect_timeout: Duration,
}

impl Default for RpcConfig {
    fn default() -> Self {
        RpcConfig { ask_timeout: Duration::from_secs(10), connect_timeout: Duration::from_secs(10) }
    }
}

/// Loads the transport of this world: simulated links in simulation, TCP live.
pub struct RpcSystem {
    host: Host,
    config: RpcConfig,
}

impl RpcSystem {
    /// The transport that `host` stands on.
    pub fn load(host: &Host) -> Self {
        RpcSystem { host: host.clone(), config: RpcConfig::default() }
    }

    /// The same with other settings.
    pub fn with_config(self, config: RpcConfig) -> Self {
        RpcSystem { config, ..self }
    }

    /// Opens the process's service on `port`; 0 takes a free port.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    pub async fn bind(self, port: u16) -> io::Result<RpcService> {
        let (sender, receiver) = self.host.bind(port).await?;
        let inner = Arc::new(ServiceInner {
            calls: Calls::new(self.host.clone()),
            host: self.host.clone(),
            config: self.config,
            sender,
            state: Mutex::default(),
        });
        let service = RpcService { inner };
        self.host.spawn(run_deadlines(self.host.clone(), Arc::downgrade(&service.inner)));
        self.host.spawn(receive(service.clone(), receiver));
        Ok(service)
    }
}

/// An endpoint as its service sees it, whatever its type.
pub(super) trait Registered: Send + Sync {
    fn invoke(&self, call: Call);
    fn terminate(&self);
    fn token(&self) -> Option<FencingToken>;
    fn protocol(&self) -> &'static Protocol;
}

struct Entry {
    id: EndpointId,
    endpoint: Arc<dyn Registered>,
    terminated: Vec<oneshot::Sender<()>>,
}

#[derive(Default)]
struct ServiceState {
    endpoints: BTreeMap<String, Entry>,
    endpoints_made: u64,
    windows: Windows,
    remotes: BTreeMap<NodeAddress, Remote>,
    local_calls: u64,
    stopped: bool,
}

/// A peer and the calls made to it. Numbers grow per peer, so that its window for us is dense.
struct Remote {
    peer: Peer,
    number: u64,
    calls: u64,
}

/// What the handles to one service share.
pub(super) struct ServiceInner {
    pub calls: Calls,
    host: Host,
    config: RpcConfig,
    sender: MessageSender,
    /// Never held while something is announced, sent or dropped that may call back.
    state: Mutex<ServiceState>,
}

impl ServiceInner {
    fn lock(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().expect("no panic under this lock")
    }

    pub fn send(&self, peer: &Peer, kind: Kind, token: u64, frame: Bytes) {
        self.sender.send(peer, kind, token, frame).expect("frames are checked for their size");
    }
}

/// A process's RPC engine. Cheap to clone.
#[derive(Clone)]
pub struct RpcService {
    inner: Arc<ServiceInner>,
}

/// Bits of a call's number that count the calls to one peer; the peer's number stands above.
const CALL_BITS: u32 = 40;

impl RpcService {
    /// The host of the process.
    pub fn host(&self) -> &Host {
        &self.inner.host
    }

    /// The settings.
    pub fn config(&self) -> &RpcConfig {
        &self.inner.config
    }

    /// Where the service's message socket is found.
    pub fn address(&self) -> &NodeAddress {
        self.inner.sender.address()
    }

    /// Hosts an endpoint whose calls carry no token. It takes calls once it is started.
    ///
    /// # Errors
    /// [`RpcError::NotRunning`] when the name is taken, [`RpcError::ServiceStopped`] after a stop.
    pub fn start_server<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
    ) -> Result<RpcServer<E>, RpcError> {
        self.host_endpoint(name, endpoint, false, None)
    }

    /// Hosts an endpoint whose calls must carry its token; without one it refuses them all.
    ///
    /// # Errors
    /// As [`RpcService::start_server`].
    pub fn start_fenced_server<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
        token: Option<FencingToken>,
    ) -> Result<RpcServer<E>, RpcError> {
        self.host_endpoint(name, endpoint, true, token)
    }

    fn host_endpoint<E: RpcEndpoint>(
        &self,
        name: &str,
        endpoint: E,
        fenced: bool,
        token: Option<FencingToken>,
    ) -> Result<RpcServer<E>, RpcError> {
        let shared = {
            let mut state = self.inner.lock();
            if state.stopped {
                return Err(RpcError::ServiceStopped);
            }
            if state.endpoints.contains_key(name) {
                return Err(RpcError::NotRunning(format!("the name {name:?} is taken")));
            }
            state.endpoints_made += 1;
            let id = EndpointId(state.endpoints_made);
            let address = RpcAddress::new(self.address().clone(), name);
            let shared = Arc::new(EndpointShared::<E>::new(id, address, fenced, token));
            let registered: Arc<dyn Registered> = shared.clone();
            let entry = Entry { id, endpoint: registered, terminated: Vec::new() };
            state.endpoints.insert(name.to_string(), entry);
            shared
        };
        let created =
            RpcEvent::EndpointCreated { endpoint: shared.id, name: name.to_string(), fenced };
        self.host().announce(&created);
        if token.is_some() {
            self.host().announce(&RpcEvent::TokenChanged { endpoint: shared.id, token });
        }
        Ok(RpcServer::start_main_thread(self.clone(), shared, endpoint))
    }

    /// Connects to an unfenced endpoint.
    ///
    /// # Errors
    /// Any [`RpcError`] of the handshake: nobody there, no such endpoint, another protocol, no
    /// answer within [`RpcConfig::connect_timeout`].
    pub async fn connect<G: Gateway>(&self, address: &RpcAddress) -> Result<G, RpcError> {
        self.handshake(address, None).await
    }

    /// Connects to a fenced endpoint; every call will carry `token`.
    ///
    /// # Errors
    /// As [`RpcService::connect`]; a wrong token shows only when something is called.
    pub async fn connect_fenced<G: Gateway>(
        &self,
        address: &RpcAddress,
        token: FencingToken,
    ) -> Result<G, RpcError> {
        self.handshake(address, Some(token)).await
    }

    async fn handshake<G: Gateway>(
        &self,
        address: &RpcAddress,
        token: Option<FencingToken>,
    ) -> Result<G, RpcError> {
        let mut client = RpcClient {
            service: self.clone(),
            address: address.clone(),
            target: self.target(address)?,
            token: TokenSource::Fixed(token),
            timeout: self.config().connect_timeout,
        };
        let greeting: Greeting<'_> = (PROTOCOL_VERSION, G::PROTOCOL.name, G::PROTOCOL.hash());
        let met: Option<u64> = match &client.target {
            Target::Local(endpoint) => compare(endpoint.protocol(), greeting).map(|()| None)?,
            Target::Remote(_, _) => Some(client.ask(HANDSHAKE, HANDSHAKE_KIND, &greeting).await?),
        };
        if let (Target::Remote(_, recipient), Some(incarnation)) = (&mut client.target, met) {
            *recipient = incarnation;
        }
        Ok(G::from_client(RpcClient { timeout: self.config().ask_timeout, ..client }))
    }

    fn target(&self, address: &RpcAddress) -> Result<Target, RpcError> {
        let mut state = self.inner.lock();
        if state.stopped {
            return Err(RpcError::ServiceStopped);
        }
        if address.node == *self.address() {
            let entry = state.endpoints.get(&address.path);
            let entry = entry.ok_or_else(|| RpcError::NoSuchEndpoint(address.path.clone()))?;
            return Ok(Target::Local(entry.endpoint.clone()));
        }
        let number = state.remotes.len() as u64 + 1;
        let remote = state.remotes.entry(address.node.clone()).or_insert_with(|| Remote {
            peer: self.inner.sender.peer(&address.node),
            number,
            calls: 0,
        });
        Ok(Target::Remote(remote.peer.clone(), 0))
    }

    /// Stops every endpoint, waits until all are gone, and fails what is still asked.
    pub async fn stop(&self) {
        let (terminated, endpoints) = {
            let mut state = self.inner.lock();
            state.stopped = true;
            let mut waits = Vec::new();
            let mut endpoints = Vec::new();
            for entry in state.endpoints.values_mut() {
                let (sender, receiver) = oneshot::channel();
                entry.terminated.push(sender);
                waits.push(receiver);
                endpoints.push(entry.endpoint.clone());
            }
            (waits, endpoints)
        };
        for endpoint in endpoints {
            endpoint.terminate();
        }
        futures::future::join_all(terminated).await;
        self.inner.calls.close();
    }

    /// Whether the service has stopped, so that nothing is called any more.
    pub(super) fn is_closed(&self) -> bool {
        self.inner.calls.is_closed()
    }

    pub(super) fn next_call(&self, target: &Target) -> u64 {
        let mut state = self.inner.lock();
        match target {
            Target::Local(_) => {
                state.local_calls += 1;
                state.local_calls
            }
            Target::Remote(peer, _) => {
                let remote = state.remotes.get_mut(peer.address()).expect("known since connect");
                remote.calls += 1;
                assert!(remote.calls >> CALL_BITS == 0, "a peer is called less than 2^40 times");
                (remote.number << CALL_BITS) | remote.calls
            }
        }
    }

    pub(super) fn register(
        &self,
        target: &Target,
        kind: Kind,
        timeout: Duration,
    ) -> (u64, oneshot::Receiver<Result<Bytes, RpcError>>) {
        let call = self.next_call(target);
        (call, self.inner.calls.register(call, kind, timeout))
    }

    pub(super) fn send(&self, peer: &Peer, kind: Kind, call: u64, frame: Bytes) {
        self.inner.send(peer, kind, call, frame);
    }

    pub(super) fn forget(&self, name: &str, id: EndpointId) {
        let entry = {
            let mut state = self.inner.lock();
            match state.endpoints.get(name) {
                Some(entry) if entry.id == id => state.endpoints.remove(name),
                _ => None,
            }
        };
        for waiting in entry.into_iter().flat_map(|entry| entry.terminated) {
            let _ = waiting.send(());
        }
    }

    fn handle_frame(&self, from: Peer, frame: Bytes) {
        let (header, body) = match wire::open(frame) {
            Ok(opened) => opened,
            Err(FrameError::Header) => return self.drop_frame("bad header"),
            Err(FrameError::Body(header)) => return self.handle_damaged(&from, header),
        };
        match header.frame_type {
            FrameType::Ask | FrameType::Tell => self.handle_call(from, header, body),
            FrameType::Value => self.handle_answer(header, Ok(body)),
            FrameType::Error => {
                let error = postcard::from_bytes(&body);
                let error = error.unwrap_or_else(|error| RpcError::Malformed(error.to_string()));
                self.handle_answer(header, Err(error));
            }
            FrameType::Damaged => {
                let what = "the call arrived damaged".to_string();
                self.handle_answer(header, Err(RpcError::Malformed(what)));
            }
        }
    }

    fn drop_frame(&self, reason: &'static str) {
        self.host().announce(&RpcEvent::FrameDropped { reason });
    }

    fn see(&self, from: &Peer, header: Header) -> Seen {
        let sender = (header.incarnation, from.address().port);
        self.inner.lock().windows.see(sender, header.call)
    }

    fn is_for_us(&self, header: Header) -> bool {
        [0, self.host().incarnation()].contains(&header.recipient)
    }

    /// The window died with the incarnation that the call is for, and that may have handled it.
    fn refuse_unknown_recipient(&self, from: Peer, header: Header) {
        self.drop_frame("call for an earlier incarnation");
        let answer = Answer::new(&self.inner, Origin::Remote(from), header, REFUSED);
        answer.typed::<()>().fail(RpcError::RecipientUnreachable);
    }

    fn handle_damaged(&self, from: &Peer, header: Header) {
        self.drop_frame("bad body");
        match header.frame_type {
            FrameType::Ask if !self.is_for_us(header) => {
                self.refuse_unknown_recipient(from.clone(), header);
            }
            // Reported or handled, never both: a whole copy may be before or behind this one.
            FrameType::Ask if self.see(from, header) == Seen::Fresh => {
                let header = Header { frame_type: FrameType::Damaged, ..header };
                let frame = wire::finish(wire::begin(), header);
                self.inner.send(from, DAMAGED, 0, frame);
            }
            FrameType::Ask | FrameType::Tell => {}
            // The value is gone, but the call was handled: the asker learns "maybe".
            FrameType::Value | FrameType::Error | FrameType::Damaged => {
                self.handle_answer(header, Err(RpcError::NoReply));
            }
        }
    }

    fn handle_answer(&self, header: Header, result: Result<Bytes, RpcError>) {
        if header.incarnation == self.host().incarnation() {
            self.inner.calls.resolve(header.call, result);
        } else {
            self.drop_frame("answer to an earlier incarnation");
        }
    }

    fn handle_call(&self, from: Peer, header: Header, body: Bytes) {
        if !self.is_for_us(header) {
            return self.refuse_unknown_recipient(from, header);
        }
        match self.see(&from, header) {
            Seen::Fresh => {}
            Seen::Repeat if self.host().sabotaged(Sabotage::AtMostOnceWindowOff) => {}
            Seen::Repeat => return self.drop_frame("repeated call"),
            Seen::TooOld => {
                self.drop_frame("call older than the window");
                let origin = Origin::Remote(from);
                let answer = Answer::new(&self.inner, origin, header, REFUSED);
                return answer.typed::<()>().fail(RpcError::TooOld);
            }
        }
        self.deliver(None, header, body, Origin::Remote(from));
    }

    /// Puts a call into an endpoint's mailbox; the call itself names it when it is `None`.
    pub(super) fn deliver(
        &self,
        endpoint: Option<&Arc<dyn Registered>>,
        header: Header,
        body: Bytes,
        origin: Origin,
    ) {
        let (invocation, arguments) = match postcard::take_from_bytes::<Invocation<'_>>(&body) {
            Ok((invocation, rest)) => (invocation, body.slice_ref(rest)),
            Err(error) => {
                let answer = Answer::new(&self.inner, origin, header, REFUSED);
                return answer.typed::<()>().fail(RpcError::Malformed(error.to_string()));
            }
        };
        let named =
            || self.inner.lock().endpoints.get(invocation.endpoint)?.endpoint.clone().into();
        let Some(endpoint) = endpoint.cloned().or_else(named) else {
            let answer = Answer::new(&self.inner, origin, header, REFUSED);
            let error = RpcError::NoSuchEndpoint(invocation.endpoint.to_string());
            return answer.typed::<()>().fail(error);
        };
        if invocation.method == HANDSHAKE {
            let answer = Answer::new(&self.inner, origin, header, HANDSHAKE_REPLY);
            let greeted = shake_hands(endpoint.protocol(), &arguments);
            return answer.typed().send(greeted.map(|()| self.host().incarnation()));
        }
        if header.recipient == 0 {
            let answer = Answer::new(&self.inner, origin, header, REFUSED);
            return answer.typed::<()>().fail(RpcError::Incompatible("no handshake".to_string()));
        }
        let Some(method) = endpoint.protocol().methods.get(usize::from(invocation.method)) else {
            let answer = Answer::new(&self.inner, origin, header, REFUSED);
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
            answer: Answer::new(&self.inner, origin, header, method.reply_kind),
        });
    }
}

/// The version of frames, the gateway's name and the hash of its methods.
type Greeting<'a> = (u16, &'a str, u64);

fn shake_hands(protocol: &Protocol, greeting: &[u8]) -> Result<(), RpcError> {
    let greeting = postcard::from_bytes(greeting);
    compare(protocol, greeting.map_err(|error| RpcError::Malformed(error.to_string()))?)
}

fn compare(protocol: &Protocol, (version, name, hash): Greeting<'_>) -> Result<(), RpcError> {
    if version != PROTOCOL_VERSION {
        let text = format!("protocol version {version} where {PROTOCOL_VERSION} is spoken");
        return Err(RpcError::Incompatible(text));
    }
    if name != protocol.name {
        let text = format!("a {name} where a {} is spoken", protocol.name);
        return Err(RpcError::Incompatible(text));
    }
    if hash != protocol.hash() {
        return Err(RpcError::Incompatible(format!("another list of methods in {name}")));
    }
    Ok(())
}

async fn receive(service: RpcService, mut receiver: MessageReceiver) {
    loop {
        match receiver.recv().await {
            Inbound::Frame { from, frame } => service.handle_frame(from, frame),
            Inbound::Unreachable { token, .. } => {
                service.inner.calls.resolve(token, Err(RpcError::RecipientUnreachable));
            }
        }
    }
}

impl<E: RpcEndpoint> std::fmt::Debug for Context<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({})", self.address())
    }
}
