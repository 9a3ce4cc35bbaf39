//! Databases of the live world: what a sink is promised holds of SQLite and of PostgreSQL, and a job whose task
//! executors are killed in the middle of a commit leaves each row once.

use super::{
    Folder,
    postgres::Postgres,
    session::{Cluster, PATIENCE, signal, until},
};
use std::{collections::BTreeSet, io::Read, path::Path, process::Child, sync::Arc};
use wavetank::{
    adapters::database::LiveDatabases,
    host::live::{LOOPBACK, Node, NodeConfig},
    jobs::{bank_ledger::Balances, bank_transfers::Oracle, common::JobOracle},
    system::{
        cluster::bind,
        ids::CheckpointId,
        rpc::RpcService,
        service::{
            ServiceError,
            database::{
                Database, DatabaseRefusal, DatabaseRow, DatabaseWrite, Databases, TableKind,
                TableSpec, WriteNumber, WriterId, Written,
            },
        },
    },
};

/// An RPC service of a node in a folder.
async fn service(folder: &Path) -> RpcService {
    let (name, hostname) = ("client".to_string(), LOOPBACK.to_string());
    let config = NodeConfig { name, hostname, data: folder.join("node"), members: Vec::new() };
    bind(&Node::start(config).expect("a node"), 0).await.expect("a free port")
}

fn by(generation: u64) -> WriterId {
    WriterId { writer: "job/sink-0".to_string(), generation }
}

fn table(name: &str, kind: TableKind) -> TableSpec {
    TableSpec { name: name.to_string(), kind }
}

fn write(generation: u64, checkpoint: u64, rows: &[(&str, &str)]) -> DatabaseWrite {
    DatabaseWrite {
        by: by(generation),
        number: WriteNumber::Checkpoint(CheckpointId(checkpoint)),
        table: table("plain-rows", TableKind::Plain),
        rows: rows.iter().map(|(key, value)| DatabaseRow::new(*key, *value)).collect(),
    }
}

/// The rows of a table, sorted.
async fn rows(database: &dyn Database, table: &TableSpec) -> Vec<String> {
    let rows = database.read_all_until_acknowledged(table).await.expect("a table");
    let mut rows: Vec<String> =
        rows.into_iter().map(|row| format!("{}={}", row.key, row.value)).collect();
    rows.sort();
    rows
}

fn refused<T>(refusal: DatabaseRefusal) -> Result<T, ServiceError<DatabaseRefusal>> {
    Err(ServiceError::Refused(refusal))
}

