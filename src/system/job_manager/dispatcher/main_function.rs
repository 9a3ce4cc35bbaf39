//! The main function of a program, executed beside the dispatcher of one term.

use super::{Dispatcher, core::Execution};
use crate::system::{
    graph::JobGraph,
    job_manager::{ApplicationError, RunMode, operator_check::check_job},
    protocol::JobResult,
    rpc::Context,
    service::Services,
};
use futures::{FutureExt, channel::oneshot};
use std::sync::Arc;

impl Dispatcher {
    /// Executes the program's main function until it ends or the term does.
    pub(super) fn run_main(&mut self, context: &mut Context<Self>) {
        let RunMode::Application(application) = self.services.mode.clone() else {
            unreachable!("a cluster without a program executes none");
        };
        let masters = &self.services.masters;
        let services = Services {
            coordination: masters.coordination.clone(),
            objects: masters.objects.clone(),
            log: self.services.log.clone(),
            databases: self.services.databases.clone(),
        };
        let executor = context.executor();
        let execute = Arc::new(move |job: JobGraph| {
            let begun = executor.call(|dispatcher, context| dispatcher.execute(context, job));
            async move {
                let ended = begun.await.map_err(|_| ApplicationError::Stopping)?;
                ended.await.unwrap_or(Err(ApplicationError::Stopping))
            }
            .boxed()
        });
        let main = self.scope.wrap(application.run(services, execute));
        context.spawn_then(main, |dispatcher, context, ended| {
            if let Some(ended) = ended {
                dispatcher.decide(context, |core, _| core.on_main_ended(&ended));
            }
        });
    }

    /// Takes the program's job on; the receiver is told what becomes of it.
    fn execute(
        &mut self,
        context: &mut Context<Self>,
        job: JobGraph,
    ) -> oneshot::Receiver<Result<JobResult, ApplicationError>> {
        let (told, ended) = oneshot::channel();
        self.executing = Some(told);
        let check = self.services.masters.check.clone();
        let taken =
            self.decide(context, |core, _| core.on_execute(job, |job| check_job(job, &check)));
        match taken {
            Ok(Execution::Waits) => {}
            Ok(Execution::Ended(result)) => self.answer_execution(Ok(result)),
            Err(refusal) => self.answer_execution(Err(refusal.into())),
        }
        ended
    }

    pub(super) fn answer_execution(&mut self, ended: Result<JobResult, ApplicationError>) {
        if let Some(waiting) = self.executing.take() {
            // The program may have given up waiting.
            let _ = waiting.send(ended);
        }
    }
}
