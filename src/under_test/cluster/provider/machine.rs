//! A machine of a simulated provider.

use super::{MACHINES, MachineBeat, MachinesGateway};
use crate::{
    host::{Host, NodeAddress},
    system::{
        cluster::{ClusterConfig, bind_with, serve_tasks},
        dataflow::Programs,
        rpc::{Gateway, RpcAddress, RpcError, RpcService},
        service::resource_provider::WorkerSpec,
    },
};
use std::time::Duration;

/// From beat to beat.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a beat waits for its answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Runs what the provider wants to run on it; its process ends when that is to run no more.
pub async fn run_machine_node(
    host: Host,
    (port, data): (u16, u16),
    provider: NodeAddress,
    config: ClusterConfig,
    programs: Programs,
) {
    let Some(service) = bind_with(&host, port, &config.rpc).await else { return };
    let provider = RpcAddress::new(provider, MACHINES);
    let mut beat =
        MachineBeat { machine: host.name().to_string(), life: host.random_u128(), running: None };
    let mut way = None::<MachinesGateway>;
    loop {
        match told(&service, &provider, &mut way, &beat).await {
            Ok(Some(worker)) if beat.running.is_none() => {
                beat.running = Some(worker.resource.clone());
                let (service, config, programs) =
                    (service.clone(), as_worker(&config, worker), programs.clone());
                host.spawn(async move { serve_tasks(service, data, config, &programs).await });
            }
            Ok(worker)
                if worker.as_ref().map(|worker| &worker.resource) == beat.running.as_ref() => {}
            Ok(_) => return host.exit("its task executor was given back"),
            Err(_) => way = None,
        }
        host.sleep(PAUSE).await;
    }
}

fn as_worker(config: &ClusterConfig, worker: WorkerSpec) -> ClusterConfig {
    let mut config = config.clone();
    config.task_executor.resource = Some(worker.resource);
    config.task_executor.slots = worker.slots;
    config
}

async fn told(
    service: &RpcService,
    provider: &RpcAddress,
    way: &mut Option<MachinesGateway>,
    beat: &MachineBeat,
) -> Result<Option<WorkerSpec>, RpcError> {
    if way.is_none() {
        let connect = service.connect::<MachinesGateway>(provider);
        let connected = service.host().timeout(TIMEOUT, connect).await;
        *way = Some(connected.map_err(|_| RpcError::Timeout)??.with_timeout(TIMEOUT));
    }
    way.as_ref().expect("it is connected").beat(beat.clone()).await
}
