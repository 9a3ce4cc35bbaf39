//! A term's process that is one fenced endpoint.

use super::{
    BegunProcess, LeaderAddress, LeaderProcess, LeaderProcessFactory, LeaderSession,
    LeaderSessionId,
};
use crate::system::{
    rpc::{RpcAddress, RpcEndpoint, RpcServer, RpcService},
    sabotage,
};
use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, Either, pending, select},
};
use std::sync::{Arc, Mutex};

/// A recovered endpoint, and what it waits for once it runs before its term is confirmed.
pub struct Recovered<E> {
    /// The endpoint; it has not started.
    pub endpoint: E,
    /// Ready when the endpoint can serve; never, when the term can't be confirmed.
    pub serves: BoxFuture<'static, ()>,
}

impl<E> Recovered<E> {
    /// An endpoint that serves as soon as it runs.
    pub fn serving(endpoint: E) -> Self {
        Recovered { endpoint, serves: async {}.boxed() }
    }
}

/// Makes a recovered endpoint for a term. An error is fatal for the node.
pub type RecoverEndpoint<E> =
    Box<dyn Fn(LeaderSession) -> BoxFuture<'static, Result<Recovered<E>, String>> + Send + Sync>;

type OnServer<E> = Arc<dyn Fn(Option<&RpcServer<E>>) + Send + Sync>;

/// Makes one endpoint per term: recovered, hosted under the component's name with the term's token,
/// and confirmed when it serves. It ends with its term.
pub struct EndpointTerms<E: RpcEndpoint> {
    service: RpcService,
    component: String,
    recover: RecoverEndpoint<E>,
    /// Sees each endpoint that was started, and `None` when it is told to end.
    on_server: OnServer<E>,
}

impl<E: RpcEndpoint> EndpointTerms<E> {
    /// The endpoints of `component` on this service.
    pub fn new(service: &RpcService, component: &str, recover: RecoverEndpoint<E>) -> Self {
        EndpointTerms {
            service: service.clone(),
            component: component.to_string(),
            recover,
            on_server: Arc::new(|_| {}),
        }
    }

    /// Tells `on_server` of each endpoint that was started, and of its end.
    pub fn watched(
        self,
        on_server: impl Fn(Option<&RpcServer<E>>) + Send + Sync + 'static,
    ) -> Self {
        EndpointTerms { on_server: Arc::new(on_server), ..self }
    }
}

/// How far a term's process has come.
enum Progress<E: RpcEndpoint> {
    Recovering,
    Serving(RpcServer<E>),
    Stopped,
}

struct Term<E: RpcEndpoint> {
    /// Dropped to end a recovery that is under way.
    recovery: oneshot::Sender<()>,
    progress: Arc<Mutex<Progress<E>>>,
    on_server: OnServer<E>,
}

impl<E: RpcEndpoint> LeaderProcessFactory for EndpointTerms<E> {
    fn start(&self, session: LeaderSessionId) -> BegunProcess {
        let progress = Arc::new(Mutex::new(Progress::Recovering));
        let (recovery, stopped) = oneshot::channel();
        let (serving, served) = oneshot::channel();
        let term = LeaderSession { component: self.component.clone(), session };
        let recovered = (self.recover)(term.clone());
        let (service, slot) = (self.service.clone(), progress.clone());
        let on_server = self.on_server.clone();
        let ready = async move {
            // The stop first: an error that comes together with it concerns nobody.
            let recovered = match select(stopped, recovered).await {
                Either::Left((_, recovered))
                    if service.host().sabotaged(sabotage::RECOVERED_AFTER_THE_TERM) =>
                {
                    let recovered = recovered.await?;
                    *slot.lock().expect("no panic under this lock") = Progress::Recovering;
                    recovered
                }
                Either::Left(_) => return pending().await,
                Either::Right((recovered, _)) => recovered?,
            };
            let address = match serve(&service, recovered.endpoint, &term, &slot, &*on_server)? {
                Some((address, termination)) => {
                    // Nobody waits for it where the process ends.
                    let _ = serving.send(termination);
                    address
                }
                None => return pending().await,
            };
            recovered.serves.await;
            Ok(LeaderAddress::Rpc(address))
        };
        let (component, slot) = (self.component.clone(), progress.clone());
        let failed = async move {
            let Ok(termination) = served.await else { return pending().await };
            let ended = termination.await;
            let stopped =
                matches!(*slot.lock().expect("no panic under this lock"), Progress::Stopped);
            match ended {
                _ if stopped => pending().await,
                Ok(()) => format!("{component} has ended by itself"),
                Err(error) => format!("{component} has ended by itself: {error}"),
            }
        };
        let on_server = self.on_server.clone();
        let process = Box::new(Term { recovery, progress, on_server });
        BegunProcess { process, ready: ready.boxed(), failed: failed.boxed() }
    }
}

/// An endpoint's address and its end.
type Served = (RpcAddress, BoxFuture<'static, Result<(), String>>);

/// Starts the term's endpoint; `None` when the term was stopped before.
fn serve<E: RpcEndpoint>(
    service: &RpcService,
    endpoint: E,
    term: &LeaderSession,
    progress: &Mutex<Progress<E>>,
    on_server: &(dyn Fn(Option<&RpcServer<E>>) + Send + Sync),
) -> Result<Option<Served>, String> {
    let mut progress = progress.lock().expect("no panic under this lock");
    if matches!(*progress, Progress::Stopped) {
        return Ok(None);
    }
    let token = term.session.token();
    let server = service.start_permanently_fenced_server(&term.component, endpoint, token);
    let server = server.map_err(|error| error.to_string())?;
    server.start();
    on_server(Some(&server));
    let served = (server.address().clone(), server.termination().boxed());
    *progress = Progress::Serving(server);
    Ok(Some(served))
}

impl<E: RpcEndpoint> LeaderProcess for Term<E> {
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        drop(self.recovery);
        let mut progress = self.progress.lock().expect("no panic under this lock");
        let reached = std::mem::replace(&mut *progress, Progress::Stopped);
        // Under the lock: an endpoint that starts at this moment is told of before or not at all.
        (self.on_server)(None);
        drop(progress);
        async move {
            if let Progress::Serving(server) = reached {
                server.terminate();
                // Its term is over; how it ended matters to nobody now.
                let _ = server.termination().await;
            }
        }
        .boxed()
    }
}
