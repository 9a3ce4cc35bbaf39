//! What the log server holds in memory while a topic has more than that: `--mib=N` of records are written to one topic,
//! 1,024 without it, and read back, beside what the server's process holds meanwhile.

use crate::{
    live_cluster::{Client, Cluster, memory, option},
    measure::{Effort, row},
};
use bytes::Bytes;
use std::time::{Duration, Instant};

const TOPIC: &str = "of-the-bench";
const PARTITIONS: u32 = 4;
const RECORD_BYTES: usize = 1_000;
/// Records of one append.
const BATCH: u64 = 500;

/// Prints what it came to.
pub fn live_log(effort: Effort) {
    let mib = option("mib", u64::from(1024 / effort.divisor));
    println!("live log: {mib} MiB in records of {RECORD_BYTES} bytes, {PARTITIONS} partitions");
    let cluster = Cluster::start("live-log");
    cluster.with_client(async |client| {
        let records = (mib << 20) / RECORD_BYTES as u64 / BATCH * BATCH;
        let server = cluster.processes()["log"];
        let resident = || memory(server, "VmRSS").expect("the log server runs");
        let before = resident();
        let begun = Instant::now();
        write(&client, records).await;
        let (written, after) = (begun.elapsed(), resident());
        let begun = Instant::now();
        let found = read(&client).await;
        assert_eq!(found, records, "all that was written is read");
        let rate = |time: Duration| format!("{:.0} MiB/s", mib as f64 / time.as_secs_f64());
        row("written", rate(written));
        row("read", rate(begun.elapsed()));
        row(
            "resident before, written, read",
            format!("{before:.1}, {after:.1}, {:.1} MiB", resident()),
        );
        let peak = memory(server, "VmHWM").expect("the log server runs");
        row("resident at most", format!("{peak:.1} MiB (aim 100)"));
    });
}

async fn write(client: &Client<'_>, records: u64) {
    let log = &client.services.log;
    log.create_topic_until_acknowledged(TOPIC, PARTITIONS).await.expect("it is new");
    let record = Bytes::from(vec![b'x'; RECORD_BYTES]);
    let mut next = [0; PARTITIONS as usize];
    for batch in 0..records / BATCH {
        let partition = u32::try_from(batch % u64::from(PARTITIONS)).expect("few partitions");
        let many = vec![record.clone(); usize::try_from(BATCH).expect("few")];
        let first = &mut next[partition as usize];
        let appended = log.append_until_acknowledged(TOPIC, partition, "bench", *first, many);
        *first = appended.await.expect("there is room");
    }
}

async fn read(client: &Client<'_>) -> u64 {
    let log = &client.services.log;
    let ends = log.end_offsets_until_acknowledged(TOPIC).await.expect("it is there");
    let mut found = 0;
    for (partition, end) in (0..).zip(ends) {
        let mut next = 0;
        while next < end {
            let page = log.read_until_acknowledged(TOPIC, partition, next, 10_000, Duration::ZERO);
            next += page.await.expect("it is kept").records.len() as u64;
        }
        found += next;
    }
    found
}