/// What a sink is promised, by two connections to one database.
async fn keeps_its_promises(one: &dyn Database, other: &dyn Database) {
    let plain = table("plain-rows", TableKind::Plain);
    assert_eq!(one.begin_writer(&by(1), &plain).await, Ok(0));
    assert_eq!(one.begin_writer(&by(1), &plain).await, Ok(0), "once more is fine");
    let first = write(1, 3, &[("a", "1"), ("a", "1"), ("b", "it's \"ä\"\n")]);
    assert_eq!(one.write(&first).await, Ok(Written::Now));
    assert_eq!(one.write(&first).await, Ok(Written::Before));
    assert_eq!(other.write(&first).await, Ok(Written::Before), "whoever repeats it");
    assert_eq!(other.begin_writer(&by(2), &plain).await, Ok(3));
    let current = DatabaseRefusal::Fenced { current: 2 };
    assert_eq!(one.write(&write(1, 4, &[("late", "1")])).await, refused(current.clone()));
    assert_eq!(one.begin_writer(&by(1), &plain).await, refused(current));
    assert_eq!(other.write(&write(2, 4, &[("c", "1")])).await, Ok(Written::Now));
    assert_eq!(other.write(&write(2, 3, &[("old", "1")])).await, Ok(Written::Before));
    assert_eq!(rows(one, &plain).await, ["a=1", "a=1", "b=it's \"ä\"\n", "c=1"]);

    let keyed = table("keyed_rows", TableKind::Keyed);
    let upsert = |number, value: &str| DatabaseWrite {
        number: WriteNumber::Batch(number),
        table: keyed.clone(),
        rows: [("k", "0"), ("l", value), ("k", value)].map(|(k, v)| DatabaseRow::new(k, v)).into(),
        by: WriterId { writer: "job/upsert-0".to_string(), generation: 1 },
    };
    assert_eq!(one.begin_writer(&upsert(1, "").by, &keyed).await, Ok(0));
    assert_eq!(one.write(&upsert(1, "1")).await, Ok(Written::Now));
    assert_eq!(one.write(&upsert(2, "2")).await, Ok(Written::Now));
    assert_eq!(other.write(&upsert(1, "1")).await, Ok(Written::Before));
    assert_eq!(rows(other, &keyed).await, ["k=2", "l=2"]);

    let swapped = table("keyed_rows", TableKind::Plain);
    assert_eq!(one.begin_writer(&by(2), &swapped).await, refused(DatabaseRefusal::OtherKind));
    let nobody = WriterId { writer: "nobody".to_string(), generation: 1 };
    let unknown = DatabaseWrite { by: nobody, ..write(1, 1, &[]) };
    assert_eq!(one.write(&unknown).await, refused(DatabaseRefusal::Unknown));
    let injected = table("a\"; DROP TABLE wavetank_writers", TableKind::Plain);
    assert_eq!(one.begin_writer(&by(3), &injected).await, refused(DatabaseRefusal::BadName));
}

/// Of many who write the same at one time one does, also where the tables are not there yet.
async fn takes_one_of_many(all: &[Arc<dyn Database>]) {
    let raced = table("raced", TableKind::Plain);
    let writer = WriterId { writer: "racer".to_string(), generation: 1 };
    let (raced, writer) = (&raced, &writer);
    let begun = all.iter().map(|one| one.begin_writer_until_acknowledged(writer, raced));
    for begun in futures::future::join_all(begun).await {
        assert_eq!(begun, Ok(0));
    }
    let wanted =
        DatabaseWrite { by: writer.clone(), table: raced.clone(), ..write(1, 1, &[("a", "b")]) };
    let writes = all.iter().map(|one| one.write_until_acknowledged(&wanted));
    let written = futures::future::join_all(writes).await;
    let now = written.iter().filter(|written| **written == Ok(Written::Now));
    assert_eq!(now.count(), 1, "{written:?}");
    assert_eq!(rows(&*all[0], raced).await, ["a=b"]);
}

async fn is_a_database(folder: &Path, url: &str) -> Vec<Arc<dyn Database>> {
    let service = service(folder).await;
    let open = || LiveDatabases.open(&service, url).expect("a database");
    let all: Vec<_> = (0..6).map(|_| open()).collect();
    takes_one_of_many(&all).await;
    keeps_its_promises(&*all[0], &*all[1]).await;
    all
}

#[tokio::test]
async fn sqlite_keeps_what_a_sink_is_promised() {
    let folder = Folder::new("sqlite");
    let path = folder.0.join("test.db");
    is_a_database(&folder.0, &format!("sqlite:{}", path.display())).await;
    drop(folder);
}

#[tokio::test]
async fn postgresql_keeps_what_a_sink_is_promised_and_its_crash_is_survived() {
    let Some(postgres) = Postgres::start("postgres") else { return };
    let folder = Folder::new("postgres-client");
    let all = is_a_database(&folder.0, &postgres.url()).await;
    postgres.crash();
    let last = write(2, 5, &[("d", "1")]);
    // That the connection is gone shows with the first call, which was or was not done.
    assert_eq!(all[0].write_until_acknowledged(&last).await.map(drop), Ok(()));
    assert_eq!(all[1].write_until_acknowledged(&last).await, Ok(Written::Before));
    let plain = table("plain-rows", TableKind::Plain);
    assert_eq!(rows(&*all[2], &plain).await.len(), 5);
}

