//! The message socket of a process's service, and the calls that are numbered and awaited on it.

use super::{
    calls::{Ask, Calls},
    transport::Outlet,
};
use crate::host::{Host, Kind, NodeAddress, Peer};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::Poll,
    time::Duration,
};

/// Bits of a call's number that count the calls to one peer; the peer's number stands above.
const CALL_BITS: u32 = 40;

/// A peer and the calls made to it. Numbers grow per peer, so that its window for us is dense.
struct Remote {
    peer: Peer,
    number: u64,
    calls: u64,
}

#[derive(Default)]
struct Numbers {
    remotes: BTreeMap<NodeAddress, Remote>,
    local: u64,
}

/// What everything shares that calls or answers.
pub(super) struct Socket {
    host: Host,
    outlet: Outlet,
    calls: Calls,
    /// Never held while something is announced, sent or dropped that may call back.
    numbers: Mutex<Numbers>,
}

impl Socket {
    /// A socket on which nothing was called yet; its asks time out while it is held.
    pub fn start(host: Host, outlet: Outlet) -> Arc<Self> {
        let calls = Calls::new(host.clone());
        let socket = Arc::new(Socket { host, outlet, calls, numbers: Mutex::default() });
        socket.host.spawn(run_deadlines(Arc::downgrade(&socket)));
        socket
    }

    fn numbers(&self) -> MutexGuard<'_, Numbers> {
        self.numbers.lock().expect("no panic under this lock")
    }

    /// The host of the process.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Where it is found.
    pub fn address(&self) -> &NodeAddress {
        self.outlet.address()
    }

    /// The asks that wait for an answer.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Sends a frame.
    pub fn send(&self, peer: &Peer, kind: Kind, token: u64, frame: Bytes) {
        self.outlet.send(peer, kind, token, frame);
    }

    /// A peer that can be called from now on; none, when none can be reached.
    pub fn peer(&self, address: &NodeAddress) -> Option<Peer> {
        let mut numbers = self.numbers();
        if let Some(remote) = numbers.remotes.get(address) {
            return Some(remote.peer.clone());
        }
        let peer = self.outlet.peer(address)?;
        let number = numbers.remotes.len() as u64 + 1;
        let remote = Remote { peer: peer.clone(), number, calls: 0 };
        numbers.remotes.insert(address.clone(), remote);
        Some(peer)
    }

    /// The number of the next call to a peer, or within this process.
    pub fn next_call(&self, peer: Option<&Peer>) -> u64 {
        let mut numbers = self.numbers();
        let Some(peer) = peer else {
            numbers.local += 1;
            return numbers.local;
        };
        let remote = numbers.remotes.get_mut(peer.address()).expect("known since connect");
        remote.calls += 1;
        assert!(remote.calls >> CALL_BITS == 0, "a peer is called less than 2^40 times");
        (remote.number << CALL_BITS) | remote.calls
    }

    /// Numbers an ask; its time begins now.
    pub fn ask<T>(&self, peer: Option<&Peer>, kind: Kind, timeout: Duration) -> (u64, Ask<T>) {
        let call = self.next_call(peer);
        (call, Ask::new(self.host.clone(), self.calls.register(call, kind, timeout)))
    }
}

/// Times out the asks on a socket until it is gone.
async fn run_deadlines(socket: Weak<Socket>) {
    let mut sleep = None;
    poll_fn(move |cx| {
        let Some(socket) = socket.upgrade() else { return Poll::Ready(()) };
        socket.calls.poll_deadlines(&mut sleep, cx);
        Poll::Pending
    })
    .await;
}
