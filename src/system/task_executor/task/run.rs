//! The life of one attempt: initializing, running, and just one terminal report.

use super::{
    environment::{TaskEnvironment, TaskStateUpdate},
    mailbox::Mailbox,
    meter::Meter,
    report::Reporter,
    restore::RestoredTask,
    stream_task::{Parts, StreamTask},
    upload::Uploads,
};
use crate::system::{
    dataflow::{OperatorContext, Scope},
    graph::{PARALLELISM_MAX, TaskDeployment},
    sabotage,
    task_executor::{
        TaskError, TaskEvent,
        error::{caught, guarded},
        exchange::{ChannelEnvironment, Inbox, RecordWriter, drive_channels},
    },
};
use futures::{FutureExt, pin_mut, select_biased};
use std::sync::Arc;

/// Runs an attempt to its terminal report.
pub async fn run(
    environment: TaskEnvironment,
    deployment: Arc<TaskDeployment>,
    mailbox: Arc<Mailbox>,
    meter: Arc<Meter>,
) {
    let reporter = Reporter {
        host: environment.host.clone(),
        attempt: deployment.attempt,
        responder: environment.responder.clone(),
        meter,
    };
    reporter.state(TaskStateUpdate::Initializing);
    // Everything of the attempt is dropped before its end is reported.
    let end = live(&environment, &deployment, &mailbox, &reporter).await;
    debug_assert!(end.is_terminal());
    reporter.state(end);
}

async fn live(
    environment: &TaskEnvironment,
    deployment: &TaskDeployment,
    mailbox: &Mailbox,
    reporter: &Reporter,
) -> TaskStateUpdate {
    let mut parts = match build(environment, deployment) {
        Ok(parts) => parts,
        Err(error) => return TaskStateUpdate::Failed(error.to_string()),
    };
    let ended = {
        let work = work(environment, deployment, &mut parts, mailbox, reporter).fuse();
        let canceled = mailbox.canceled().fuse();
        pin_mut!(work, canceled);
        select_biased! {
            () = canceled => TaskStateUpdate::Canceled,
            result = work => match result {
                Ok(()) => TaskStateUpdate::Finished,
                Err(error) => TaskStateUpdate::Failed(error.to_string()),
            },
        }
    };
    let closed = close(environment, &mut parts).await;
    match (ended, closed) {
        (TaskStateUpdate::Finished, Err(error)) => TaskStateUpdate::Failed(error),
        (TaskStateUpdate::Finished, Ok(())) => {
            parts.writer.keep();
            TaskStateUpdate::Finished
        }
        (ended, _) => ended,
    }
}

/// Closes all operators in time; the first error is told.
async fn close(environment: &TaskEnvironment, parts: &mut Parts) -> Result<(), String> {
    let TaskEnvironment { host, config, .. } = environment;
    let closing = async {
        let mut result = Ok(());
        let operators = parts.chain.managed();
        let unopened = operators.len() - parts.opened;
        for operator in operators.into_iter().skip(unopened) {
            result = result.and(guarded(operator.close()).await);
        }
        result
    };
    match host.timeout(config.close_timeout, closing).await {
        Ok(closed) => closed.map_err(|error| error.to_string()),
        Err(_) => Err("the operators did not close in time".to_string()),
    }
}

/// Makes the partitions known, so that consumers find them, and the operators.
fn build(environment: &TaskEnvironment, deployment: &TaskDeployment) -> Result<Parts, TaskError> {
    let TaskEnvironment { host, exchange, programs, config, .. } = environment;
    let (attempt, parallelism) = (deployment.attempt, deployment.parallelism);
    let (subtask, max_parallelism) = (attempt.vertex.subtask, deployment.max_parallelism);
    let sound = (1..=PARALLELISM_MAX).contains(&max_parallelism)
        && (1..=max_parallelism).contains(&parallelism)
        && subtask < parallelism
        && !deployment.operators.is_empty();
    if !sound {
        return Err(TaskError::Deployment("its numbers do not fit".to_string()));
    }
    // It refuses numbers with which a chain can't be made.
    let (produced, timeout) = (&deployment.produced, config.buffer_timeout);
    let writer = RecordWriter::new(host, exchange, attempt, produced, timeout)?;
    let uids: Vec<&str> = deployment.operators.iter().map(|spec| spec.uid.as_str()).collect();
    let outputs = produced.iter().map(|output| {
        let groups = output.consumer_max_parallelism.max(output.subpartitions);
        (output.subpartitions, groups.min(PARALLELISM_MAX))
    });
    let outputs: Vec<(u32, u32)> = outputs.collect();
    let chain = caught(|| {
        let plan = programs.plan(&deployment.program);
        let plan = plan.map_err(|error| TaskError::Deployment(error.to_string()))?;
        plan.chain(&uids, subtask, &outputs).map_err(TaskError::Deployment)
    })?;
    if chain.is_source() != deployment.inputs.is_empty() {
        return Err(TaskError::Deployment("a source reads nothing, all else does".to_string()));
    }
    let channels: Vec<usize> = outputs.iter().map(|(channels, _)| *channels as usize).collect();
    let mut scope = Scope::new(&channels);
    if writer.sends_at_once() {
        scope.send_at_once();
    }
    Ok(Parts { chain, scope, writer, opened: 0 })
}

