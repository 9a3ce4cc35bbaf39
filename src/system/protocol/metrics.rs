//! What is measured of tasks.

use serde::{Deserialize, Serialize};

/// What an attempt has done with its time since it runs, on its node's clock, and how much has gone through it. Records
/// are those of the edges between tasks: a source reads none and a sink writes none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TaskMetrics {
    /// Microseconds in which it handled records, timers or mail, or waited for a service that its functions use.
    pub busy_us: u64,
    /// Microseconds in which it waited for something to handle.
    pub idle_us: u64,
    /// Microseconds in which it waited for room downstream.
    pub back_pressured_us: u64,
    /// What it has taken from its inputs.
    pub read: Volume,
    /// What it has handed to its readers, each record as often as it goes to one.
    pub written: Volume,
}

/// Records, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Volume {
    /// How many.
    pub records: u64,
    /// How large they are together, encoded.
    pub bytes: u64,
}

impl Volume {
    /// So many more.
    pub fn add(&mut self, records: u32, bytes: usize) {
        self.records = self.records.saturating_add(records.into());
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    fn with(self, other: Volume, of: fn(u64, u64) -> u64) -> Volume {
        Volume { records: of(self.records, other.records), bytes: of(self.bytes, other.bytes) }
    }
}

impl TaskMetrics {
    /// Microseconds since it runs.
    pub fn elapsed_us(&self) -> u64 {
        self.busy_us.saturating_add(self.idle_us).saturating_add(self.back_pressured_us)
    }

    /// What came after an earlier measurement of the same attempt.
    #[must_use]
    pub fn since(&self, earlier: &TaskMetrics) -> TaskMetrics {
        self.with(earlier, u64::saturating_sub)
    }

    /// Of both together.
    #[must_use]
    pub fn plus(&self, other: &TaskMetrics) -> TaskMetrics {
        self.with(other, u64::saturating_add)
    }

    fn with(&self, other: &TaskMetrics, of: fn(u64, u64) -> u64) -> TaskMetrics {
        TaskMetrics {
            busy_us: of(self.busy_us, other.busy_us),
            idle_us: of(self.idle_us, other.idle_us),
            back_pressured_us: of(self.back_pressured_us, other.back_pressured_us),
            read: self.read.with(other.read, of),
            written: self.written.with(other.written, of),
        }
    }

    /// The share of its time that a part of it is, in thousandths; 0 of no time.
    pub fn per_mille(&self, part_us: u64) -> u64 {
        let elapsed = u128::from(self.elapsed_us().max(1));
        u64::try_from(u128::from(part_us) * 1000 / elapsed).unwrap_or(1000)
    }
}

/// What a job's master knows of an attempt's metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubtaskMetrics {
    /// Since the attempt runs.
    pub total: TaskMetrics,
    /// Between its last two reports, about a heartbeat interval apart; since it runs while there is one.
    pub recent: TaskMetrics,
}

impl SubtaskMetrics {
    /// Takes a report in. One that is not newer changes nothing: reports come in any order.
    pub fn report(&mut self, metrics: TaskMetrics) {
        if metrics.elapsed_us() > self.total.elapsed_us() {
            *self = SubtaskMetrics { total: metrics, recent: metrics.since(&self.total) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(busy_us: u64, idle_us: u64, records: u64) -> TaskMetrics {
        let read = Volume { records, bytes: records.saturating_mul(9) };
        TaskMetrics { busy_us, idle_us, read, ..TaskMetrics::default() }
    }

    #[test]
    fn what_is_recent_is_what_came_since_the_last_report_and_an_older_one_changes_nothing() {
        let mut known = SubtaskMetrics::default();
        known.report(measured(100, 300, 7));
        assert_eq!(
            known,
            SubtaskMetrics { total: measured(100, 300, 7), recent: measured(100, 300, 7) }
        );
        known.report(measured(900, 500, 20));
        let newest =
            SubtaskMetrics { total: measured(900, 500, 20), recent: measured(800, 200, 13) };
        assert_eq!(known, newest);
        known.report(measured(400, 300, 9));
        known.report(measured(900, 500, 20));
        assert_eq!(known, newest);
        assert_eq!(known.recent.per_mille(known.recent.busy_us), 800);
        assert_eq!(TaskMetrics::default().per_mille(0), 0);
        // Also of a peer that tells nonsense.
        known.report(measured(u64::MAX, 1, u64::MAX));
        assert_eq!(known.total.per_mille(known.total.idle_us), 0);
    }
}
