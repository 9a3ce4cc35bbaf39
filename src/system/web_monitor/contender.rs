//! A process's web monitor: its server, and its part in the election.

use super::{WebMonitorConfig, routes::router, view::ClusterView};
use crate::{
    host::{Host, NodeAddress},
    system::{
        http::HttpServer,
        leadership::{
            BegunProcess, CoordinationElectionDriver, LeaderAddress, LeaderProcess,
            LeaderProcessFactory, LeaderRunner, LeaderSessionId,
        },
        protocol::WEB_MONITOR,
        rpc::RpcService,
        service::coordination::{Coordination, Session},
    },
};
use futures::{
    FutureExt,
    future::{BoxFuture, pending},
};
use std::{io, sync::Arc, time::Duration};

/// How long who is being answered may take to take it, once the web monitor stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// A web monitor that serves, and competes for leadership. Dropping it ends the server at once.
pub struct WebMonitor {
    host: Host,
    server: HttpServer,
    runner: LeaderRunner,
}

/// Serving does not depend on leading, so there is nothing to begin or to end.
struct Term;

impl LeaderProcess for Term {
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

struct Terms(NodeAddress);

impl LeaderProcessFactory for Terms {
    fn start(&self, _: LeaderSessionId) -> BegunProcess {
        let address = LeaderAddress::Http(self.0.clone());
        let ready = async { Ok(address) }.boxed();
        BegunProcess { process: Box::new(Term), ready, failed: pending().boxed() }
    }
}

impl WebMonitor {
    /// Begins to serve, then to compete.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    pub async fn start(
        service: &RpcService,
        coordination: &Arc<dyn Coordination>,
        session: &Arc<Session>,
        config: WebMonitorConfig,
    ) -> io::Result<Self> {
        let (host, port, limits) = (service.host(), config.port, config.http.clone());
        let view = Arc::new(ClusterView::new(service, coordination, config));
        let server = HttpServer::start(host, port, limits, router(&view).into_handler()).await?;
        let terms = Arc::new(Terms(server.address().clone()));
        let runner = LeaderRunner::start(host, WEB_MONITOR, terms, |events| {
            CoordinationElectionDriver::start(WEB_MONITOR, coordination, session, events)
        });
        Ok(WebMonitor { host: host.clone(), server, runner })
    }

    /// Gives the leadership up, answers what is being answered, and serves no more.
    pub async fn stop(self) {
        self.runner.stop().await;
        self.server.drain(self.host.now() + DRAIN_TIMEOUT).await;
    }

    /// Where it serves.
    pub fn address(&self) -> &NodeAddress {
        self.server.address()
    }
}
