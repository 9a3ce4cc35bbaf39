//! Who leads: election among contenders, and retrieval of the present leader.
//!
//! Each component elects by itself; its leaders may sit on different nodes. Election stands on the
//! coordination service: `/election/<component>/latch` goes with its holder's lease and holds the
//! session id, `/election/<component>/leader` tells followers where the confirmed leader is. Every
//! durable write of a leader carries [`LeaderSession::guard`], so a leader that does not know yet
//! that it is none can do no harm.
//!
//! Deliberately absent: the hope that two leaders never overlap in time. They do; only their writes
//! and their tokens are kept apart.

mod driver;
mod election;
mod endpoint;
mod follower;
mod gateway;
mod retrieval;
mod runner;

pub use driver::{CoordinationElectionDriver, ElectionEvents, LeaderElectionDriver};
pub use election::{LeaderContender, LeaderElectionService};
pub use endpoint::{EndpointTerms, RecoverEndpoint, Recovered};
pub use follower::LeaderFollower;
pub use gateway::LeaderGateway;
pub use retrieval::{LeaderRetrievalListener, LeaderRetrievalService};
pub use runner::{BegunProcess, LeaderProcess, LeaderProcessFactory, LeaderRunner};

use super::{
    rpc::{FencingToken, Gateway, RpcAddress, RpcError, RpcService},
    service::coordination::{Compare, KeyPattern},
};
use crate::host::NodeAddress;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names one term of one leader; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaderSessionId(pub u128);

impl LeaderSessionId {
    /// The token that messages of this term carry.
    pub fn token(self) -> FencingToken {
        FencingToken(self.0)
    }

    /// As it is written into the latch.
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    /// Reads a latch.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(LeaderSessionId(u128::from_be_bytes(bytes.try_into().ok()?)))
    }
}

impl fmt::Debug for LeaderSessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session-{:08x}", self.0 >> 96)
    }
}

/// Where a leader is found.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeaderAddress {
    /// At an endpoint that is fenced by its term.
    Rpc(RpcAddress),
    /// At a port that speaks HTTP.
    Http(NodeAddress),
}

impl fmt::Display for LeaderAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaderAddress::Rpc(address) => write!(f, "{address}"),
            LeaderAddress::Http(node) => write!(f, "http://{node}"),
        }
    }
}

impl fmt::Debug for LeaderAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Where the confirmed leader of a component is found, and in which term.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaderInformation {
    /// The term.
    pub session: LeaderSessionId,
    /// Where the leader is.
    pub address: LeaderAddress,
}

impl LeaderInformation {
    /// Connects to the leader's endpoint, in its term.
    ///
    /// # Errors
    /// [`RpcError`]; also when the leader has no endpoint.
    pub async fn connect<G: Gateway>(&self, service: &RpcService) -> Result<G, RpcError> {
        match &self.address {
            LeaderAddress::Rpc(address) => {
                service.connect_fenced(address, self.session.token()).await
            }
            LeaderAddress::Http(_) => {
                Err(RpcError::Incompatible(format!("{} is no endpoint", self.address)))
            }
        }
    }
}

/// A term of a component, as what its holder writes must show.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaderSession {
    /// The component.
    pub component: String,
    /// The term.
    pub session: LeaderSessionId,
}

impl LeaderSession {
    /// The condition under which this term may write.
    pub fn guard(&self) -> Compare {
        Compare::Value { key: latch_key(&self.component), value: self.session.to_bytes() }
    }
}

/// A component's election keys.
pub fn election_keys(component: &str) -> KeyPattern {
    KeyPattern::Children(format!("/election/{component}"))
}

/// What a key of a component's election is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionPart {
    /// Its holder leads; its value is the session id.
    Latch,
    /// Followers read it; its value is an encoded [`LeaderInformation`].
    Leader,
    /// Each term writes it, so that a late attempt at one is refused.
    Epoch,
}

const PARTS: &[(ElectionPart, &str)] = &[
    (ElectionPart::Latch, "latch"),
    (ElectionPart::Leader, "leader"),
    (ElectionPart::Epoch, "epoch"),
];

/// Reads a key of an election: the component, and what the key is.
pub fn parse_election_key(key: &str) -> Option<(&str, ElectionPart)> {
    let (component, name) = key.strip_prefix("/election/")?.rsplit_once('/')?;
    let (part, _) = PARTS.iter().find(|(_, known)| *known == name)?;
    Some((component, *part))
}

fn election_key(component: &str, part: ElectionPart) -> String {
    let (_, name) = PARTS.iter().find(|(known, _)| *known == part).expect("each has a name");
    format!("/election/{component}/{name}")
}

/// The key whose holder leads; its value is the session id.
pub fn latch_key(component: &str) -> String {
    election_key(component, ElectionPart::Latch)
}

/// The key that followers read; its value is an encoded [`LeaderInformation`].
pub fn leader_key(component: &str) -> String {
    election_key(component, ElectionPart::Leader)
}

/// The key that each term writes, so that a late attempt at one is refused.
pub fn epoch_key(component: &str) -> String {
    election_key(component, ElectionPart::Epoch)
}

/// An event of the leadership layer. All of them are self-reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LeadershipEvent {
    /// A contender is told that it leads.
    Granted {
        /// The component.
        component: String,
        /// The term.
        session: LeaderSessionId,
    },
    /// A contender is told that it no longer leads.
    Revoked {
        /// The component.
        component: String,
        /// The term.
        session: LeaderSessionId,
    },
    /// A contender is ready to serve and its service accepts that.
    Confirmed {
        /// The component.
        component: String,
        /// The term and the address.
        leader: LeaderInformation,
    },
    /// A contender's service has started.
    ElectionStarted {
        /// The component.
        component: String,
    },
    /// A contender's service has stopped; it is never called back again.
    ElectionStopped {
        /// The component.
        component: String,
    },
    /// The process of a term began.
    ProcessStarted {
        /// The component.
        component: String,
        /// The term.
        session: LeaderSessionId,
    },
    /// The process of a term has ended wholly.
    ProcessTerminated {
        /// The component.
        component: String,
        /// The term.
        session: LeaderSessionId,
    },
    /// A listener is told who leads.
    LeaderNotified {
        /// The component.
        component: String,
        /// The listener's service, among those of its process.
        service: u64,
        /// The leader; `None` when unknown.
        leader: Option<LeaderInformation>,
    },
    /// A listener's service has stopped; it is never called back again.
    RetrievalStopped {
        /// The component.
        component: String,
        /// The service.
        service: u64,
    },
}

crate::event!(LeadershipEvent, |_| crate::host::Evidence::SelfReport);
