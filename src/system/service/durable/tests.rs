//! Damage by hand, in both worlds: the disk is the simulated one or a folder of the real one.

use super::*;
use crate::host::{Host, run_two};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    future::{Future, pending},
    sync::{Arc, Mutex},
};

const FOLDER: &str = "state";
const SMALL_SEGMENT: u64 = 1500;

type Record = (u64, String);

/// Remembers every record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
struct All(Vec<Record>);

impl Durable for All {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        self.0.push(record.clone());
    }
}

fn record(n: u64) -> Record {
    // Zeros too: what is empty must not look like what is missing.
    let key = if n.is_multiple_of(2) { "key" } else { "\0\0\0" };
    (n, key.repeat(usize::try_from(n % 5 * 97).expect("small")))
}

fn records(numbers: std::ops::Range<u64>) -> Vec<Record> {
    numbers.map(record).collect()
}

/// Runs a test on a node with an empty disk.
fn on_a_node<T, F>(test: impl FnOnce(Host) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let found = Arc::new(Mutex::new(None));
    let place = found.clone();
    run_two(
        |_| pending(),
        |host| {
            let test = test(host);
            async move {
                let outcome = test.await;
                place.lock().expect("no panic under this lock").replace(outcome);
            }
        },
    );
    let outcome = found.lock().expect("no panic under this lock").take();
    outcome.expect("the test came to its end")
}

async fn recover(disk: &Disk) -> Result<(DurableLog<All>, All), DurableError> {
    DurableLog::recover_segments(disk.clone(), FOLDER, SMALL_SEGMENT).await
}

async fn segmented(disk: &Disk) -> Result<SegmentedLog<Record>, DurableError> {
    SegmentedLog::open(disk.clone(), FOLDER, SMALL_SEGMENT).await
}

type Files = BTreeMap<String, Bytes>;

async fn files(disk: &Disk) -> Files {
    let mut files = Files::new();
    for name in disk.list(FOLDER).await.expect("a good disk") {
        let file = disk.open(&format!("{FOLDER}/{name}"), OpenMode::Read).await;
        files.insert(name, read_whole(&file.expect("it is there")).await.expect("a good disk"));
    }
    files
}

/// Makes this the file's content; `None` removes it.
async fn replace(disk: &Disk, name: &str, content: Option<Bytes>) {
    let path = format!("{FOLDER}/{name}");
    let Some(content) = content else {
        disk.remove(&path).await.expect("it is there");
        return;
    };
    let file = disk.open(&path, OpenMode::Create).await.expect("a good disk");
    file.truncate(0).await.expect("a good disk");
    file.write_at(0, content).await.expect("a good disk");
    file.sync().await.expect("a good disk");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Append(u64),
    Snapshot,
    Reopen,
}

#[derive(Clone, Debug)]
enum Blow {
    Cut(prop::sample::Index),
    CutAtSector(prop::sample::Index),
    Empty,
    Delete,
    SetBack(prop::sample::Index),
    Flip(prop::sample::Index, u32),
}

impl Blow {
    /// What is left of a file that had these versions, the last of which may be gone.
    fn strike(&self, versions: &[Bytes]) -> Option<Bytes> {
        let last = versions.last().expect("a version at least").clone();
        match self {
            Blow::Cut(at) => Some(last.slice(..at.index(last.len() + 1))),
            Blow::CutAtSector(at) => Some(last.slice(..at.index(last.len() / 512 + 1) * 512)),
            Blow::Empty => Some(Bytes::new()),
            Blow::Delete => None,
            Blow::SetBack(version) => Some(version.get(versions).clone()),
            Blow::Flip(_, _) if last.is_empty() => Some(last),
            Blow::Flip(at, bit) => {
                let mut bytes = last.to_vec();
                bytes[at.index(last.len())] ^= 1 << bit;
                Some(bytes.into())
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..4u64).prop_map(Step::Append),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Reopen),
    ]
}

fn blow() -> impl Strategy<Value = Blow> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        place().prop_map(Blow::Cut),
        place().prop_map(Blow::CutAtSector),
        Just(Blow::Empty),
        Just(Blow::Delete),
        place().prop_map(Blow::SetBack),
        (place(), 0..8u32).prop_map(|(at, bit)| Blow::Flip(at, bit)),
    ]
}

