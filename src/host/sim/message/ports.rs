//! The ports of one process and the bounded inboxes behind them.

use super::datagram::{Datagram, Payload};
use crate::host::{Inbound, sim::cause::Cause};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    task::{Poll, Waker},
};

/// Frames that wait in one inbox at most; what comes beyond is dropped.
const INBOX_FRAMES_MAX: usize = 65_536;

/// The first port given out for port 0.
const EPHEMERAL_PORT_MIN: u16 = 49_152;

/// The sockets of one process.
#[derive(Default)]
pub(in crate::host) struct Ports {
    open: BTreeMap<u16, Inbox>,
}

/// What waits on one port, and who waits for it.
#[derive(Default)]
pub(in crate::host) struct Inbox {
    /// Each with the entry of its arrival.
    waiting: VecDeque<(Inbound, Cause)>,
    receiver: Option<Waker>,
}

/// A frame that no inbox took.
pub(in crate::host) enum Refused {
    /// Nobody listens on its port.
    Closed(Datagram),
    /// The inbox has no room.
    Full(Datagram),
}

impl Ports {
    /// Opens a port; 0 takes a free one.
    pub fn open(&mut self, port: u16) -> io::Result<u16> {
        let port = match port {
            0 => (EPHEMERAL_PORT_MIN..=u16::MAX)
                .find(|port| !self.open.contains_key(port))
                .ok_or(io::ErrorKind::AddrNotAvailable)?,
            port if self.open.contains_key(&port) => return Err(io::ErrorKind::AddrInUse.into()),
            port => port,
        };
        self.open.insert(port, Inbox::default());
        Ok(port)
    }

    /// Closes a port; what waited there is dropped by the caller, unlocked.
    #[must_use = "the waker is dropped outside the lock"]
    pub fn close(&mut self, port: u16) -> Option<Inbox> {
        self.open.remove(&port)
    }

    /// Puts a frame that has arrived into its inbox; hands over the waker of who waits for it.
    pub fn deliver(
        &mut self,
        datagram: Datagram,
        arrival: Cause,
    ) -> Result<Option<Waker>, Refused> {
        let Some(inbox) = self.open.get_mut(&datagram.receiver.address().port) else {
            return Err(Refused::Closed(datagram));
        };
        if inbox.waiting.len() >= INBOX_FRAMES_MAX {
            return Err(Refused::Full(datagram));
        }
        let inbound = match datagram.payload {
            Payload::Frame(frame) => Inbound::Frame { from: datagram.sender, frame },
            Payload::Reset => Inbound::Unreachable { peer: datagram.sender, token: datagram.token },
        };
        inbox.waiting.push_back((inbound, arrival));
        Ok(inbox.receiver.take())
    }

    /// The next of what waits on an open port.
    pub fn poll(&mut self, port: u16, waker: &Waker) -> Poll<(Inbound, Cause)> {
        let inbox = self.open.get_mut(&port).expect("open while its receiver lives");
        match inbox.waiting.pop_front() {
            Some(next) => Poll::Ready(next),
            None => {
                inbox.receiver = Some(waker.clone());
                Poll::Pending
            }
        }
    }
}
