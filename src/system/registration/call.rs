//! The calls of a registration, from both sides.

use super::{
    attempt::{Outcome, Registration, Step},
    config::RegistrationConfig,
};
use crate::{
    host::Host,
    system::{
        leadership::LeaderInformation,
        protocol::{RegistrationRefusal, TaskExecutorGateway, TaskExecutorInfo},
        rpc::{Ask, Gateway, RpcError, RpcService},
        sabotage,
    },
};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Connects to the leader and registers, one try at a time.
///
/// `call` makes one try; it should carry a number that grows with each. Ends only with an answer;
/// drop the future to give it up.
///
/// # Errors
/// The leader's words when it rejected the registration for good.
pub async fn register<G: Gateway, T: DeserializeOwned>(
    service: &RpcService,
    leader: &LeaderInformation,
    config: RegistrationConfig,
    mut call: impl FnMut(&G) -> Ask<Result<T, RegistrationRefusal>>,
) -> Result<(G, T), String> {
    let host = service.host();
    let mut registration = Registration::new(config);
    let (mut way, mut step) = (None::<G>, Step::Connect);
    loop {
        let outcome = match step {
            Step::Connect => {
                way = leader.connect(service).await.ok();
                if way.is_some() { Outcome::Connected } else { Outcome::Failed }
            }
            Step::Wait(pause) => {
                host.sleep(pause).await;
                Outcome::Waited
            }
            Step::Call(timeout) => {
                let gateway = way.as_ref().expect("who calls is connected");
                match call(&gateway.with_timeout(timeout)).await {
                    Ok(Ok(answer)) => {
                        let (tries, gateway) = (registration.tries(), gateway.clone());
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
                        Outcome::Refused
                    }
                    Err(RpcError::Timeout)
                        if !host.sabotaged(sabotage::TIMEOUT_TAKEN_FOR_ERROR) =>
                    {
                        Outcome::TimedOut
                    }
                    Err(_) => Outcome::Failed,
                }
            }
        };
        step = registration.on(outcome);
    }
}

/// Asks again and again, with a pause between, until there is an answer; drop the future to give up.
pub async fn until_answered<T: DeserializeOwned>(
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
