//! Registration at a leader, tried until it succeeds or is rejected.

use super::{
    leadership::LeaderInformation,
    protocol::{RegistrationRefusal, TaskExecutorGateway, TaskExecutorInfo},
    rpc::{Ask, Gateway, RpcError, RpcService},
};
use crate::host::Host;
use std::time::Duration;

/// How a registration is tried. Times are read on the clock of the node that registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// How long the first try waits for its answer; each time-out doubles it. 200 ms.
    pub timeout: Duration,
    /// The longest that a try waits; 5 s.
    pub timeout_max: Duration,
    /// The pause after an error; 500 ms.
    pub error_delay: Duration,
    /// The pause after a refusal; 500 ms.
    pub refused_delay: Duration,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        RegistrationConfig {
            timeout: Duration::from_millis(200),
            timeout_max: Duration::from_secs(5),
            error_delay: Duration::from_millis(500),
            refused_delay: Duration::from_millis(500),
        }
    }
}

/// Connects to the leader and registers, one try at a time.
///
/// `call` makes one try; it should carry a number that grows with each. Ends only with an answer;
/// drop the future to give it up.
///
/// # Errors
/// The leader's words when it rejected the registration for good.
pub async fn register<G: Gateway, T>(
    service: &RpcService,
    leader: &LeaderInformation,
    config: RegistrationConfig,
    mut call: impl FnMut(&G) -> Ask<Result<T, RegistrationRefusal>>,
) -> Result<(G, T), String>
where
    T: serde::de::DeserializeOwned,
{
    let host = service.host().clone();
    let mut timeout = config.timeout;
    let mut connected: Option<G> = None;
    let mut tries: u32 = 0;
    loop {
        let gateway = match connected.take() {
            Some(gateway) => gateway,
            None => match connect(service, leader).await {
                Ok(gateway) => gateway,
                Err(_) => {
                    host.sleep(config.error_delay).await;
                    continue;
                }
            },
        };
        tries += 1;
        match call(&gateway.with_timeout(timeout)).await {
            Ok(Ok(answer)) => {
                crate::sometimes!(
                    host,
                    "registration-succeeds-at-a-later-try",
                    tries > 1,
                    "try {tries}"
                );
                return Ok((gateway, answer));
            }
            Ok(Err(RegistrationRefusal::Rejected(why))) => return Err(why),
            Ok(Err(RegistrationRefusal::Failure(why))) => {
                tracing::debug!(why, address = %leader.address, "registration refused");
                timeout = config.timeout;
                connected = Some(gateway);
                host.sleep(config.refused_delay).await;
            }
            Err(RpcError::Timeout) => {
                timeout = (timeout * 2).min(config.timeout_max);
                connected = Some(gateway);
            }
            Err(_) => host.sleep(config.error_delay).await,
        }
    }
}

/// Asks again and again, with a pause between, until there is an answer; drop the future to give up.
pub async fn until_answered<T: serde::de::DeserializeOwned>(
    host: &Host,
    pause: Duration,
    mut ask: impl FnMut() -> Ask<T>,
) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(_) => host.sleep(pause).await,
        }
    }
}

async fn connect<G: Gateway>(
    service: &RpcService,
    leader: &LeaderInformation,
) -> Result<G, RpcError> {
    service.connect_fenced(&leader.address, leader.session.token()).await
}

/// Connects back to a task executor that introduced itself, and makes sure that it is that life of it.
///
/// # Errors
/// Nobody answers in time, or another life of it does.
pub async fn connect_back(
    service: &RpcService,
    executor: &TaskExecutorInfo,
    timeout: Duration,
) -> Result<TaskExecutorGateway, RpcError> {
    let gateway: TaskExecutorGateway = service.connect(&executor.address).await?;
    let gateway = gateway.with_timeout(timeout);
    match gateway.session().await? {
        found if found == executor.session => Ok(gateway),
        found => Err(RpcError::Application(format!("{found:?} runs there"))),
    }
}
