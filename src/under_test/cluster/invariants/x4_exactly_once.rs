//! X4: what is committed is what the input comes to, in order and each once, as the job's own oracle says.
//! Judged on the log server's own log, step by step, or on that of the database server: a job that writes to a
//! table has it under the name of its output. A row is the record `KEY VALUE`. A job that writes files has them in the
//! directory of that name: when one is there by the object store's log its lines count, as the sink said what it holds
//! (X9 holds that against the store's checksum).

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    jobs::common::{JobOracle, Topics},
    system::{
        connector::{SinkEvent, is_file_of, part_lines},
        ids::JobId,
        protocol::JobStatus,
        service::{
            coordination::{Change, CoordinationEvent},
            database::{DatabaseEvent, DatabaseRow, TableKind},
            log::LogEvent,
            object_store::ObjectStoreEvent,
        },
        store::{self, StoredResult},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    mem::take,
};

/// Feeds the input and the output of a job to its oracle.
pub struct ExactlyOnce {
    job: JobId,
    topics: Topics,
    oracle: Box<dyn JobOracle>,
    /// Whether its output is a table whose rows take the places of others.
    is_keyed: bool,
    /// Records fed so far, by topic and partition.
    fed: BTreeMap<(String, u32), u64>,
    /// Files that were not there yet, in the order in which they were rolled: their subtasks, names and contents.
    parts: Vec<(u32, String, Bytes)>,
}

impl ExactlyOnce {
    /// Judges a job by its topics.
    pub fn new(job: JobId, topics: Topics, oracle: Box<dyn JobOracle>) -> Self {
        ExactlyOnce {
            job,
            topics,
            oracle,
            is_keyed: false,
            fed: BTreeMap::new(),
            parts: Vec::new(),
        }
    }

    /// Feeds what of a partition was not fed yet; the records begin at `first`.
    fn feed(
        &mut self,
        at: Moment,
        topic: &str,
        partition: u32,
        first: u64,
        records: &[Bytes],
    ) -> Check {
        let is_input = topic == self.topics.input;
        if !is_input && topic != self.topics.output {
            return Check::Ignored;
        }
        let fed = self.fed.entry((topic.to_string(), partition)).or_default();
        if first > *fed {
            return Check::broken(
                format!("{topic}/{partition} ended at {fed}"),
                format!("{at}: records come at {first}"),
            );
        }
        for (record, offset) in records.iter().zip(first..).filter(|(_, offset)| offset >= fed) {
            if is_input {
                self.oracle.input(partition, record);
            } else if let Err(error) = self.oracle.output(partition, record) {
                return Check::broken(
                    self.oracle.promise(),
                    format!("{at}: record {offset} of {topic}/{partition}: {error}"),
                );
            }
        }
        *fed = (*fed).max(first + records.len() as u64);
        Check::Passed
    }

