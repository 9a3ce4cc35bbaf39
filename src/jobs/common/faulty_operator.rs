//! Functions of a user that fail, panic, can't handle a record, or are slow.

use crate::system::{
    graph::OperatorState,
    ids::{CheckpointId, JobId},
    task_executor::{Operator, OperatorContext, OperatorRegistry, Output, Record, TaskError},
};
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

/// The registered name of the operator that fails on purpose.
pub const FAULTY: &str = "faulty";
/// The line that no attempt can handle.
pub const POISON: &str = "a poisoned record";

/// What is wrong with a job's functions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureInjection {
    /// A subtask fails at this line, counted in each attempt from its begin, restored or not.
    pub fail_at: Option<u64>,
    /// The same by a panic.
    pub panic_at: Option<u64>,
    /// So many attempts of the job fail in these ways; later ones don't.
    pub times: u32,
    /// Each attempt that meets [`POISON`] fails.
    pub poison: bool,
    /// One subtask is slow.
    pub slow: Option<SlowSubtask>,
}

/// A subtask that is slower than the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowSubtask {
    /// One of those that count; of those that split otherwise.
    pub counts: bool,
    /// Which of them.
    pub subtask: u32,
    /// What each record takes more.
    pub by: Duration,
}

impl FailureInjection {
    /// The part that is in front of the splitting of lines.
    pub fn of_splitting(&self) -> Option<FailureInjection> {
        let slow = self.slow.filter(|slow| !slow.counts);
        let part = FailureInjection { slow, ..self.clone() };
        let fails = part.fail_at.is_some() || part.panic_at.is_some() || part.poison;
        (fails || part.slow.is_some()).then_some(part)
    }

    /// The part that is in front of the counting of words.
    pub fn of_counting(&self) -> Option<FailureInjection> {
        let slow = self.slow.filter(|slow| slow.counts)?;
        Some(FailureInjection { slow: Some(slow), ..FailureInjection::default() })
    }
}

/// The epochs of the attempts in which a function failed, over all nodes that share this value. It
/// stands for the outside world on which a function depends, which no restart of the job undoes.
#[derive(Clone, Debug, Default)]
pub struct FailedAttempts(Arc<Mutex<BTreeSet<(JobId, u64)>>>);

impl FailedAttempts {
    /// Whether an attempt of a job fails when at most so many of that job do.
    fn fails(&self, job: JobId, epoch: u64, most: u32) -> bool {
        let mut failed = self.0.lock().expect("no panic under this lock");
        if failed.iter().filter(|(of, _)| *of == job).count() < most as usize {
            failed.insert((job, epoch));
        }
        failed.contains(&(job, epoch))
    }
}

/// Registers the operator.
pub fn register_faulty(registry: OperatorRegistry, failed: &FailedAttempts) -> OperatorRegistry {
    let failed = failed.clone();
    registry.operator(FAULTY, move |parameters| {
        let failures: FailureInjection =
            postcard::from_bytes(parameters).map_err(|error| TaskError::User(error.to_string()))?;
        let failed = failed.clone();
        Ok(Box::new(FaultyOperator { failures, failed, context: None, records: 0 }))
    })
}

/// Hands on what it is given, until it fails.
struct FaultyOperator {
    failures: FailureInjection,
    failed: FailedAttempts,
    context: Option<OperatorContext>,
    /// In this attempt.
    records: u64,
}

impl FaultyOperator {
    async fn hand_on(&mut self, record: Record, output: &mut Output) -> Result<(), TaskError> {
        let FaultyOperator { failures, failed, context, records } = self;
        let context =
            context.as_ref().ok_or_else(|| TaskError::User("it is not open".to_string()))?;
        *records += 1;
        let at = Some(*records);
        if failures.poison && record.0 == POISON.as_bytes() {
            return Err(TaskError::User("the record is poisoned".to_string()));
        }
        let due = at == failures.fail_at || at == failures.panic_at;
        if due && failed.fails(context.attempt.job, context.attempt.epoch, failures.times) {
            assert!(at != failures.panic_at, "the function panics at record {records}");
            return Err(TaskError::User(format!("the function fails at record {records}")));
        }
        if let Some(slow) = failures.slow.filter(|slow| slow.subtask == context.subtask) {
            context.host.sleep(slow.by).await;
        }
        output.emit(record).await
    }
}

impl Operator for FaultyOperator {
    fn open(
        &mut self,
        context: OperatorContext,
        _: Option<OperatorState>,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        self.context = Some(context);
        async { Ok(()) }.boxed()
    }

    fn process<'a>(
        &'a mut self,
        record: Record,
        output: &'a mut Output,
    ) -> BoxFuture<'a, Result<(), TaskError>> {
        self.hand_on(record, output).boxed()
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        async { Ok(OperatorState::default()) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_attempts_fail_and_each_of_them_in_all_its_subtasks() {
        let failed = FailedAttempts::default();
        let fails = |job, epochs: &[u64]| -> Vec<bool> {
            epochs.iter().map(|epoch| failed.fails(JobId(job), *epoch, 2)).collect()
        };
        assert_eq!(fails(1, &[1, 1, 4, 9, 4]), [true, true, true, false, true]);
        assert_eq!(fails(2, &[9, 1]), [true, true], "each job has its own");
    }
}
