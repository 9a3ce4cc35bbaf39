//! The process of a job manager.

use super::{
    Dispatcher, DispatcherServices, JobEvent, JobManagerConfig, JobMasterServices, ResourceManager,
    RunMode,
    operator_check::{OperatorCheck, check_job},
};
use crate::{
    host::NodeAddress,
    system::{
        leadership::{CoordinationElectionDriver, EndpointTerms, LeaderRunner, Recovered},
        protocol::{ApplicationStatus, DISPATCHER, RESOURCE_MANAGER},
        rpc::{RpcEndpoint, RpcService},
        service::{
            Services,
            coordination::{Coordination, Session},
            resource_provider::ResourceProvider,
        },
        watch::WatchSender,
        web_monitor::{WebMonitor, WebMonitorConfig},
    },
};
use futures::{
    FutureExt,
    future::{Either, select},
};
use std::{future::Future, pin::pin, sync::Arc, time::Duration};

/// A provider of machines that does not answer for so long holds the end of a cluster up no longer.
const DEREGISTER_MAX: Duration = Duration::from_secs(60);

/// What a job manager is told when it starts.
pub struct JobManagerSettings {
    /// How its components behave.
    pub config: JobManagerConfig,
    /// How its web monitor does.
    pub web_monitor: WebMonitorConfig,
    /// What the cluster is there for.
    pub mode: RunMode,
    /// Who gives the cluster machines; `None` of a standalone one.
    pub provider: Option<Arc<dyn ResourceProvider>>,
    /// Knows the registered operators.
    pub check: OperatorCheck,
}

/// Competes for the dispatcher, for the resource manager and for the web monitor until the cluster has done what it
/// is there for, which a session cluster never has, or until `told_to_end`: whoever stands by leads at once then. Tells
/// where the web monitor listens as soon as it does. Answers what the cluster came to when nothing of the job manager
/// runs any more; `None` when it could not begin, or was told to end.
pub async fn serve_job_manager(
    service: RpcService,
    services: Services,
    settings: JobManagerSettings,
    web_monitor_listens: impl FnOnce(&NodeAddress),
    told_to_end: impl Future<Output = ()>,
) -> Option<ApplicationStatus> {
    let JobManagerSettings { config, web_monitor: web, mode, provider, check } = settings;
    if let RunMode::PerJob(job) = &mode
        && let Err(refusal) = check_job(job, &check)
    {
        service.host().exit(&format!("the job of this cluster is refused: {refusal}"));
        return None;
    }
    let Services { coordination: client, objects, log, databases } = services;
    let session = Arc::new(Session::open(&client));
    let web_monitor = match WebMonitor::start(&service, &client, &session, web).await {
        Ok(web_monitor) => web_monitor,
        Err(error) => {
            service.host().exit(&format!("web monitor: {error}"));
            return None;
        }
    };
    web_monitor_listens(web_monitor.address());
    let config = Arc::new(config);
    let outcome = Arc::new(WatchSender::new(None));
    let services = DispatcherServices {
        masters: JobMasterServices {
            config: config.clone(),
            coordination: client.clone(),
            objects,
            check,
        },
        log,
        databases,
        session: session.clone(),
        mode,
        outcome: outcome.clone(),
    };
    let dispatchers = EndpointTerms::new(
        &service,
        DISPATCHER,
        Box::new(move |term| {
            let recovered = Dispatcher::recover(services.clone(), term);
            async { recovered.await.map(Recovered::serving).map_err(|error| error.to_string()) }
                .boxed()
        }),
    );
    let (managed, provided) = (client.clone(), provider.clone());
    let managers = EndpointTerms::new(
        &service,
        RESOURCE_MANAGER,
        Box::new(move |term| {
            let provider = provided.clone();
            let manager = ResourceManager::new(config.clone(), managed.clone(), provider, term);
            async { Ok(Recovered::serving(manager)) }.boxed()
        }),
    );
    let dispatcher = compete(&service, DISPATCHER, dispatchers, &client, &session);
    let manager = compete(&service, RESOURCE_MANAGER, managers, &client, &session);
    let mut told_to_end = pin!(told_to_end);
    let status = match select(pin!(until_told(&outcome)), &mut told_to_end).await {
        Either::Left((status, _)) => Some(status),
        Either::Right(((), _)) => None,
    };
    if let (Some(provider), Some(status)) = (provider, status) {
        let status = status.to_string();
        let told = provider.deregister_until_acknowledged(&status);
        // A provider that has gone takes its machines along.
        let told = service.host().timeout(DEREGISTER_MAX, told);
        let _ = select(pin!(told), told_to_end).await;
    }
    // Whoever stood by leads next, finds the same and ends too.
    dispatcher.stop().await;
    manager.stop().await;
    web_monitor.stop().await;
    session.close().await;
    service.stop().await;
    if let Some(status) = status {
        service.host().announce(&JobEvent::JobManagerEnded { status });
    }
    status
}

async fn until_told<T: Clone + PartialEq>(watched: &WatchSender<Option<T>>) -> T {
    let mut observed = watched.observe();
    loop {
        if let Some(told) = observed.changed().await {
            return told;
        }
    }
}

fn compete<E: RpcEndpoint>(
    service: &RpcService,
    component: &str,
    terms: EndpointTerms<E>,
    client: &Arc<dyn Coordination>,
    session: &Arc<Session>,
) -> LeaderRunner {
    LeaderRunner::start(service.host(), component, Arc::new(terms), |events| {
        CoordinationElectionDriver::start(component, client, session, events)
    })
}