#[tokio::test]
async fn what_is_no_database_is_told_so_and_no_password_is_shown() {
    let folder = Folder::new("database-urls");
    let service = service(&folder.0).await;
    for (url, why) in [
        ("sqlite:shop.db", "must be absolute"),
        ("embedded:", "database of simulations"),
        ("mysql://a", "expected sqlite:/PATH or postgres://"),
        ("postgres://ada:secret@localhost:port/x", "…@localhost:port/x"),
    ] {
        let told = LiveDatabases.open(&service, url).err().expect("it is refused").to_string();
        assert!(told.contains(why) && !told.contains("secret"), "{told}");
    }
}

/// Transfers between a few accounts.
fn transfers(count: u64) -> Vec<String> {
    let line = |n: u64| format!("a{} a{} {}", n * 7 % 11, n * n % 13, 1 + n % 50);
    (0..count).map(line).collect()
}

/// A job that reads transfers and writes to a table, in a cluster of two task executors.
struct Ledger {
    cluster: Cluster,
    submitted: Child,
    lines: Vec<String>,
}

const EXECUTORS: [&str; 2] = ["task-executor-1", "task-executor-2"];

impl Ledger {
    fn submit(test: &str, job: &str, url: &str) -> Ledger {
        let cluster = Cluster::new(test);
        cluster.start(&["--executors", "2", "--slots", "2"]).ends_with(0, "the cluster is ready");
        let lines = transfers(3000);
        let input = cluster.folder.file("transfers", lines.join("\n"));
        let arguments = format!("{{\"database\": \"{url}\"}}");
        let of_job = ["--", "--input", &input, "--output", "ledger", "--arguments", &arguments];
        let often = ["--checkpoint-interval", "100ms"];
        let wait = [job, "--wait", "--parallelism", "2"];
        let all = [&wait[..], &PATIENCE, &of_job, &often].concat();
        let submitted = cluster.begin("submit", &all);
        Ledger { cluster, submitted, lines }
    }

    /// Kills both task executors, and waits until there are others.
    fn kill_executors(&self) {
        let processes = || EXECUTORS.map(|name| self.cluster.process(name));
        let killed = processes();
        killed.iter().flatten().for_each(|process| signal("-9", *process));
        until(|| processes().iter().zip(&killed).all(|(now, was)| now.is_some() && now != was));
    }

    /// Waits until the job has finished, and holds the rows against what was moved.
    fn finish(mut self, mut oracle: impl JobOracle, rows: impl FnOnce() -> Vec<String>) {
        let status = self.submitted.wait().expect("it ends");
        let mut said = String::new();
        let out = self.submitted.stdout.as_mut().expect("it is piped");
        out.read_to_string(&mut said).expect("a text");
        assert!(status.success(), "{status}: {said}");
        self.lines.iter().for_each(|line| oracle.input(0, line.as_bytes()));
        for row in rows() {
            assert_eq!(oracle.output(0, row.as_bytes()), Ok(()));
        }
        assert_eq!(oracle.missing(), None);
    }
}

/// The table of the writers, as the first writer would make it.
const WRITERS: &str = "CREATE TABLE wavetank_writers (writer TEXT PRIMARY KEY, generation BIGINT NOT NULL, number BIGINT NOT NULL)";

fn sqlite_rows(connection: &rusqlite::Connection) -> Vec<String> {
    let mut select = connection
        .prepare("SELECT key || ' ' || value FROM ledger ORDER BY rowid")
        .expect("a table");
    let rows = select.query_map([], |row| row.get(0)).expect("it can be read");
    rows.collect::<Result<_, _>>().expect("texts")
}

/// A SQLite database in which each write lasts for a while.
fn slow_sqlite(path: &Path) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("a new file");
    let slow = format!(
        "{WRITERS};
        CREATE TABLE pause (n INTEGER);
        INSERT INTO pause WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 250) SELECT n FROM c;
        CREATE TRIGGER slow AFTER UPDATE OF number ON wavetank_writers BEGIN
            SELECT COUNT(*) FROM pause a, pause b, pause c WHERE a.n + b.n + c.n < 0;
        END;"
    );
    connection.execute_batch(&slow).expect("sound SQL");
    connection.busy_timeout(std::time::Duration::from_secs(60)).expect("a setting");
    connection
}

