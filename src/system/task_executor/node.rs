//! The process of a task executor.

use super::{ShuffleEnvironment, TaskExecutor, TaskExecutorConfig, TaskExecutorServices};
use crate::system::{
    dataflow::Programs,
    ids::{ResourceId, TaskExecutorSession},
    protocol::{TASK_EXECUTOR, TaskExecutorInfo},
    rpc::{RpcAddress, RpcService},
    service::Services,
};
use std::sync::Arc;

/// Runs a task executor, until it can't go on.
pub async fn serve_task_executor(
    service: RpcService,
    data_port: u16,
    services: Services,
    config: TaskExecutorConfig,
    programs: Programs,
) {
    let host = service.host().clone();
    let exchange = match ShuffleEnvironment::start(&host, data_port).await {
        Ok(exchange) => exchange,
        Err(error) => return host.exit(&format!("task executor: {error}")),
    };
    let info = TaskExecutorInfo {
        resource: config.resource.clone().unwrap_or(ResourceId(host.name().to_string())),
        session: TaskExecutorSession(host.random_u128()),
        address: RpcAddress::new(service.address().clone(), TASK_EXECUTOR),
        data: exchange.address().clone(),
    };
    let services = TaskExecutorServices { config: Arc::new(config), services, programs, exchange };
    let server = service.start_server(TASK_EXECUTOR, TaskExecutor::new(services, info));
    let server = match server {
        Ok(server) => server,
        Err(error) => return host.exit(&format!("task executor: {error}")),
    };
    server.start();
    let end = server.termination().await;
    host.exit(&format!("task executor: {}", end.err().unwrap_or_default()));
}