    fn feed_all<'a>(
        &mut self,
        at: Moment,
        writes: impl Iterator<Item = (&'a String, u32, u64, &'a Vec<Bytes>)>,
    ) -> Check {
        let mut check = Check::Ignored;
        for (topic, partition, first, records) in writes {
            match self.feed(at, topic, partition, first, records) {
                broken @ Check::Broken { .. } => return broken,
                Check::Passed => check = Check::Passed,
                Check::Ignored => {}
            }
        }
        check
    }

    /// Feeds rows of a table: of a plain one those that were not fed yet, which begin at `first`; where rows take the
    /// places of others, all of them.
    fn feed_rows(&mut self, at: Moment, table: &str, first: u64, rows: &[DatabaseRow]) -> Check {
        let as_record = |row: &DatabaseRow| Bytes::from(format!("{} {}", row.key, row.value));
        let records: Vec<Bytes> = rows.iter().map(as_record).collect();
        self.feed(at, table, 0, first, &records)
    }

    fn feed_database(&mut self, at: Moment, event: &DatabaseEvent) -> Check {
        let output = self.topics.output.clone();
        match event {
            DatabaseEvent::WriterBegun { table, .. } if table.name == output => {
                self.is_keyed = table.kind == TableKind::Keyed;
                Check::Ignored
            }
            DatabaseEvent::Written { table, first, rows, .. } if *table == output => {
                self.forget_keyed(&output, *first);
                self.feed_rows(at, &output, *first, rows)
            }
            // What was synced but not announced before a crash shows only here.
            DatabaseEvent::Recovered { tables, .. } => {
                let Some(table) = tables.get(&output) else { return Check::Ignored };
                self.forget_keyed(&output, 0);
                self.feed_rows(at, &output, 0, &table.rows().collect::<Vec<_>>())
            }
            _ => Check::Ignored,
        }
    }

    /// Feeds the lines of those files that are there now.
    fn feed_files(&mut self, at: Moment, is_there: impl Fn(&String) -> bool) -> Check {
        let (there, left) =
            take(&mut self.parts).into_iter().partition(|(_, file, _)| is_there(file));
        self.parts = left;
        let there: Vec<(u32, String, Bytes)> = there;
        for (subtask, file, content) in &there {
            for line in part_lines(content) {
                if let Err(error) = self.oracle.output(*subtask, line) {
                    return Check::broken(self.oracle.promise(), format!("{at}: {file}: {error}"));
                }
            }
        }
        if there.is_empty() { Check::Ignored } else { Check::Passed }
    }

    fn observe_files(&mut self, at: Moment, event: &ObjectStoreEvent) -> Check {
        match event {
            ObjectStoreEvent::Renamed { to, .. } => self.feed_files(at, |file| file == to),
            // What was synced but not announced before a crash shows only here.
            ObjectStoreEvent::Recovered { objects, .. } => {
                let there: BTreeSet<&String> = objects.iter().map(|(name, _, _)| name).collect();
                self.feed_files(at, |file| there.contains(file))
            }
            _ => Check::Ignored,
        }
    }

    /// Of a table whose rows take the places of others none is known by its position.
    fn forget_keyed(&mut self, table: &str, first: u64) {
        if self.is_keyed {
            self.fed.insert((table.to_string(), 0), first);
        }
    }

    /// A job that is kept as finished has put everything out.
    fn judge_end(&self, at: Moment, changes: &[Change], model: &Model) -> Check {
        for change in changes {
            let Change::Put { key, value, .. } = change else { continue };
            // One that was stopped has put out what comes to its savepoint, and another one goes on.
            let mut course = model.course(self.job).filter(|job| !model.is_stopped(*job));
            if !course.any(|job| *key == store::result_key(job)) {
                continue;
            }
            let finished = postcard::from_bytes::<StoredResult>(value)
                .is_ok_and(|stored| stored.result.status == JobStatus::Finished);
            if let (true, Some(missing)) = (finished, self.oracle.missing()) {
                return Check::broken(missing, format!("{at}: the job is kept as finished"));
            }
            return Check::Passed;
        }
        Check::Ignored
    }
}