/// Opens the operators with their state, the last one first, so that nothing is emitted to what is not open.
async fn open(
    environment: &TaskEnvironment,
    deployment: &TaskDeployment,
    parts: &mut Parts,
    mut restored: RestoredTask,
) -> Result<(), TaskError> {
    let Parts { chain, scope, opened, .. } = parts;
    for operator in chain.managed().into_iter().rev() {
        *opened += 1;
        let uid = operator.uid().to_string();
        let state = restored.state_of(&uid);
        let context = context(environment, deployment, uid);
        guarded(operator.open(&context, state)).await?;
    }
    restored.refuse_what_is_left()?;
    restored.emit_again(&mut **chain, scope)
}

fn context(
    environment: &TaskEnvironment,
    deployment: &TaskDeployment,
    uid: String,
) -> OperatorContext {
    OperatorContext {
        host: environment.host.clone(),
        services: environment.services.clone(),
        attempt: deployment.attempt,
        subtask: deployment.attempt.vertex.subtask,
        parallelism: deployment.parallelism,
        max_parallelism: deployment.max_parallelism,
        uid,
        restored: deployment.restore.as_ref().map(|restore| restore.checkpoint),
        savepoint: deployment.restore.as_ref().and_then(|restore| restore.savepoint),
        retained: deployment.retained,
        state_backend: deployment.state_backend,
        folders: environment.folders.clone(),
    }
}

/// Initializes and runs; channels and uploads go on beside the operators, also while those wait.
async fn work(
    environment: &TaskEnvironment,
    deployment: &TaskDeployment,
    parts: &mut Parts,
    mailbox: &Mailbox,
    reporter: &Reporter,
) -> Result<(), TaskError> {
    let objects = &*environment.services.objects;
    let restored = RestoredTask::read(objects, deployment.restore.as_ref()).await?;
    let overtakes = environment.host.sabotaged(sabotage::BUFFERS_OVERTAKE);
    let (inbox, uploads) = (Inbox::new(&deployment.inputs, overtakes), Uploads::default());
    let finished = restored.finished && !environment.host.sabotaged(sabotage::END_HANDLED_AGAIN);
    open(environment, deployment, parts, restored).await?;
    let checkpoint = deployment.restore.as_ref().map(|restore| restore.checkpoint);
    let attempt = deployment.attempt;
    environment.host.announce(&TaskEvent::Restored { attempt, checkpoint });

    let source = ChannelEnvironment {
        host: environment.host.clone(),
        exchange: environment.exchange.clone(),
        backoff: environment.config.partition_request,
    };
    let inputs = deployment.inputs.iter().flat_map(|gate| &gate.channels).cloned().collect();
    let channels = drive_channels(source, &inbox, inputs).fuse();
    let uploading = uploads.run(objects, reporter, deployment.state_backend).fuse();
    let tasks = async {
        inbox.all_connected().await;
        reporter.state(TaskStateUpdate::Running);
        let service_time = environment.config.service_time;
        StreamTask::new(reporter, mailbox, parts, &inbox, &uploads, checkpoint)
            .run(finished, service_time)
            .await
    }
    .fuse();
    pin_mut!(channels, uploading, tasks);
    select_biased! {
        // What came before the loss of a channel is not worth handling: the job restarts.
        lost = channels => Err(lost),
        () = uploading => Ok(()),
        result = tasks => result,
    }
}
