//! Functions of a user that fail, panic, can't handle a record, or are slow.

use crate::system::{
    dataflow::{Collector, Data, Failure, Operator, OperatorContext, Result, Waits, ready},
    ids::JobId,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

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
    /// In each attempt a subtask holds its thread for so long at this line, counted from its begin.
    pub hold: Option<(u64, Duration)>,
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
        (fails || part.slow.is_some() || part.hold.is_some()).then_some(part)
    }

    /// The part that is of the counting of words.
    pub fn of_counting(&self) -> Option<SlowSubtask> {
        self.slow.filter(|slow| slow.counts)
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

/// Hands on what it is given, until it fails.
#[derive(Clone)]
pub struct FaultyOperator {
    failures: FailureInjection,
    failed: FailedAttempts,
    context: Option<OperatorContext>,
    /// In this attempt.
    records: u64,
}

impl FaultyOperator {
    /// One that fails so, and remembers that it has.
    pub fn new(failures: FailureInjection, failed: &FailedAttempts) -> Self {
        FaultyOperator { failures, failed: failed.clone(), context: None, records: 0 }
    }
}

impl<T: Data + AsRef<[u8]>> Operator<T> for FaultyOperator {
    type Out = T;

    fn open<'a>(&'a mut self, context: &'a OperatorContext, _: Option<Bytes>) -> Waits<'a, ()> {
        self.context = Some(context.clone());
        ready(())
    }

    fn process(&mut self, record: T, out: &mut Collector<'_, T>) -> Result<()> {
        let FaultyOperator { failures, failed, context, records } = self;
        let context = context.as_ref().ok_or_else(|| Failure::new("it is not open"))?;
        *records += 1;
        let at = Some(*records);
        if failures.poison && record.as_ref() == POISON.as_bytes() {
            return Err(Failure::new("the record is poisoned"));
        }
        let due = at == failures.fail_at || at == failures.panic_at;
        if due && failed.fails(context.attempt.job, context.attempt.epoch, failures.times) {
            assert!(at != failures.panic_at, "the function panics at record {records}");
            return Err(Failure(format!("the function fails at record {records}")));
        }
        if let Some(slow) = failures.slow.filter(|slow| slow.subtask == context.subtask) {
            out.takes(slow.by);
        }
        if let Some((_, time)) = failures.hold.filter(|(at, _)| at == records) {
            out.takes(time);
        }
        out.emit(record);
        Ok(())
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
