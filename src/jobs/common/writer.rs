//! The writer of the lines that a job reads from its input topic.

use super::client::{create_topic, give_up};
use crate::{
    host::Host,
    system::{
        cluster::{ClusterConfig, bind},
        service::log::{Log, LogRefusal},
    },
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// Records appended by one call at most.
const APPEND_RECORDS_MAX: usize = 512;
/// Bytes appended by one call at most, give or take a record.
const APPEND_BYTES_MAX: usize = 1024 * 1024;

/// The lines of each input partition: dealt out in turns.
pub fn partition_lines(lines: &[Bytes], partitions: u32) -> Vec<Vec<Bytes>> {
    let mut dealt = vec![Vec::new(); partitions as usize];
    for (line, partition) in lines.iter().zip((0..partitions as usize).cycle()) {
        dealt[partition].push(line.clone());
    }
    dealt
}

/// Writes lines to an input topic, in batches of up to `batch` lines for each partition and a pause
/// between two, then stays for as long as its process lives. Begun anew, it goes on where it was. All partitions
/// but the `first` ones are added once half of what those have is written.
pub async fn run_writer_node(
    host: Host,
    config: ClusterConfig,
    topic: String,
    lines: Arc<Vec<Vec<Bytes>>>,
    first: usize,
    (batch, pause): (usize, Duration),
) {
    let Some(service) = bind(&host, 0).await else { return };
    let log = config.services(&service).log;
    let written = async {
        if first < lines.len() {
            let half = lines[..first].iter().map(|lines| lines[..lines.len() / 2].to_vec());
            let half: Vec<_> = half.collect();
            write_lines(&*log, &topic, &half, batch, pause).await?;
            let all = u32::try_from(lines.len()).expect("few partitions");
            log.add_partitions_until_acknowledged(&topic, all).await?;
        }
        write_lines(&*log, &topic, &lines, batch, pause).await
    };
    match written.await {
        Ok(()) => std::future::pending().await,
        Err(refusal) => give_up(&host, format!("the input topic: {refusal}")),
    }
}

/// Writes the lines of each partition to the input topic, from where it ends now.
///
/// # Errors
/// What the log server refuses.
pub async fn write_lines(
    log: &dyn Log,
    topic: &str,
    lines: &[Vec<Bytes>],
    batch: usize,
    pause: Duration,
) -> Result<(), LogRefusal> {
    let partitions = u32::try_from(lines.len()).expect("few partitions");
    create_topic(log, topic, partitions).await?;
    let mut next = log.end_offsets_until_acknowledged(topic).await?;
    while next.iter().zip(lines).any(|(next, lines)| *next < lines.len() as u64) {
        for (partition, lines) in lines.iter().enumerate() {
            append(log, (topic, partition), lines, &mut next[partition], batch).await?;
        }
        log.host().sleep(pause).await;
    }
    Ok(())
}

async fn append(
    log: &dyn Log,
    (topic, partition): (&str, usize),
    lines: &[Bytes],
    next: &mut u64,
    batch: usize,
) -> Result<(), LogRefusal> {
    let from = usize::try_from(*next).expect("no more than there are lines");
    let mut bytes = 0;
    let fits = |line: &&Bytes| {
        bytes += line.len();
        bytes <= APPEND_BYTES_MAX || bytes == line.len()
    };
    let taken = lines.get(from..).unwrap_or_default().iter();
    let records: Vec<Bytes> =
        taken.take(batch.min(APPEND_RECORDS_MAX)).take_while(fits).cloned().collect();
    if !records.is_empty() {
        let number = u32::try_from(partition).expect("few partitions");
        let producer = format!("writer-{partition}");
        *next = log.append_until_acknowledged(topic, number, &producer, *next, records).await?;
    }
    Ok(())
}
