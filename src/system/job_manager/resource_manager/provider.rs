//! The way to whoever gives machines.

use super::{
    ResourceManager,
    core::{Effect, ResourceManagerCore},
};
use crate::{
    host::Instant,
    system::{
        ids::ResourceId,
        leadership::{LeaderSession, election_keys, latch_key},
        rpc::Context,
        sabotage,
        service::{
            coordination::{Coordination, CoordinationError},
            resource_provider::{
                ProviderError, ProviderRefusal, ProviderSession, ResourceProvider,
            },
        },
    },
};
use std::{future::Future, sync::Arc};

/// Attaches a term that holds its latch. A word of it that is long on its way comes to nothing once a later one has
/// attached.
async fn attach(
    coordination: Arc<dyn Coordination>,
    term: LeaderSession,
    provider: Arc<dyn ResourceProvider>,
) -> Result<(ProviderSession, Vec<ResourceId>), ProviderError> {
    let range = match coordination.read(&election_keys(&term.component)).await {
        Ok(range) => range,
        Err(CoordinationError::NotDone(error) | CoordinationError::Indeterminate(error)) => {
            return Err(ProviderError::NotDone(error));
        }
        Err(CoordinationError::Refused(refusal)) => unreachable!("a read is refused: {refusal}"),
    };
    let latch = range.get(&latch_key(&term.component));
    let held = latch.filter(|latch| latch.value == term.session.to_bytes());
    let Some(held) = held else {
        return Err(ProviderError::Refused(ProviderRefusal::Superseded));
    };
    let number = match coordination.host().sabotaged(sabotage::LATE_MANAGER_OBEYED) {
        true => 0,
        false => held.created.0,
    };
    let session = ProviderSession { number, term: term.session };
    Ok((session, provider.attach(session).await?))
}

impl ResourceManager {
    /// Makes a call of the provider, and lets the core decide on its answer.
    pub(super) fn ask_provider(&mut self, context: &mut Context<Self>, effect: Effect) {
        if effect == Effect::AttachProvider {
            return self.attach(context);
        }
        let provider = self.provider();
        let session = self.provider_session.expect("it has attached before it asks for more");
        match effect {
            Effect::RequestWorker(number, spec) => {
                let worker = spec.resource.clone();
                let ask = async move { provider.request_worker(session, number, spec).await };
                self.provided(context, ask, move |core, now, answer| {
                    core.on_worker_requested(now, &worker, answer);
                });
            }
            Effect::ReleaseWorker(worker) => {
                let of = worker.clone();
                let ask = async move { provider.release_worker(session, of).await };
                self.provided(context, ask, move |core, now, answer| {
                    core.on_worker_released(now, &worker, answer);
                });
            }
            Effect::ListWorkers(list) => {
                let ask = async move { provider.workers(session).await };
                self.provided(context, ask, move |core, now, found| {
                    core.on_workers_listed(now, list, found);
                });
            }
            other => unreachable!("{other:?} is nothing for a provider"),
        }
    }

    fn provider(&self) -> Arc<dyn ResourceProvider> {
        self.provider.clone().expect("who asks for workers has a provider")
    }

    fn attach(&self, context: &Context<Self>) {
        let attach = attach(self.coordination.clone(), self.term.clone(), self.provider());
        context.spawn_then(self.scope.wrap(attach), |manager, context, answer| {
            let Some(answer) = answer else { return };
            let found = answer.map(|(session, found)| {
                manager.provider_session = Some(session);
                found
            });
            manager.decide(context, |core, now| core.on_attached(now, found));
        });
    }

    fn provided<T: Send + 'static>(
        &self,
        context: &Context<Self>,
        ask: impl Future<Output = Result<T, ProviderError>> + Send + 'static,
        then: impl FnOnce(&mut ResourceManagerCore, Instant, Result<T, ProviderError>) + Send + 'static,
    ) {
        context.spawn_then(self.scope.wrap(ask), move |manager, context, answer| {
            if let Some(answer) = answer {
                manager.decide(context, |core, now| then(core, now, answer));
            }
        });
    }
}
