//! The process of a job manager.

use super::{
    Dispatcher, DispatcherServices, JobManagerConfig, JobMasterServices, OperatorCheck,
    ResourceManager,
};
use crate::{
    host::NodeAddress,
    system::{
        leadership::{CoordinationElectionDriver, EndpointTerms, LeaderRunner, Recovered},
        protocol::{DISPATCHER, RESOURCE_MANAGER},
        rpc::{RpcEndpoint, RpcService},
        service::{
            Services,
            coordination::{Coordination, Session},
        },
        web_monitor::{WebMonitor, WebMonitorConfig},
    },
};
use futures::{FutureExt, future::pending};
use std::sync::Arc;

/// Competes for the dispatcher, for the resource manager and for the web monitor, for as long as the process lives.
/// Tells where the web monitor listens as soon as it does.
pub async fn serve_job_manager(
    service: RpcService,
    services: Services,
    config: JobManagerConfig,
    web: WebMonitorConfig,
    check: OperatorCheck,
    web_monitor_listens: impl FnOnce(&NodeAddress),
) {
    let Services { coordination: client, objects, log } = services;
    let session = Arc::new(Session::open(&client));
    let web_monitor = match WebMonitor::start(&service, &client, &session, web).await {
        Ok(web_monitor) => web_monitor,
        Err(error) => return service.host().exit(&format!("web monitor: {error}")),
    };
    web_monitor_listens(web_monitor.address());
    let config = Arc::new(config);
    let services = DispatcherServices {
        masters: JobMasterServices {
            config: config.clone(),
            coordination: client.clone(),
            objects,
        },
        log,
        session: session.clone(),
        check,
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
    let managed = client.clone();
    let managers = EndpointTerms::new(
        &service,
        RESOURCE_MANAGER,
        Box::new(move |term| {
            let manager = ResourceManager::new(config.clone(), managed.clone(), term);
            async { Ok(Recovered::serving(manager)) }.boxed()
        }),
    );
    let _dispatcher = compete(&service, DISPATCHER, dispatchers, &client, &session);
    let _manager = compete(&service, RESOURCE_MANAGER, managers, &client, &session);
    pending().await
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
