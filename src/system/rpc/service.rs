//! The engine of a process: hosts endpoints, connects to others, routes frames.

use super::{
    address::RpcAddress,
    call::{Answer, Origin},
    error::RpcError,
    event::RpcEvent,
    gateway::{Gateway, RpcClient, Target, TokenSource},
    handshake::{DAMAGED, Greeting, HANDSHAKE, HANDSHAKE_KIND, REFUSED, compare},
    ids::{EndpointId, FencingToken},
    recipient::{Registered, deliver},
    socket::Socket,
    window::{Seen, Windows},
    wire::{self, FrameError, FrameType, Header, PROTOCOL_VERSION},
};
use crate::host::{Host, Inbound, MessageReceiver, NodeAddress, Peer};
use bytes::Bytes;
use futures::channel::oneshot;
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

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
        let socket = Socket::start(self.host.clone(), sender);
        let inner = ServiceInner { socket, config: self.config, state: Mutex::default() };
        let service = RpcService { inner: Arc::new(inner) };
        self.host.spawn(receive(service.clone(), receiver));
        Ok(service)
    }
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
    stopped: bool,
}

/// What the handles to one service share.
struct ServiceInner {
    socket: Arc<Socket>,
    config: RpcConfig,
    /// Never held while something is announced, sent or dropped that may call back.
    state: Mutex<ServiceState>,
}

impl ServiceInner {
    fn lock(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().expect("no panic under this lock")
    }
}

/// A process's RPC engine. Cheap to clone.
#[derive(Clone)]
pub struct RpcService {
    inner: Arc<ServiceInner>,
}

impl RpcService {
    /// The host of the process.
    pub fn host(&self) -> &Host {
        self.inner.socket.host()
    }

    /// The settings.
    pub fn config(&self) -> &RpcConfig {
        &self.inner.config
    }

    /// Where the service's message socket is found.
    pub fn address(&self) -> &NodeAddress {
        self.inner.socket.address()
    }

    /// The socket on which it calls and answers.
    pub(super) fn socket(&self) -> &Arc<Socket> {
        &self.inner.socket
    }

    /// Takes an endpoint of a new name in.
    ///
    /// # Errors
    /// [`RpcError::NotRunning`] when the name is taken, [`RpcError::ServiceStopped`] after a stop.
    pub(super) fn register<R: Registered + 'static>(
        &self,
        name: &str,
        endpoint: impl FnOnce(EndpointId) -> R,
    ) -> Result<Arc<R>, RpcError> {
        let mut state = self.inner.lock();
        if state.stopped {
            return Err(RpcError::ServiceStopped);
        }
        if state.endpoints.contains_key(name) {
            return Err(RpcError::NotRunning(format!("the name {name:?} is taken")));
        }
        state.endpoints_made += 1;
        let id = EndpointId(state.endpoints_made);
        let made = Arc::new(endpoint(id));
        let entry = Entry { id, endpoint: made.clone(), terminated: Vec::new() };
        state.endpoints.insert(name.to_string(), entry);
        Ok(made)
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
            socket: self.socket().clone(),
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
        let state = self.inner.lock();
        if state.stopped {
            return Err(RpcError::ServiceStopped);
        }
        if address.node == *self.address() {
            let entry = state.endpoints.get(&address.path);
            let entry = entry.ok_or_else(|| RpcError::NoSuchEndpoint(address.path.clone()))?;
            return Ok(Target::Local(entry.endpoint.clone()));
        }
        drop(state);
        Ok(Target::Remote(self.socket().peer(&address.node), 0))
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
        self.socket().calls().close();
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
        let answer = Answer::new(self.socket(), Origin::Remote(from), header, REFUSED);
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
                self.socket().send(from, DAMAGED, 0, frame);
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
            self.socket().calls().resolve(header.call, result);
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
            Seen::Repeat
                if self.host().sabotaged(crate::system::sabotage::AT_MOST_ONCE_WINDOW_OFF) => {}
            Seen::Repeat => {
                crate::reachable!(self.host(), "repeated-call-dropped");
                return self.drop_frame("repeated call");
            }
            Seen::TooOld => {
                self.drop_frame("call older than the window");
                let origin = Origin::Remote(from);
                let answer = Answer::new(self.socket(), origin, header, REFUSED);
                return answer.typed::<()>().fail(RpcError::TooOld);
            }
        }
        let named = |name: &str| Some(self.inner.lock().endpoints.get(name)?.endpoint.clone());
        deliver(self.socket(), named, header, body, Origin::Remote(from));
    }
}

async fn receive(service: RpcService, mut receiver: MessageReceiver) {
    loop {
        match receiver.recv().await {
            Inbound::Frame { from, frame } => service.handle_frame(from, frame),
            Inbound::Unreachable { token, .. } => {
                service.socket().calls().resolve(token, Err(RpcError::RecipientUnreachable));
            }
        }
    }
}
