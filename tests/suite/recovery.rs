//! A job whose checkpoints are not what its master left: hands have removed something while no manager ran, which no fault
//! of the simulation does. It never begins from the past in silence, says what a person can do, and goes on as soon as
//! all is back.

use super::{
    cluster::{JOB, Outside, generator, job, violations},
    savepoints::{NEXT, RECORDS, counts, goes_on},
};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};
use wavetank::{
    harness::check::Violation,
    system::{
        client::SavepointFailure,
        graph::{CheckpointSettings, JobGraph},
        ids::CheckpointId,
        protocol::{AfterSavepoint, JobDetails, JobStatus, SavepointRequest},
        sabotage,
        service::coordination::{Change, KeyPattern, Transaction},
        store::{CheckpointPointer, checkpoint_prefix, graph_key, object_prefix, pointer_prefix},
    },
};

const SAVEPOINT: &str = "savepoints/older";

/// Hands that take what is kept break what was promised of it.
const TAKEN: [&str; 1] = ["C5 retained-is-whole"];
/// What they take away and put back of the coordination service's keys is no master's, and looks like checkpoints that
/// nobody took.
const KEYS_CHANGED: [&str; 6] = [
    "C1 ids-grow",
    "C2 complete-means-all",
    "C5 retained-is-whole",
    "C8 one-outcome",
    "D5 no-cleanup-without-end",
    "L3 no-stale-write",
];

