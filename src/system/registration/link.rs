//! The way of an endpoint to a leader that it follows: whom it is registered at, and which try is the newest.

use super::{call::register, config::RegistrationConfig};
use crate::system::{
    leadership::{LeaderInformation, LeaderSessionId},
    protocol::RegistrationRefusal,
    rpc::{Ask, Context, Gateway, RpcEndpoint},
    scope::Scope,
};
use serde::de::DeserializeOwned;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Numbers that grow over all links of an endpoint, so that what belongs to an earlier connection, also of a link
/// that is gone, is told from what belongs to the present one.
#[derive(Clone, Debug, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl Numbers {
    /// The next one; the first is 1.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// The way to one leader; `C` is what there is of a connection once it is registered.
pub struct LeaderLink<C> {
    leader: Option<LeaderInformation>,
    numbers: Numbers,
    /// Names the present try to connect; what belongs to an earlier one is ignored.
    connection: u64,
    /// Ends the registration that is under way, and later what belongs to the connection.
    scope: Scope,
    connected: Option<C>,
}

impl<C> LeaderLink<C> {
    /// Nobody is known to lead.
    pub fn new(numbers: &Numbers) -> Self {
        LeaderLink {
            leader: None,
            numbers: numbers.clone(),
            connection: numbers.next(),
            scope: Scope::default(),
            connected: None,
        }
    }

    /// Who leads now.
    pub fn follow(&mut self, leader: Option<LeaderInformation>) {
        self.leader = leader;
    }

    /// The term of the present leader.
    pub fn leader_session(&self) -> Option<LeaderSessionId> {
        self.leader.as_ref().map(|leader| leader.session)
    }

    /// The present connection.
    pub fn connected(&self) -> Option<&C> {
        self.connected.as_ref()
    }

    /// The name of the present connection, or of the try to make one.
    pub fn connection(&self) -> u64 {
        self.connection
    }

    /// Ends what belongs to the connection as it ends.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The registration has succeeded.
    pub fn set_connected(&mut self, connected: C) {
        self.connected = Some(connected);
    }

    /// Ends the connection, or the try to make one: what belongs to it is ignored from here on.
    pub fn disconnect(&mut self) -> Option<C> {
        self.connection = self.numbers.next();
        self.scope = Scope::default();
        self.connected.take()
    }
}

/// What a registration came to: the leader's term, the way to it and its answer, or why it rejected it.
type Registered<G, T> = Result<(LeaderSessionId, G, T), String>;

/// Registers at the present leader of a link that has no connection, until it succeeds or is rejected. `call`
/// makes one try, with a number that grows; `then` is told on the main thread what it came to, unless
/// `connection_now` says that the link has another connection, or is gone.
pub fn connect<E: RpcEndpoint, C: 'static, G: Gateway, T: DeserializeOwned + Send + 'static>(
    context: &Context<E>,
    link: &LeaderLink<C>,
    config: RegistrationConfig,
    connection_now: impl Fn(&E) -> Option<u64> + Send + 'static,
    mut call: impl FnMut(&G, u64) -> Ask<Result<T, RegistrationRefusal>> + Send + 'static,
    then: impl FnOnce(&mut E, &mut Context<E>, Registered<G, T>) + Send + 'static,
) {
    let Some(leader) = link.leader.clone() else { return };
    let (connection, numbers) = (link.connection, link.numbers.clone());
    let (service, session) = (context.service().clone(), leader.session);
    let work = link.scope.wrap(async move {
        let call = move |gateway: &G| call(gateway, numbers.next());
        register(&service, &leader, config, call).await
    });
    context.spawn_then(work, move |endpoint, context, registered| {
        let current = connection_now(endpoint) == Some(connection);
        let Some(registered) = registered.filter(|_| current) else { return };
        let registered = registered.map(|(gateway, answer)| (session, gateway, answer));
        then(endpoint, context, registered);
    });
}
