//! The way to whoever gives machines.

use super::{
    ResourceManager,
    core::{Effect, ResourceManagerCore},
};
use crate::{
    host::Instant,
    system::{
        rpc::Context,
        service::resource_provider::{ProviderError, ProviderSession},
    },
};
use std::future::Future;

impl ResourceManager {
    /// Makes a call of the provider, and lets the core decide on its answer.
    pub(super) fn ask_provider(&mut self, context: &mut Context<Self>, effect: Effect) {
        let provider = self.provider.clone().expect("who asks for workers has a provider");
        let session = ProviderSession(self.term.session.0);
        match effect {
            Effect::AttachProvider => {
                let ask = async move { provider.attach(session).await };
                self.provided(context, ask, |core, now, found| core.on_attached(now, found));
            }
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