fn assert_only_hands_broke(broken: &[Violation], by_hand: &[&str]) {
    let others: Vec<_> = broken.iter().filter(|broken| !by_hand.contains(&broken.title)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

/// Keeps three checkpoints.
fn retaining() -> JobGraph {
    let graph = job(JOB, generator(RECORDS, 60));
    let checkpoints =
        CheckpointSettings { retained: 3, interval_ms: 400, ..CheckpointSettings::default() };
    JobGraph { checkpoints, ..graph }
}

/// All keys below one.
async fn keys(outside: &Outside, below: &str) -> BTreeMap<String, Vec<u8>> {
    let found = outside.services.coordination.read(&KeyPattern::Prefix(below.to_string())).await;
    let keys = found.expect("nothing befalls it").keys;
    keys.into_iter().map(|found| (found.key, found.value)).collect()
}

async fn pointers(outside: &Outside) -> Vec<CheckpointPointer> {
    let kept = keys(outside, &pointer_prefix(JOB)).await;
    kept.values().map(|value| postcard::from_bytes(value).expect("a pointer")).collect()
}

async fn change(outside: &Outside, changes: impl Iterator<Item = Change>) {
    let transaction = changes.fold(Transaction::new(), Transaction::then);
    outside.services.coordination.transact(transaction).await.expect("nothing befalls it");
}

async fn remove_keys(outside: &Outside, keys: &BTreeMap<String, Vec<u8>>) {
    change(outside, keys.keys().map(|key| Change::Delete { key: key.clone() })).await;
}

async fn put_keys(outside: &Outside, keys: &BTreeMap<String, Vec<u8>>) {
    let put = |(key, value): (&String, &Vec<u8>)| Change::Put {
        key: key.clone(),
        value: value.clone(),
        lease: None,
    };
    change(outside, keys.iter().map(put)).await;
}

async fn take_object(outside: &Outside, name: &str) -> Bytes {
    let objects = &outside.services.objects;
    let bytes = objects.get_until_acknowledged(name).await.expect("it is there");
    objects.delete_until_acknowledged(&[name.to_string()]).await.expect("a name");
    bytes
}

async fn put_back(outside: &Outside, name: &str, bytes: Bytes) {
    outside.services.objects.put_until_acknowledged(name, bytes).await.expect("there is room");
}

/// Everything that is kept of the job.
async fn kept(outside: &Outside) -> (Vec<String>, Vec<String>) {
    let objects = outside.services.objects.list_until_acknowledged(&object_prefix(JOB)).await;
    let mut keys: Vec<String> = keys(outside, &checkpoint_prefix(JOB)).await.into_keys().collect();
    keys.push(graph_key(JOB));
    (objects.expect("a name"), keys)
}

/// Runs a job until it keeps three checkpoints, and kills all job managers.
async fn interrupted(outside: &Outside) -> Vec<CheckpointPointer> {
    outside.client.submit(&retaining()).await.expect("a new job");
    while pointers(outside).await.len() < 3 {
        outside.service.host().sleep(Duration::from_millis(100)).await;
    }
    outside.managers.kill();
    pointers(outside).await
}

/// Boots the managers again: why the job does not go on.
async fn refused(outside: &Outside) -> String {
    outside.managers.boot();
    let told = async {
        loop {
            let details = outside.client.details(JOB).await;
            if let Ok(JobDetails { status: JobStatus::Created, cause: Some(cause), .. }) = details {
                return cause;
            }
            outside.service.host().sleep(Duration::from_millis(100)).await;
        }
    };
    in_time(outside, told).await
}

/// What must come within two minutes.
async fn in_time<T>(outside: &Outside, awaited: impl Future<Output = T>) -> T {
    outside.service.host().timeout(Duration::from_secs(120), awaited).await.expect("in time")
}

async fn savepoint(outside: &Outside, checkpoint: Option<CheckpointId>) -> Result<(), String> {
    let (path, then) = (SAVEPOINT.to_string(), AfterSavepoint::GoOn);
    let request = SavepointRequest { path, then, checkpoint };
    let taken = in_time(outside, outside.client.savepoint(JOB, &request)).await;
    taken.map_err(|failure| match failure {
        SavepointFailure::Failed(why) => why,
        other @ SavepointFailure::NoJob(_) => panic!("{other}"),
    })
}

async fn ends_whole(outside: &Outside) {
    let result = in_time(outside, outside.client.result(JOB)).await.expect("a known job");
    assert_eq!(result.status, JobStatus::Finished, "{result:?}");
    let (words, all) = counts(outside).await;
    assert_eq!((words.values().sum::<u64>(), all), (4 * RECORDS, 4 * RECORDS), "each once");
}

#[test]
fn metadata_that_is_gone_gives_way_to_nothing_older_and_what_is_said_to_help_does() {
    let broken = violations(None, |outside| async move {
        let pointers = interrupted(&outside).await;
        let [.., older, newest] = &pointers[..] else { panic!("{pointers:?}") };
        take_object(&outside, &newest.metadata).await;
        let before = kept(&outside).await;
        let why = refused(&outside).await;
        let said =
            format!("checkpoint {} can't be read: {}: no such object", newest.id, newest.metadata);
        assert!(why.contains(&said), "{why}");
        let command = format!("`cargo live savepoint {JOB} --checkpoint {}`", older.id);
        assert!(why.contains(&command), "{why}");
        assert!(why.contains("`cargo live submit word-count --from-savepoint PATH"), "{why}");
        // It stays so, and nothing of it goes.
        outside.service.host().sleep(Duration::from_secs(30)).await;
        assert_eq!(kept(&outside).await, before);
        // Who asks for a savepoint hears of it, and the damaged checkpoint is none.
        assert_eq!(savepoint(&outside, None).await, Err(why));
        let none = savepoint(&outside, Some(newest.id)).await.expect_err("it is damaged");
        assert!(none.contains("no such object"), "{none}");
        let objects = &outside.services.objects;
        objects.seal_until_acknowledged("sealed").await.expect("there is room");
        let (path, then) = ("sealed/older".to_string(), AfterSavepoint::GoOn);
        let request = SavepointRequest { path, then, checkpoint: Some(older.id) };
        let sealed = in_time(&outside, outside.client.savepoint(JOB, &request)).await;
        assert!(matches!(sealed, Err(SavepointFailure::Failed(_))), "{sealed:?}");
        savepoint(&outside, Some(older.id)).await.expect("it is whole");
        assert_eq!(kept(&outside).await, before, "a copy takes nothing away");
        outside.client.cancel(JOB).await.expect("it is known");
        let result = in_time(&outside, outside.client.result(JOB)).await.expect("a known job");
        assert_eq!(result.status, JobStatus::Canceled);
        outside.client.submit(&goes_on(NEXT, SAVEPOINT, 1)).await.expect("it fits");
        let result = in_time(&outside, outside.client.result(NEXT)).await.expect("a known job");
        assert_eq!(result.status, JobStatus::Finished, "{result:?}");
        let (words, all) = counts(&outside).await;
        assert_eq!(words.values().sum::<u64>(), 4 * RECORDS, "each word's last count is right");
        assert!(all >= 4 * RECORDS, "some may be put out again: {all}");
    });
    assert_only_hands_broke(&broken, &TAKEN);
}

#[test]
fn a_job_goes_on_by_itself_once_what_was_missing_is_back() {
    let broken = violations(None, |outside| async move {
        let pointers = interrupted(&outside).await;
        let oldest = pointers[0].clone();
        let metadata = take_object(&outside, &oldest.metadata).await;
        let why = refused(&outside).await;
        let newest = pointers.last().expect("there are three").id;
        assert!(why.contains(&format!("checkpoint {} can't be read", oldest.id)), "{why}");
        assert!(why.contains(&format!("--checkpoint {newest}`")), "{why}");
        put_back(&outside, &oldest.metadata, metadata).await;
        ends_whole(&outside).await;
    });
    assert_only_hands_broke(&broken, &TAKEN);
}

#[test]
fn metadata_that_is_rotten_or_a_part_that_is_gone_is_told_as_that() {
    let broken = violations(None, |outside| async move {
        let pointers = interrupted(&outside).await;
        let newest = pointers.last().expect("there are three");
        let metadata = take_object(&outside, &newest.metadata).await;
        put_back(&outside, &newest.metadata, Bytes::from_static(b"\xff\xff")).await;
        let why = refused(&outside).await;
        assert!(why.contains(&format!("{}: ", newest.metadata)), "{why}");
        outside.managers.kill();
        take_object(&outside, &newest.metadata).await;
        put_back(&outside, &newest.metadata, metadata).await;
        let prefix = format!("{}chk-{}/", object_prefix(JOB), newest.id);
        let part = outside.services.objects.list_until_acknowledged(&prefix).await.expect("a name");
        let part = part.into_iter().find(|name| *name != newest.metadata).expect("it has parts");
        let content = take_object(&outside, &part).await;
        let why = refused(&outside).await;
        assert!(why.contains(&format!("{part}: no such object")), "{why}");
        // One that is not whole is no way out.
        assert!(why.contains(&format!("--checkpoint {}`", pointers[1].id)), "{why}");
        put_back(&outside, &part, content).await;
        ends_whole(&outside).await;
    });
    assert_only_hands_broke(&broken, &TAKEN);
}

#[test]
fn pointers_that_are_gone_are_missed_and_so_are_older_ones_in_their_place() {
    let broken = violations(None, |outside| async move {
        let pointers = interrupted(&outside).await;
        let newest = pointers.last().expect("there are three").id;
        let gone = keys(&outside, &pointer_prefix(JOB)).await;
        remove_keys(&outside, &gone).await;
        let why = refused(&outside).await;
        assert!(why.contains("the coordination service points to no checkpoint"), "{why}");
        assert!(
            why.contains(&format!("the newest that was complete is checkpoint {newest}")),
            "{why}"
        );
        // It is whole in the object store all the same.
        assert!(why.contains(&format!("--checkpoint {newest}`")), "{why}");
        outside.managers.kill();
        let mut older = gone.clone();
        let last = older.pop_last().expect("there are three");
        put_keys(&outside, &older).await;
        let why = refused(&outside).await;
        let points = format!("points to checkpoint {}, and", pointers[1].id);
        assert!(why.contains(&points), "{why}");
        put_keys(&outside, &BTreeMap::from([last])).await;
        ends_whole(&outside).await;
    });
    assert_only_hands_broke(&broken, &KEYS_CHANGED);
}

/// All that the coordination service knows of the job but its graph is of before its first checkpoint.
#[test]
fn a_coordination_service_that_was_set_back_is_told_by_what_the_object_store_has() {
    let broken = violations(None, |outside| async move {
        interrupted(&outside).await;
        let all = keys(&outside, &checkpoint_prefix(JOB)).await;
        remove_keys(&outside, &all).await;
        let why = refused(&outside).await;
        assert!(why.contains("has given out no number from 1 on"), "{why}");
        put_keys(&outside, &all).await;
        ends_whole(&outside).await;
    });
    assert_only_hands_broke(&broken, &KEYS_CHANGED);
}

#[test]
fn a_job_that_begins_from_an_older_checkpoint_in_silence_is_caught() {
    let broken = violations(Some(sabotage::OLDER_CHECKPOINT_INSTEAD), |outside| async move {
        let pointers = interrupted(&outside).await;
        take_object(&outside, &pointers.last().expect("there are three").metadata).await;
        outside.managers.boot();
        let result = in_time(&outside, outside.client.result(JOB)).await.expect("a known job");
        assert_eq!(result.status, JobStatus::Finished);
    });
    assert!(broken.iter().any(|broken| broken.title.starts_with("C3")), "{broken:#?}");
}

/// What no hand has changed is as it was: killing the managers alone breaks nothing.
#[test]
fn a_job_whose_managers_were_killed_goes_on() {
    let broken = violations(None, |outside| async move {
        interrupted(&outside).await;
        outside.managers.boot();
        ends_whole(&outside).await;
    });
    assert_eq!(broken, []);
}
