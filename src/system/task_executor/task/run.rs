//! The life of one attempt: initializing, running, and just one terminal report.

use super::{
    environment::{TaskEnvironment, TaskStateUpdate},
    mailbox::Mailbox,
    report::Reporter,
    stream_task::StreamTask,
    upload::Uploads,
};
use crate::{
    host::Host,
    system::{
        graph::{KeyGroupRange, PARALLELISM_MAX, TaskDeployment, TaskState},
        task_executor::{
            KeyedState, OperatorContext, TaskError, TaskEvent,
            exchange::{ChannelEnvironment, Inbox, RecordWriter, drive_channels},
            operator::OperatorChain,
        },
    },
};
use futures::{FutureExt, pin_mut, select_biased};
use std::sync::Arc;

/// Runs an attempt to its terminal report.
pub async fn run(
    environment: TaskEnvironment,
    deployment: Arc<TaskDeployment>,
    mailbox: Arc<Mailbox>,
) {
    let reporter = Reporter {
        host: environment.host.clone(),
        attempt: deployment.attempt,
        responder: environment.responder.clone(),
    };
    reporter.state(TaskStateUpdate::Initializing);
    // Everything of the attempt is dropped before its end is reported.
    let end = live(&environment, &deployment, &mailbox, &reporter).await;
    debug_assert!(end.is_terminal());
    reporter.state(end);
}

/// The parts of an attempt; dropped as one, the writer releasing the partitions.
struct Parts {
    chain: OperatorChain,
    writer: RecordWriter,
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
    let closed = close(&environment.host, environment.config.close_timeout, &mut parts.chain).await;
    match (ended, closed) {
        (TaskStateUpdate::Finished, Err(error)) => TaskStateUpdate::Failed(error),
        (TaskStateUpdate::Finished, Ok(())) => {
            parts.writer.keep();
            TaskStateUpdate::Finished
        }
        (ended, _) => ended,
    }
}

async fn close(
    host: &Host,
    most: std::time::Duration,
    chain: &mut OperatorChain,
) -> Result<(), String> {
    match host.timeout(most, chain.close()).await {
        Ok(closed) => closed.map_err(|error| error.to_string()),
        Err(_) => Err("the operators did not close in time".to_string()),
    }
}

/// Makes the partitions known, so that consumers find them, and the operators.
fn build(environment: &TaskEnvironment, deployment: &TaskDeployment) -> Result<Parts, TaskError> {
    let TaskEnvironment { host, exchange, registry, config, .. } = environment;
    let (attempt, parallelism) = (deployment.attempt, deployment.parallelism);
    let (subtask, max_parallelism) = (attempt.vertex.subtask, deployment.max_parallelism);
    let sound = (1..=PARALLELISM_MAX).contains(&max_parallelism)
        && (1..=max_parallelism).contains(&parallelism)
        && subtask < parallelism
        && !deployment.operators.is_empty();
    if !sound {
        return Err(TaskError::Deployment("its numbers do not fit".to_string()));
    }
    let owned = KeyGroupRange::of_subtask(subtask, parallelism, max_parallelism);
    let context = |uid: &str| OperatorContext {
        host: host.clone(),
        attempt,
        subtask,
        parallelism,
        max_parallelism,
        uid: uid.to_string(),
        restored: deployment.restore.as_ref().map(|restore| restore.checkpoint),
        keyed: KeyedState::new(owned, max_parallelism),
    };
    let (source, operators) = match deployment.operators.split_first() {
        Some((head, rest)) if deployment.inputs.is_empty() => {
            (Some((registry.make_source(head)?, context(&head.uid))), rest)
        }
        _ => (None, &deployment.operators[..]),
    };
    let mut chain = OperatorChain::new(source);
    for spec in operators {
        chain.add(registry.make_operator(spec)?, context(&spec.uid));
    }
    let (produced, timeout) = (&deployment.produced, config.buffer_timeout);
    let writer = RecordWriter::new(host, exchange, registry, attempt, produced, timeout)?;
    Ok(Parts { chain, writer })
}

/// Initializes and runs; channels and uploads go on beside the operators, also while those wait.
async fn work(
    environment: &TaskEnvironment,
    deployment: &TaskDeployment,
    parts: &mut Parts,
    mailbox: &Mailbox,
    reporter: &Reporter,
) -> Result<(), TaskError> {
    let restored = restore(environment, deployment).await?;
    let (inbox, uploads) = (Inbox::new(&deployment.inputs), Uploads::default());
    let finished = restored.as_ref().is_some_and(|state| state.finished);
    parts.chain.open(restored).await?;
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
    let uploading = uploads.run(&*environment.objects, reporter).fuse();
    let tasks = async {
        inbox.all_connected().await;
        reporter.state(TaskStateUpdate::Running);
        let Parts { chain, writer } = parts;
        let service_time = environment.config.service_time;
        StreamTask::new(reporter, mailbox, chain, writer, &inbox, &uploads, checkpoint)
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

async fn restore(
    environment: &TaskEnvironment,
    deployment: &TaskDeployment,
) -> Result<Option<TaskState>, TaskError> {
    let Some(restore) = &deployment.restore else { return Ok(None) };
    let object = &restore.state.object;
    let bytes = environment.objects.get_until_acknowledged(object).await;
    let bytes = bytes.map_err(|refusal| TaskError::Restore(format!("{object}: {refusal}")))?;
    if bytes.len() as u64 != restore.state.length {
        let text = format!("{} bytes where {} were written", bytes.len(), restore.state.length);
        return Err(TaskError::Restore(text));
    }
    let state = postcard::from_bytes(&bytes);
    state.map(Some).map_err(|error| TaskError::Restore(error.to_string()))
}
