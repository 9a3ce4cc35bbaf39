//! The engine of a process: hosts endpoints, connects to others, routes frames.

use super::{
    address::RpcAddress,
    call::{Answer, Origin},
    error::RpcError,
    event::RpcEvent,
    gateway::{Gateway, RpcClient, Target, TokenSource},
    handshake::{DAMAGED, Greeting, HANDSHAKE, HANDSHAKE_KIND, REFUSED, compare},
    ids::{EndpointId, FencingToken},
    recipient::{ByName, Registered, deliver},
    socket::Socket,
    transport::{LoadError, MESSAGES, Transport},
    window::{Seen, Windows},
    wire::{self, FrameError, FrameType, Header},
};
use crate::host::{Host, Inbound, MessageReceiver, NodeAddress, Peer};
use bytes::Bytes;
use futures::{
    channel::oneshot,
    future::{Either, select},
    pin_mut,
};
use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Longer than any handler should hold its main thread, whose other messages wait meanwhile.
pub const HANDLER_TIME_MAX: Duration = Duration::from_millis(100);

/// How a service behaves.
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// The name of what carries calls between processes: [`MESSAGES`] or [`LOCAL`](super::LOCAL); [`MESSAGES`].
    pub transport: String,
    /// How long an ask waits unless its gateway says otherwise; 10 s.
    pub ask_timeout: Duration,
    /// How long a connect waits; 10 s.
    pub connect_timeout: Duration,
    /// What holds a main thread for longer is announced; 100 ms. Nothing does in simulation, where no time passes
    /// while code runs.
    pub handler_time_max: Duration,
}

impl Default for RpcConfig {
    fn default() -> Self {
        RpcConfig {
            transport: MESSAGES.to_string(),
            ask_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            handler_time_max: HANDLER_TIME_MAX,
        }
    }
}

/// A transport that was chosen and not opened yet; by default the one on the host's messages.
pub struct RpcSystem {
    config: RpcConfig,
    transport: &'static Transport,
}

impl Default for RpcSystem {
    fn default() -> Self {
        RpcSystem::load(&RpcConfig::default()).expect("the default is there")
    }
}

impl RpcSystem {
    /// Chooses the transport that the settings name.
    ///
    /// # Errors
    /// [`LoadError`] when there is none of that name; it tells those that there are.
    pub fn load(config: &RpcConfig) -> Result<Self, LoadError> {
        Ok(RpcSystem { config: config.clone(), transport: Transport::named(&config.transport)? })
    }

    /// Opens the process's service on `port`; 0 takes a free port.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    pub async fn bind(self, host: &Host, port: u16) -> io::Result<RpcService> {
        let (outlet, receiver) = self.transport.open(host, port).await?;
        let socket = Socket::start(host.clone(), outlet);
        let (closing, close) = oneshot::channel();
        let inlet = receiver.is_some().then_some(closing);
        let state = Mutex::new(ServiceState { inlet, ..ServiceState::default() });
        let inner = Arc::new(ServiceInner { socket, config: self.config, state });
        let service = RpcService { inner };
        if let Some(receiver) = receiver {
            host.spawn(receive(service.clone(), receiver, close));
        }
        Ok(service)
    }
}

#[derive(Default)]
struct ServiceState {
    endpoints: BTreeSet<ByName>,
    endpoints_made: u64,
    windows: Windows,
    stopped: bool,
    /// Closes what frames arrive by; who gets it is told when that is done.
    inlet: Option<oneshot::Sender<oneshot::Sender<()>>>,
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
        if state.endpoints.contains(name) {
            return Err(RpcError::NotRunning(format!("the name {name:?} is taken")));
        }
        state.endpoints_made += 1;
        let made = Arc::new(endpoint(EndpointId(state.endpoints_made)));
        state.endpoints.insert(ByName(made.clone()));
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
        let version = wire::version_of(self.host());
        let greeting: Greeting<'_> = (version, G::PROTOCOL.name, G::PROTOCOL.hash());
        let met: Option<u64> = match &client.target {
            Target::Local(endpoint) => {
                compare(endpoint.protocol(), greeting, version).map(|()| None)?
            }
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
            let entry = state.endpoints.get(address.path.as_str());
            let ByName(endpoint) =
                entry.ok_or_else(|| RpcError::NoSuchEndpoint(address.path.clone()))?;
            return Ok(Target::Local(endpoint.clone()));
        }
        drop(state);
        let peer = self.socket().peer(&address.node).ok_or(RpcError::RecipientUnreachable)?;
        Ok(Target::Remote(peer, 0))
    }

    /// Stops the service: from now on nothing is hosted, every endpoint terminates, and when the last of them is
    /// gone what is still asked fails and the port is free. Until then endpoints may ask each other and those of
    /// other processes. Not to be waited for by one of its own endpoints before that has ended.
    pub async fn stop(&self) {
        let endpoints = {
            let mut state = self.inner.lock();
            state.stopped = true;
            state.endpoints.clone()
        };
        for ByName(endpoint) in &endpoints {
            endpoint.terminate();
        }
        for ByName(endpoint) in endpoints {
            // How each of them ended is known to its owner.
            let _ = endpoint.terminated().await;
        }
        self.socket().calls().close();
        let inlet = self.inner.lock().inlet.take();
        if let Some(inlet) = inlet {
            let (closed, is_closed) = oneshot::channel();
            let _ = inlet.send(closed);
            let _ = is_closed.await;
        }
    }

    /// Lets the name of an endpoint go that has ended.
    pub(super) fn forget(&self, endpoint: &dyn Registered) {
        let forgotten = self.inner.lock().endpoints.take(endpoint.name());
        drop(forgotten.expect("a name is its endpoint's until that has ended"));
    }

    fn handle_frame(&self, from: Peer, frame: Bytes) {
        let (header, body) = match wire::open(frame, wire::version_of(self.host())) {
            Ok(opened) => opened,
            Err(FrameError::Header) => return self.drop_frame("bad header"),
            Err(FrameError::Version) => return self.drop_frame("another protocol version"),
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
                let version = wire::version_of(self.host());
                let frame = wire::finish(wire::begin(), header, version);
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
        let named = |name: &str| Some(self.inner.lock().endpoints.get(name)?.0.clone());
        deliver(self.socket(), named, header, body, Origin::Remote(from));
    }
}

/// Takes frames until the service has stopped.
async fn receive(
    service: RpcService,
    mut receiver: MessageReceiver,
    mut close: oneshot::Receiver<oneshot::Sender<()>>,
) {
    loop {
        let next = {
            let next = receiver.recv();
            pin_mut!(next);
            match select(next, &mut close).await {
                Either::Left((next, _)) => Ok(next),
                Either::Right((closed, _)) => Err(closed),
            }
        };
        let next = match next {
            Ok(next) => next,
            Err(closed) => {
                drop(receiver);
                return drop(closed);
            }
        };
        match next {
            Inbound::Frame { from, frame } => service.handle_frame(from, frame),
            Inbound::Unreachable { token, .. } => {
                service.socket().calls().resolve(token, Err(RpcError::RecipientUnreachable));
            }
        }
    }
}
