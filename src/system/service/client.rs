//! What the clients of all services have in common, whoever serves: how a call ends without a value, and
//! how it is made again.

use crate::{host::Host, system::rpc::RpcError};
use std::{future::Future, time::Duration};

/// Why a call on a service has no value; `R` says what the service refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError<R> {
    /// The service refused; nothing was done.
    #[error("refused: {0}")]
    Refused(R),
    /// The call did not reach the service; nothing was done.
    #[error("not done: {0}")]
    NotDone(RpcError),
    /// No answer: it was done, or it was not, or it will be.
    #[error("maybe done: {0}")]
    Indeterminate(RpcError),
}

/// A process's way to a service.
pub trait ServiceClient: Send + Sync + 'static {
    /// The host of the process: whoever waits between two tries of a call waits by its clock.
    fn host(&self) -> &Host;

    /// How long to wait after a failure before a call is made again.
    fn retry_delay(&self) -> Duration;
}

/// Repeats a call that may be repeated after each failure until the service answers.
///
/// # Errors
/// What the service refuses.
pub(super) async fn until_acknowledged<T, R, F>(
    client: &(impl ServiceClient + ?Sized),
    attempt: impl Fn() -> F,
) -> Result<T, R>
where
    F: Future<Output = Result<T, ServiceError<R>>>,
{
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(ServiceError::Refused(refusal)) => return Err(refusal),
            Err(ServiceError::NotDone(_) | ServiceError::Indeterminate(_)) => {
                client.host().sleep(client.retry_delay()).await;
            }
        }
    }
}
