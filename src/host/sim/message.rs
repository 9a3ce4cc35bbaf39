//! Message sockets: frames under way, ports with bounded inboxes, resets from hosts without a taker.

mod datagram;
mod ports;
mod socket;

pub(in crate::host) use datagram::Datagram;
pub use datagram::{Peer, RESET};
pub(in crate::host) use ports::{Ports, Refused};
pub(in crate::host) use socket::bind;
pub use socket::{MessageReceiver, MessageSender};