impl ClusterInvariant for ExactlyOnce {
    fn title(&self) -> &'static str {
        "X4 exactly-once"
    }

    fn promise(&self) -> &'static str {
        "the committed output is what the input comes to, in order, without gap or repeat"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[
            EventKind::Log,
            EventKind::Database,
            EventKind::Coordination,
            EventKind::ObjectStore,
            EventKind::Sink,
        ]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Log(LogEvent::Appended { topic, partition, offset, records, .. }) => {
                self.feed(at, topic, *partition, *offset, records)
            }
            EventRef::Log(LogEvent::TransactionCommitted { writes, .. }) => {
                self.feed_all(at, writes.iter().map(|(t, p, first, r)| (t, *p, *first, r)))
            }
            // What was synced but not announced before a crash shows only here; input first.
            EventRef::Log(LogEvent::Recovered { records, .. }) => {
                let (input, output): (Vec<_>, Vec<_>) =
                    records.iter().partition(|(topic, ..)| *topic == self.topics.input);
                let all = input.into_iter().chain(output);
                self.feed_all(at, all.map(|(t, p, first, records)| (t, *p, *first, records)))
            }
            EventRef::Database(event) => self.feed_database(at, event),
            EventRef::Sink(SinkEvent::PartRolled { attempt, file, content, .. }) => {
                if is_file_of(&self.topics.output, file) {
                    let part = (attempt.vertex.subtask, file.clone(), content.clone());
                    self.parts.push(part);
                }
                Check::Ignored
            }
            EventRef::ObjectStore(event) => self.observe_files(at, event),
            EventRef::Coordination(CoordinationEvent::Committed { changes, .. }) => {
                self.judge_end(at, changes, model)
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ExactlyOnce};
    use crate::jobs::word_count::{Counted, Oracle, topics};
    use bytes::Bytes;

    fn line(offset: u64, text: &'static str) -> LogEvent {
        LogEvent::Appended {
            topic: topics(1).input,
            partition: 0,
            offset,
            producer: "writer".to_string(),
            records: vec![Bytes::from_static(text.as_bytes())],
        }
    }

    fn record(word: &str, count: u64) -> Bytes {
        let counted = Counted { word: word.into(), count };
        postcard::to_allocvec(&counted).expect("it can be encoded").into()
    }

    fn committed_counts(offset: u64, counts: &[(&str, u64)]) -> LogEvent {
        let transaction =
            TransactionId { producer: "p".to_string(), generation: 1, number: offset };
        let records = counts.iter().map(|(word, count)| record(word, *count)).collect();
        let writes = vec![(topics(1).output, 0, offset, records)];
        LogEvent::TransactionCommitted { transaction, writes }
    }

    fn found(lines: &[&'static str], counts: &[(&str, u64)]) -> LogEvent {
        let lines = lines.iter().map(|line| Bytes::from_static(line.as_bytes())).collect();
        let counts = counts.iter().map(|(word, count)| record(word, *count)).collect();
        let records = vec![(topics(1).output, 0, 0, counts), (topics(1).input, 0, 0, lines)];
        LogEvent::Recovered {
            ends: vec![],
            records,
            unended: vec![],
            closed: vec![],
            committed: vec![],
            starts: vec![],
            held: vec![],
        }
    }

    fn written() -> History<ExactlyOnce> {
        History::of(ExactlyOnce::new(JOB, topics(1), Box::<Oracle>::default()))
            .holds(process(3, 1), line(0, "a b a"))
    }

    fn finished() -> CoordinationEvent {
        committed(1, vec![result(true, JobStatus::Finished)])
    }

    #[test]
    fn counts_in_order_are_accepted_and_the_job_may_finish_then() {
        written()
            .holds(process(3, 1), committed_counts(0, &[("a", 1), ("b", 1)]))
            .holds(process(3, 1), committed_counts(2, &[("a", 2)]))
            .holds(process(0, 1), finished());
    }

    #[test]
    fn what_was_synced_but_not_announced_is_seen_in_the_recovery() {
        written()
            .holds(process(3, 1), committed_counts(0, &[("a", 1)]))
            .holds(process(3, 2), found(&["a b a", "c"], &[("a", 1), ("c", 1)]))
            .holds(process(3, 2), committed_counts(2, &[("b", 1), ("a", 2)]))
            .holds(process(0, 1), finished());
    }

    #[test]
    fn a_repeat_a_gap_and_a_word_too_many_are_refused() {
        let begun = || written().holds(process(3, 1), committed_counts(0, &[("a", 1)]));
        begun().breaks(process(3, 1), committed_counts(1, &[("a", 1)]));
        begun().breaks(process(3, 1), committed_counts(1, &[("b", 2)]));
        begun().breaks(process(3, 1), committed_counts(1, &[("c", 1)]));
        begun().breaks(process(3, 1), committed_counts(2, &[("a", 2)]));
    }

    mod of_a_table {
        use super::{super::super::testing_jobs::*, super::ExactlyOnce};
        use crate::{
            jobs::{bank_ledger::Balances, bank_transfers, common::Topics},
            system::service::database::*,
        };
        use bytes::Bytes;

        fn transfer() -> LogEvent {
            LogEvent::Appended {
                topic: "in".to_string(),
                partition: 0,
                offset: 0,
                producer: "writer".to_string(),
                records: vec![Bytes::from_static(b"a b 5")],
            }
        }

        fn begun(kind: TableKind) -> History<ExactlyOnce> {
            let topics = Topics::numbered("in", "out", 1);
            let by = WriterId { writer: "w".to_string(), generation: 1 };
            let table = TableSpec { name: "out".to_string(), kind };
            let invariant = match kind {
                TableKind::Plain => {
                    ExactlyOnce::new(JOB, topics, Box::<bank_transfers::Oracle>::default())
                }
                TableKind::Keyed => ExactlyOnce::new(JOB, topics, Box::<Balances>::default()),
            };
            History::of(invariant)
                .holds(process(3, 1), transfer())
                .holds(process(6, 1), DatabaseEvent::WriterBegun { by, table })
        }

        fn written(number: u64, first: u64, key: &str, value: &str) -> DatabaseEvent {
            DatabaseEvent::Written {
                by: WriterId { writer: "w".to_string(), generation: 1 },
                number: WriteNumber::Batch(number),
                table: "out".to_string(),
                first,
                rows: vec![DatabaseRow::new(key, value)],
            }
        }

        fn finished() -> CoordinationEvent {
            committed(1, vec![result(true, JobStatus::Finished)])
        }

        #[test]
        fn rows_are_judged_as_records_and_a_recovery_tells_what_was_not_announced() {
            let ledger =
                || begun(TableKind::Plain).holds(process(6, 1), written(1, 0, "a", "-5 -5"));
            ledger().breaks(process(6, 1), written(2, 1, "a", "-5 -10"));
            ledger().breaks(process(0, 1), finished());
            let mut table = Table::new(TableKind::Plain);
            table.write(&[DatabaseRow::new("a", "-5 -5"), DatabaseRow::new("b", "5 5")]);
            let tables = [("out".to_string(), table)].into();
            ledger()
                .holds(process(6, 2), DatabaseEvent::Recovered { writers: vec![], tables })
                .holds(process(0, 1), finished());
        }

        #[test]
        fn the_last_value_of_each_key_counts() {
            let balances = || {
                begun(TableKind::Keyed)
                    .holds(process(6, 1), written(1, 0, "a", "-5"))
                    .holds(process(6, 1), written(2, 1, "b", "9"))
            };
            balances().breaks(process(0, 1), finished());
            balances()
                .holds(process(6, 1), written(3, 2, "b", "5"))
                .holds(process(0, 1), finished());
        }
    }

    #[test]
    fn a_job_that_finishes_before_all_is_counted_is_refused() {
        written()
            .holds(process(3, 1), committed_counts(0, &[("a", 1)]))
            .breaks(process(0, 1), finished());
    }

    fn rolled(number: u64, lines: &[(&str, u64)]) -> SinkEvent {
        let encoded = lines.iter().map(|(word, count)| record(word, *count));
        let content = encoded.flat_map(|line| [line, Bytes::from("\n")].concat()).collect();
        SinkEvent::PartRolled {
            attempt: attempt(1, 1),
            pending: format!("{JOB}/files/{number}"),
            file: format!("files/{}/{number}", topics(1).output),
            content,
        }
    }

    fn visible(number: u64) -> ObjectStoreEvent {
        let to = format!("files/{}/{number}", topics(1).output);
        ObjectStoreEvent::Renamed { from: format!("{JOB}/files/{number}"), to, len: 1, crc: 1 }
    }

    #[test]
    fn lines_count_when_their_file_is_seen_and_once() {
        let parts = || {
            written()
                .holds(process(3, 1), rolled(1, &[("a", 1), ("b", 1)]))
                .holds(process(3, 1), rolled(2, &[("a", 2)]))
        };
        let both = parts().holds(process(5, 1), visible(1)).holds(process(5, 1), visible(2));
        both.holds(process(0, 1), finished());
        parts().breaks(process(5, 1), visible(2));
        parts().holds(process(5, 1), visible(1)).breaks(process(0, 1), finished());
        parts()
            .holds(process(5, 1), visible(1))
            .holds(process(3, 2), rolled(3, &[("a", 1)]))
            .breaks(process(5, 1), visible(3));
    }
}
