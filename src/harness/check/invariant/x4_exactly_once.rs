//! X4: what is committed is what the words of the input come to, in order and each once. Judged on the
//! log server's own log, step by step.

use super::{Check, Invariant};
use crate::{
    harness::check::{
        history::{Family, Moment, Seen},
        model::Model,
    },
    jobs::word_count::{INPUT_TOPIC, OUTPUT_TOPIC, Oracle},
    system::{
        protocol::JobStatus,
        service::{
            coordination::{Change, CoordinationEvent},
            log::LogEvent,
        },
        store::{RESULT_PREFIX, StoredResult},
    },
};
use bytes::Bytes;

/// Feeds the input and the output to the job's oracle.
#[derive(Default)]
pub struct ExactlyOnce {
    oracle: Oracle,
}

impl ExactlyOnce {
    fn judge_writes(&mut self, at: Moment, writes: &[(String, u32, u64, Vec<Bytes>)]) -> Check {
        let mut check = Check::Ignored;
        for (_, partition, first, records) in writes.iter().filter(|w| w.0 == OUTPUT_TOPIC) {
            check = Check::Held;
            for (record, offset) in records.iter().zip(*first..) {
                if let Err(error) = self.oracle.output(record) {
                    return Check::broken(
                        "every word's counts go 1, 2, 3, … as far as it stands in the input",
                        format!("{at}: record {offset} of partition {partition}: {error}"),
                    );
                }
            }
        }
        check
    }

    /// A job that is kept as finished has counted everything.
    fn judge_end(&self, at: Moment, changes: &[Change]) -> Check {
        for change in changes {
            let Change::Put { key, value, .. } = change else { continue };
            if !key.starts_with(RESULT_PREFIX) {
                continue;
            }
            let finished = postcard::from_bytes::<StoredResult>(value)
                .is_ok_and(|stored| stored.result.status == JobStatus::Finished);
            if let (true, Some((word, counted, expected))) = (finished, self.oracle.missing()) {
                return Check::broken(
                    format!("{word:?} stands {expected} times in the input"),
                    format!("{at}: the job is kept as finished, it was counted {counted} times"),
                );
            }
            return Check::Held;
        }
        Check::Ignored
    }
}

impl Invariant for ExactlyOnce {
    fn name(&self) -> &'static str {
        "X4"
    }

    fn promise(&self) -> &'static str {
        "the committed output is what the input comes to, in order, without gap or repeat"
    }

    fn families(&self) -> &'static [Family] {
        &[Family::Log, Family::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: Seen<'_>, _: &Model) -> Check {
        match seen {
            Seen::Log(LogEvent::Appended { topic, records, .. }) if topic == INPUT_TOPIC => {
                records.iter().for_each(|line| self.oracle.input(line));
                Check::Ignored
            }
            Seen::Log(LogEvent::TransactionCommitted { writes, .. }) => {
                self.judge_writes(at, writes)
            }
            Seen::Coordination(CoordinationEvent::Committed { changes, .. }) => {
                self.judge_end(at, changes)
            }
            _ => Check::Ignored,
        }
    }
}
