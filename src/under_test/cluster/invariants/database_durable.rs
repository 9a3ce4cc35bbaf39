//! What the database server announced stands after every recovery: tables keep their rows, and writers their
//! generations and the numbers of their last writes. Judged on its synced log. What a call may have done that was
//! handled and not announced is not held against it.

use super::{Check, ClusterInvariant, unannounced::Unannounced};
use crate::{
    harness::event::Moment,
    host::sim::Hardware,
    system::{
        rpc::RpcEvent,
        service::database::{DatabaseEvent, Table},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

const BEGIN: &str = "DatabaseGateway.begin_writer";
const WRITE: &str = "DatabaseGateway.write";

/// Replays the log that was announced.
#[derive(Default)]
pub struct DatabaseDurable {
    /// The generation and the last number of each writer.
    writers: BTreeMap<String, (u64, u64)>,
    tables: BTreeMap<String, Table>,
    calls: Unannounced,
}

impl ClusterInvariant for DatabaseDurable {
    fn title(&self) -> &'static str {
        "database-durable"
    }

    fn promise(&self) -> &'static str {
        "every row of a table and of a writer that was announced stays so"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Database, EventKind::Rpc, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::HandlerStarted { kind, .. }) => {
                if [BEGIN, WRITE].contains(&kind.name()) {
                    self.calls.handled(*kind);
                }
                Check::Ignored
            }
            EventRef::Hardware(Hardware::Ended(_)) => self.calls.ended(at),
            EventRef::Database(event) => self.observe_database(at, event),
            _ => Check::Ignored,
        }
    }
}

impl DatabaseDurable {
    fn observe_database(&mut self, at: Moment, event: &DatabaseEvent) -> Check {
        match event {
            DatabaseEvent::Recovered { writers, tables } => {
                let found = writers
                    .iter()
                    .map(|(writer, generation, number)| (writer.clone(), (*generation, *number)));
                self.recover(at, found.collect(), tables.clone())
            }
            DatabaseEvent::WriterBegun { by, table } => {
                self.calls.announced(at);
                self.writers.entry(by.writer.clone()).or_default().0 = by.generation;
                let new = || Table::new(table.kind);
                self.tables.entry(table.name.clone()).or_insert_with(new);
                Check::Passed
            }
            DatabaseEvent::Written { by, number, table, first, rows } => {
                self.calls.announced(at);
                self.writers.entry(by.writer.clone()).or_default().1 = number.value();
                let Some(held) = self.tables.get_mut(table) else {
                    return Check::broken(
                        format!("there is no {table}"),
                        format!("{at}: rows are written to it"),
                    );
                };
                let before = held.len();
                held.write(rows);
                Check::that(before == *first, || {
                    (format!("{table} has {before} rows"), format!("{at}: rows come at {first}"))
                })
            }
            DatabaseEvent::WriteRepeated { .. } | DatabaseEvent::WriteRefused { .. } => {
                Check::Ignored
            }
        }
    }

    fn recover(
        &mut self,
        at: Moment,
        writers: BTreeMap<String, (u64, u64)>,
        tables: BTreeMap<String, Table>,
    ) -> Check {
        let conflict = self.judge_writers(&writers).or_else(|| self.judge_tables(&tables));
        (self.writers, self.tables) = (writers, tables);
        self.calls.recovered(at, conflict)
    }

    fn judge_writers(&self, found: &BTreeMap<String, (u64, u64)>) -> Option<(String, String)> {
        let may_begin = self.calls.may_have(&[BEGIN]);
        let may_write = self.calls.may_have(&[WRITE]);
        for (writer, (generation, number)) in &self.writers {
            let now = found.get(writer);
            let stands = now.is_some_and(|(g, n)| {
                (g == generation || g > generation && may_begin)
                    && (n == number || n > number && may_write)
            });
            if !stands {
                let before = format!("{writer} had generation {generation} and number {number}");
                return Some((before, format!("{now:?}")));
            }
        }
        let new = found.keys().find(|writer| !self.writers.contains_key(*writer) && !may_begin);
        new.map(|writer| ("no such writer".to_string(), writer.clone()))
    }

    fn judge_tables(&self, found: &BTreeMap<String, Table>) -> Option<(String, String)> {
        for (name, table) in &self.tables {
            let now = found.get(name);
            if !now.is_some_and(|now| self.stands(table, now)) {
                let now = now.map_or(0, Table::len);
                return Some((
                    format!("{name} had {} rows", table.len()),
                    format!("{now}, not the same"),
                ));
            }
        }
        let may_begin = self.calls.may_have(&[BEGIN]);
        let new = found.keys().find(|name| !self.tables.contains_key(*name) && !may_begin);
        new.map(|name| ("no such table".to_string(), name.clone()))
    }

    /// Whether a table is what it was, or that and what may have been written since.
    fn stands(&self, before: &Table, now: &Table) -> bool {
        match (before, now) {
            _ if before == now => true,
            _ if !self.calls.may_have(&[WRITE]) => false,
            (Table::Plain(before), Table::Plain(now)) => now.starts_with(before),
            // Any value may have been replaced.
            (Table::Keyed(before), Table::Keyed(now)) => {
                before.keys().all(|key| now.contains_key(key))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, DatabaseDurable, WRITE};
    use crate::system::service::database::*;

    fn by(generation: u64) -> WriterId {
        WriterId { writer: "w".to_string(), generation }
    }

    fn rows(values: &[&str]) -> Vec<DatabaseRow> {
        values.iter().map(|value| DatabaseRow::new("k", *value)).collect()
    }

    fn written(number: u64, first: u64, value: &str) -> DatabaseEvent {
        let (number, table) = (WriteNumber::Batch(number), "t".to_string());
        DatabaseEvent::Written { by: by(1), number, table, first, rows: rows(&[value]) }
    }

    fn found(number: u64, values: &[&str]) -> DatabaseEvent {
        let mut table = Table::new(TableKind::Plain);
        table.write(&rows(values));
        DatabaseEvent::Recovered {
            writers: vec![("w".to_string(), 1, number)],
            tables: [("t".to_string(), table)].into(),
        }
    }

    fn durable() -> History<DatabaseDurable> {
        let table = TableSpec { name: "t".to_string(), kind: TableKind::Plain };
        History::new()
            .holds(process(6, 1), DatabaseEvent::WriterBegun { by: by(1), table })
            .holds(process(6, 1), written(1, 0, "a"))
            .holds(process(6, 1), written(2, 1, "b"))
    }

    #[test]
    fn what_was_announced_is_recovered_or_more_that_was_called_for() {
        durable().holds(process(6, 2), found(2, &["a", "b"]));
        durable()
            .holds(process(6, 1), called(WRITE))
            .holds(process(6, 2), found(3, &["a", "b", "c"]));
    }

    #[test]
    fn a_row_that_is_gone_another_or_nobodys_is_refused() {
        durable().breaks(process(6, 2), found(2, &["a"]));
        durable().breaks(process(6, 2), found(1, &["a", "b"]));
        durable().breaks(process(6, 2), found(2, &["a", "c"]));
        durable().breaks(process(6, 2), found(2, &["a", "b", "c"]));
        let called = || durable().holds(process(6, 1), called(WRITE));
        called().breaks(process(6, 2), found(3, &["a", "c", "b"]));
        called().breaks(process(6, 2), found(3, &["a"]));
    }

    #[test]
    fn rows_that_leave_a_gap_are_refused() {
        durable().breaks(process(6, 1), written(3, 3, "d"));
    }
}
