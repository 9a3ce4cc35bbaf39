//! A server of HTTP.

use super::{
    connection::{Draining, serve, turn_away},
    limits::{HEADER_BYTES_MIN, HttpLimits},
    service::{HttpHandler, Service},
};
use crate::{
    host::{Host, Instant, NodeAddress, Stream, StreamListener},
    system::scope::Scope,
};
use futures::{
    FutureExt,
    channel::oneshot,
    pin_mut, select_biased,
    stream::{FuturesUnordered, StreamExt},
};
use std::{future::Future, io, sync::Arc, time::Duration};

/// How long it waits after the listener failed, which live means a lack of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Asks the server to drain until that time.
struct Drain {
    deadline: Instant,
    done: oneshot::Sender<bool>,
}

/// A server of HTTP/1.1 on one port. Dropping it ends everything: the port is closed, connections are cut, and the
/// futures of their handlers dropped.
pub struct HttpServer {
    address: NodeAddress,
    drain: oneshot::Sender<Drain>,
    _scope: Scope,
}

impl HttpServer {
    /// Listens on `port`, where 0 takes a free one, and answers requests by `handler`, each connection in a task of
    /// its own.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    ///
    /// # Panics
    /// When `header_bytes` are less than 8 KiB.
    pub async fn start(
        host: &Host,
        port: u16,
        limits: HttpLimits,
        handler: HttpHandler,
    ) -> io::Result<HttpServer> {
        assert!(limits.header_bytes >= HEADER_BYTES_MIN, "a head may have 8 KiB at least");
        let listener = host.listen(port).await?;
        let address = listener.address().clone();
        let (drain, asked) = oneshot::channel();
        let service = Arc::new(Service { host: host.clone(), limits, handler });
        let scope = Scope::default();
        host.spawn(scope.wrap(accept(service, listener, asked)).map(drop));
        Ok(HttpServer { address, drain, _scope: scope })
    }

    /// Where it listens.
    pub fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// Ends in order: the port is closed, connections without a request are ended, and those with one when it is
    /// answered, with `Connection: close`. What is left at `deadline` is cut. Whether nothing was.
    ///
    /// Dropping the future cuts what is left at once.
    pub async fn drain(self, deadline: Instant) -> bool {
        let HttpServer { drain, _scope, .. } = self;
        let (done, drained) = oneshot::channel();
        // It accepts for as long as the scope is there.
        let _ = drain.send(Drain { deadline, done });
        drained.await.unwrap_or(false)
    }
}

/// The open connections of a server, which end with it.
struct Connections {
    service: Arc<Service>,
    scope: Scope,
    draining: Draining,
    open: FuturesUnordered<oneshot::Receiver<()>>,
    turned_away: FuturesUnordered<oneshot::Receiver<()>>,
}

impl Connections {
    fn take(&self, stream: Stream) {
        let most = self.service.limits.connections;
        if self.open.len() < most {
            let serving = serve(self.service.clone(), stream, self.draining.clone());
            self.open.push(self.spawn(serving));
        } else if self.turned_away.len() < most {
            self.turned_away.push(self.spawn(turn_away(self.service.clone(), stream)));
        }
    }

    /// Runs beside the others; what it gives is ready when that has ended.
    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> oneshot::Receiver<()> {
        let (running, ended) = oneshot::channel::<()>();
        let running = self.scope.wrap(future).map(|_| drop(running));
        self.service.host.spawn(running);
        ended
    }
}

/// Accepts until it is asked to drain, then drains.
async fn accept(
    service: Arc<Service>,
    mut listener: StreamListener,
    mut asked: oneshot::Receiver<Drain>,
) {
    let host = service.host.clone();
    let (begin_drain, draining) = oneshot::channel();
    let mut connections = Connections {
        service,
        scope: Scope::default(),
        draining: draining.shared(),
        open: FuturesUnordered::new(),
        turned_away: FuturesUnordered::new(),
    };
    let drain = loop {
        let accepted = {
            let accept = listener.accept().fuse();
            pin_mut!(accept);
            select_biased! {
                drain = asked => break drain,
                _ = connections.open.select_next_some() => None,
                _ = connections.turned_away.select_next_some() => None,
                accepted = accept => Some(accepted),
            }
        };
        match accepted {
            None => {}
            Some(Ok(stream)) => connections.take(stream),
            Some(Err(error)) => {
                tracing::warn!(%error, "a connection could not be accepted");
                host.sleep(ACCEPT_RETRY).await;
            }
        }
    };
    drop(listener);
    drop(begin_drain);
    let Ok(Drain { deadline, done }) = drain else { return };
    let all_ended = async { while connections.open.next().await.is_some() {} };
    let left = deadline.saturating_since(host.now());
    let in_time = host.timeout(left, all_ended).await.is_ok();
    drop(connections);
    let _ = done.send(in_time);
}