/// Waits until a transaction has begun to write rows: its journal is there, and all writers are.
fn until_sqlite_writes(connection: &rusqlite::Connection, path: &Path) {
    let journal = format!("{}-journal", path.display());
    let writers = || {
        let count = "SELECT COUNT(*) FROM wavetank_writers";
        connection.query_row(count, [], |row| row.get::<_, i64>(0)).expect("a table")
    };
    until(|| writers() == 2 && Path::new(&journal).exists());
}

#[test]
fn executors_killed_while_they_write_to_sqlite_leave_each_row_once() {
    let folder = Folder::new("sqlite-file");
    let path = folder.0.join("ledger.db");
    let connection = slow_sqlite(&path);
    let url = format!("sqlite:{}", path.display());
    let ledger = Ledger::submit("sqlite-kill", "bank-ledger", &url);
    until_sqlite_writes(&connection, &path);
    ledger.kill_executors();
    ledger.finish(Oracle::default(), || sqlite_rows(&connection));
}

#[test]
fn executors_killed_while_they_upsert_to_sqlite_leave_the_last_value_of_each_key() {
    let folder = Folder::new("sqlite-upsert-file");
    let path = folder.0.join("balances.db");
    let connection = slow_sqlite(&path);
    let url = format!("sqlite:{}", path.display());
    let ledger = Ledger::submit("sqlite-upsert-kill", "bank-balances", &url);
    until_sqlite_writes(&connection, &path);
    ledger.kill_executors();
    ledger.finish(Balances::default(), || sqlite_rows(&connection));
}

/// A person's own connection to a server.
struct Psql {
    runtime: tokio::runtime::Runtime,
    client: tokio_postgres::Client,
}

impl Psql {
    fn new(postgres: &Postgres) -> Psql {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let client = runtime.block_on(async {
            let connected = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await;
            let (client, connection) = connected.expect("it answers");
            tokio::spawn(async { drop(connection.await) });
            client
        });
        Psql { runtime, client }
    }

    /// The first column of what is answered.
    fn ask(&self, sql: &str) -> Vec<String> {
        let answered = self.runtime.block_on(self.client.simple_query(sql)).expect("sound SQL");
        let rows = answered.into_iter().filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_string),
            _ => None,
        });
        rows.collect()
    }

    /// Waits until a transaction has begun to write rows.
    fn until_written(&self) {
        let sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        until(|| !self.ask(sleeping).is_empty());
    }
}

#[test]
fn executors_killed_while_they_write_to_postgresql_and_its_crash_leave_each_row_once() {
    let Some(postgres) = Postgres::start("postgres-kill") else { return };
    let psql = Psql::new(&postgres);
    psql.ask(&format!(
        "{WRITERS};
        CREATE TABLE ledger (key TEXT NOT NULL, value TEXT NOT NULL, n BIGSERIAL);
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_sleep(0.7); RETURN NEW; END';
        CREATE TRIGGER slow BEFORE UPDATE OF number ON wavetank_writers
            FOR EACH ROW EXECUTE FUNCTION slow();"
    ));
    let ledger = Ledger::submit("postgres-killed", "bank-ledger", &postgres.url());
    psql.until_written();
    ledger.kill_executors();
    psql.until_written();
    postgres.crash();
    ledger.finish(Oracle::default(), || {
        Psql::new(&postgres).ask("SELECT key || ' ' || value FROM ledger ORDER BY n")
    });
    let writers = Psql::new(&postgres).ask("SELECT writer FROM wavetank_writers");
    assert_eq!(writers.iter().collect::<BTreeSet<_>>().len(), 2, "{writers:?}");
}