/// Takes the steps; returns how many records were answered and each file's versions.
async fn take(disk: &Disk, steps: &[Step]) -> (u64, BTreeMap<String, Vec<Bytes>>) {
    let (mut log, mut state) = recover(disk).await.expect("a new folder");
    let (mut answered, mut versions) = (0, BTreeMap::<String, Vec<Bytes>>::new());
    for step in steps {
        match step {
            Step::Append(count) => {
                let batch = records(answered..answered + count);
                log.append(&batch).await.expect("a good disk");
                state.0.extend(batch);
                answered += count;
            }
            Step::Snapshot if log.log.snapshot().map_or(0, |extent| extent.first) < answered => {
                log.snapshot(&state).await.expect("a good disk");
            }
            Step::Snapshot => {}
            Step::Reopen => (log, state) = recover(disk).await.expect("a clean end"),
        }
        assert_eq!(state.0, records(0..answered));
        for (name, content) in files(disk).await {
            let versions = versions.entry(name).or_default();
            if versions.last() != Some(&content) {
                versions.push(content);
            }
        }
    }
    (answered, versions)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Also when the file was one that the log needs no more.
    #[test]
    fn damage_to_any_one_file_is_refused_or_loses_nothing_that_was_answered(
        steps in prop::collection::vec(step(), 1..12),
        file: prop::sample::Index,
        blow in blow(),
    ) {
        let found = on_a_node(async move |host: Host| {
            let disk = host.disk();
            let (answered, versions) = take(&disk, &steps).await;
            let names: Vec<&String> = versions.keys().collect();
            let name = *file.get(&names);
            let (was, left) = (files(&disk).await.remove(name), blow.strike(&versions[name]));
            if was == left || left.is_none() && was.is_none() {
                return Ok(());
            }
            replace(&disk, name, left).await;
            let told = format!("{blow:?} of {name}");
            match recover(&disk).await {
                Err(DurableError::Corrupt { .. }) => Ok(()),
                Err(error) => Err(format!("{told}: {error}")),
                Ok((_, state)) if state.0 != records(0..answered) => {
                    Err(format!("{told}: {} of {answered} served", state.0.len()))
                }
                Ok((mut log, _)) => {
                    log.append(&[record(answered)]).await.expect("a good disk");
                    match recover(&disk).await {
                        Ok((_, state)) if state.0 == records(0..answered + 1) => Ok(()),
                        other => Err(format!("{told}, then: {:?}", other.map(|(_, state)| state))),
                    }
                }
            }
        });
        prop_assert_eq!(found, Ok(()));
    }

    /// A crash between the two syncs of a batch.
    #[test]
    fn a_log_that_is_longer_than_its_seal_keeps_what_is_whole(
        steps in prop::collection::vec(step(), 0..8),
        tail in 1..4u64,
        missing in prop::collection::vec(any::<bool>(), 1..9),
        ends_early: bool,
    ) {
        let kept = on_a_node(async move |host: Host| {
            let disk = host.disk();
            let (answered, _) = take(&disk, &steps).await;
            let (mut log, _) = recover(&disk).await.expect("a clean end");
            log.append(&[record(answered)]).await.expect("a good disk");
            let before = files(&disk).await;
            log.append(&records(answered + 1..answered + 1 + tail)).await.expect("a good disk");
            let mut after = files(&disk).await;
            after.retain(|name, _| name.starts_with("log-"));
            let (name, bytes) = after.pop_last().expect("a segment");
            // A segment was begun for that batch.
            let Some(sealed) = before.get(&name).map(Bytes::len) else { return Ok(()) };
            let mut bytes = bytes.to_vec();
            tear(&mut bytes, sealed, &missing, ends_early);
            replace(&disk, "seal", Some(before["seal"].clone())).await;
            replace(&disk, &name, Some(bytes.into())).await;
            let (_, state) = recover(&disk).await.map_err(|error| error.to_string())?;
            let whole = records(0..answered + 1 + tail).starts_with(&state.0);
            match whole && state.0.len() as u64 > answered {
                true => Ok(()),
                false => Err(format!("{} of {} left", state.0.len(), answered + 1)),
            }
        });
        prop_assert_eq!(kept, Ok(()));
    }

    #[test]
    fn a_reader_finds_every_record_through_the_indexes_and_retention_removes_whole_segments(
        batches in prop::collection::vec(1..9u64, 1..30),
        from: prop::sample::Index,
        below: prop::sample::Index,
    ) {
        on_a_node(async move |host: Host| {
            let disk = host.disk();
            let mut log = segmented(&disk).await.expect("a new folder");
            let mut all = 0;
            for batch in batches {
                log.append(&records(all..all + batch)).await.expect("a good disk");
                all += batch;
            }
            let from = from.index(usize::try_from(all).expect("few") + 1) as u64;
            assert_eq!(read(&log, from).await, records(from..all));
            let below = below.index(usize::try_from(all).expect("few") + 1) as u64;
            let bytes = log.bytes();
            log.remove_below(below, None).await.expect("a good disk");
            for _ in 0..2 {
                let oldest = log.oldest();
                assert!(oldest <= below && log.bytes() <= bytes);
                let kept = from.max(oldest);
                assert_eq!(read(&log, kept).await, records(kept..all));
                let names = files(&disk).await.into_keys();
                let firsts = names.filter_map(|name| name.strip_prefix("log-")?.parse().ok());
                assert_eq!(firsts.min(), Some(oldest));
                log = segmented(&disk).await.expect("a clean end");
            }
            assert_eq!(log.records(), all);
        });
    }
}

