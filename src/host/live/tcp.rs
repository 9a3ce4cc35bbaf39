//! Listening ports and outgoing connections.

use super::{node::Node, ports::Slot};
use crate::host::NodeAddress;
use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

/// How long a look-up and the handshake may take together.
pub(super) const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Connections that wait to be accepted, as far as the kernel lets them. One more is dropped without a word, and its
/// client tries again only after a second.
const BACKLOG: u32 = 4096;

/// A listening port. It is closed at once when this is dropped or the node ends.
pub(super) struct Port {
    slot: Arc<Slot>,
    address: NodeAddress,
}

/// At the first of a host's addresses where that is possible.
async fn listen(hostname: &str, port: u16) -> io::Result<TcpListener> {
    let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host((hostname, port)).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        }?;
        // A node that begins anew has its port at once.
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

impl Port {
    pub async fn open(node: &Node, port: u16) -> io::Result<Port> {
        let listener = listen(node.hostname(), port).await?;
        let address = NodeAddress::new(node.hostname(), listener.local_addr()?.port());
        let slot = Arc::new(Mutex::new(Some(listener)));
        node.ports().add(&slot);
        if node.dead() {
            node.ports().close_all();
        }
        Ok(Port { slot, address })
    }

    pub fn address(&self) -> &NodeAddress {
        &self.address
    }

    pub fn close(&self) {
        self.slot.lock().expect("nothing panics here").take();
    }

    /// The next connection. Pending for ever once the node has ended.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            let accepted = poll_fn(|cx| match &*self.slot.lock().expect("nothing panics here") {
                Some(listener) => listener.poll_accept(cx),
                None => Poll::Pending,
            });
            match accepted.await {
                // The caller went away again before it was its turn.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Ok((tcp, from)) => {
                    tcp.set_nodelay(true)?;
                    return Ok((tcp, from));
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.close();
    }
}

/// Connects: `ConnectionRefused` also when the name is unknown, `TimedOut` when nobody answers.
pub(super) async fn dial(to: &NodeAddress) -> io::Result<TcpStream> {
    match tokio::time::timeout(CONNECT_TIME_MAX, dial_any(to)).await {
        Ok(dialled) => dialled,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

async fn dial_any(to: &NodeAddress) -> io::Result<TcpStream> {
    let refused = |why: String| io::Error::new(io::ErrorKind::ConnectionRefused, why);
    let found = tokio::net::lookup_host((to.host.as_str(), to.port)).await;
    let found: Vec<_> = found.map_err(|error| refused(error.to_string()))?.collect();
    if found.is_empty() {
        return Err(refused(format!("{} has no address", to.host)));
    }
    let tcp = TcpStream::connect(found.as_slice()).await?;
    // TCP lets a connection from a free port meet itself.
    if tcp.local_addr()? == tcp.peer_addr()? {
        return Err(refused("nothing listens there".to_string()));
    }
    tcp.set_nodelay(true)?;
    Ok(tcp)
}