async fn read(log: &SegmentedLog<Record>, from: u64) -> Vec<Record> {
    let mut reader = log.reader(from).await.expect("a log");
    let (mut found, mut next) = (Vec::new(), from);
    while let Some((number, record)) = reader.next().await.expect("a good disk") {
        assert_eq!(number, next);
        next += 1;
        found.push(record);
    }
    found
}

/// Leaves out sectors of what was written from `sealed` on.
fn tear(bytes: &mut Vec<u8>, sealed: usize, missing: &[bool], ends_early: bool) {
    let first = sealed / 512;
    let sectors = (first..=bytes.len() / 512).zip(missing.iter().cycle());
    for (sector, _) in sectors.filter(|(_, missing)| **missing) {
        let from = sealed.max(sector * 512);
        let to = bytes.len().min((sector + 1) * 512);
        bytes[from..to].fill(0);
    }
    let edge = (first + 1) * 512;
    if ends_early && edge < bytes.len() {
        bytes.truncate(edge);
    }
}

/// What the log says after one file of a few records became this.
fn told(name: &'static str, damage: fn(Bytes) -> Option<Bytes>) -> String {
    on_a_node(async move |host: Host| {
        let disk = host.disk();
        let (mut log, _) = recover(&disk).await.expect("a new folder");
        for n in 0..5 {
            log.append(&[record(n)]).await.expect("a good disk");
        }
        let was = files(&disk).await[name].clone();
        replace(&disk, name, damage(was)).await;
        let mut told = Vec::new();
        // Refused again and again, and nothing is removed meanwhile.
        for _ in 0..2 {
            told.push(recover(&disk).await.err().expect("it is refused").to_string());
        }
        assert_eq!(told[0], told[1]);
        told.remove(0)
    })
}

#[test]
fn a_refusal_names_file_offset_and_what_to_do() {
    const LOG: &str = "log-00000000000000000000";
    let advice = "Nothing of state/ is served: put the file back as it was when the server ran last, \
                  or remove the whole folder state/ to begin anew without what it held";
    let refused = |file: &str, damage: &str, told: String| {
        assert_eq!(told, format!("state/{file} is corrupt at byte {damage}. {advice}"));
    };
    let ends = |at| format!("{at}: the file ends there, but 1900 bytes of it had been synced");
    refused(LOG, &ends(512), told(LOG, |was| Some(was.slice(..512))));
    refused(LOG, &ends(1000), told(LOG, |was| Some(was.slice(..1000))));
    refused(LOG, &ends(0), told(LOG, |_| Some(Bytes::new())));
    refused(LOG, "0: the file is missing", told(LOG, |_| None));
    let zeroed = told(LOG, |was| Some([&was[..1024], &vec![0; was.len() - 1024]].concat().into()));
    assert!(zeroed.contains("what stands there is not what was written"), "{zeroed}");
    let unsealed = "0: there is no seal, but there is what it has to cover";
    refused("seal", unsealed, told("seal", |_| None));
    refused("seal", unsealed, told("seal", |_| Some(Bytes::new())));
    refused(
        "seal",
        "0: what stands there is not what was written",
        told("seal", |was| Some(was.iter().map(|byte| byte ^ 1).collect())),
    );
}

#[test]
fn a_folder_without_log_and_seal_is_a_new_one() {
    on_a_node(async |host: Host| {
        let disk = host.disk();
        segmented(&disk).await.expect("a new folder");
        // Power may go while the folder is made.
        replace(&disk, "seal", None).await;
        let (mut log, _) = recover(&disk).await.expect("nothing was ever answered");
        log.append(&records(0..3)).await.expect("a good disk");
        for name in files(&disk).await.into_keys() {
            replace(&disk, &name, None).await;
        }
        let (_, state) = recover(&disk).await.expect("a new folder");
        assert_eq!(state, All::default());
    });
}
