use super::{
    super::testing_jobs::{stored_with as stored, *},
    StateFollowsInput,
};
use crate::{
    jobs::{
        common::{JobOracle, JobSettings},
        word_count::{Oracle, topics, word_count},
    },
    system::{
        connector::{Input, LogSourceParameters},
        dataflow::{Emitted, Text},
        graph::{OperatorState, StateHandle, TaskState, key_group},
        store::CompletedCheckpoint,
    },
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Subtasks of each vertex.
const SUBTASKS: u32 = 2;

fn encoded(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("it can be encoded")
}

fn line(partition: u32, offset: u64, text: &'static str) -> LogEvent {
    LogEvent::Appended {
        topic: topics(1).input,
        partition,
        offset,
        producer: "writer".to_string(),
        records: vec![Bytes::from_static(text.as_bytes())],
    }
}

/// A subtask of the source at an offset of its partition; before the count waits a word for each of these.
fn reading(partition: u32, offset: u64, waiting: &[&str]) -> TaskState {
    let offsets = encoded(&BTreeMap::from([(partition, offset)]));
    let own = encoded(&(Bytes::from(offsets), Vec::<Bytes>::new()));
    let mut records = Vec::new();
    for word in waiting {
        let value = encoded(word);
        records.extend(u32::try_from(value.len() + 1).expect("short").to_le_bytes());
        records.push(0);
        records.extend(value);
    }
    let count = u32::try_from(waiting.len()).expect("few");
    let emitted = vec![(0_u32, 0_u32, Emitted::Records(count, records.into()))];
    let emitted = if waiting.is_empty() { Vec::new() } else { encoded(&emitted) };
    let source = OperatorState { own: own.into(), ..OperatorState::default() };
    TaskState {
        finished: false,
        operators: vec![("source".to_string(), source)],
        emitted: emitted.into(),
    }
}

fn counting(counts: &[(&str, u64)]) -> TaskState {
    let mut groups = BTreeMap::<u32, Vec<(Text, u64)>>::new();
    for (word, count) in counts {
        let group = key_group(&encoded(word), 128);
        groups.entry(group).or_default().push(((*word).into(), *count));
    }
    let none = Vec::<(i64, Text)>::new;
    let keyed = groups
        .into_iter()
        .map(|(group, entries)| (group, Bytes::from(encoded(&(entries, none(), none())))));
    let state = OperatorState { keyed: keyed.collect(), ..OperatorState::default() };
    TaskState {
        finished: false,
        operators: vec![("count".to_string(), state)],
        emitted: Bytes::new(),
    }
}

/// A history of a word count in which a checkpoint of these parts is about to be complete.
fn taken(lines: &[(u32, u64, &'static str)], parts: [TaskState; 4]) -> History<StateFollowsInput> {
    let state = Oracle::default().keyed_state().expect("it says what it keeps");
    let input = Input::Log(LogSourceParameters::new(&topics(1).input, vec![9, 9]));
    let settings = JobSettings { parallelism: SUBTASKS, ..JobSettings::default() };
    let graph = word_count(JOB, input, "counts", &settings).expect("sound");
    let graph = put(store::graph_key(JOB), encoded(&graph));
    let mut history = History::of(StateFollowsInput::new(JOB, &topics(1), state))
        .holds(process(0, 1), committed(1, vec![graph]));
    for (partition, offset, text) in lines {
        history = history.holds(process(3, 1), line(*partition, *offset, text));
    }
    let mut states = Vec::new();
    for (place, part) in (0..).zip(parts) {
        let (vertex, subtask) = (place / SUBTASKS, place % SUBTASKS);
        let of = ExecutionVertexId { vertex: JobVertexId(vertex), subtask };
        let (name, bytes) = (format!("{JOB}/chk-3/{vertex}-{subtask}-1"), encoded(&part));
        // One goes with its handle.
        let handle = match place {
            0 => StateHandle::inline(bytes.into()),
            _ => {
                let length = bytes.len() as u64;
                history = history.holds(process(2, 1), stored(name.clone(), bytes));
                StateHandle::object(name, length)
            }
        };
        states.push((of, handle));
    }
    let checkpoint =
        CompletedCheckpoint { id: CheckpointId(3), states, last: false, savepoint: None };
    history.holds(process(2, 1), stored(metadata(3), encoded(&checkpoint)))
}

fn complete() -> CoordinationEvent {
    committed(2, vec![pointer(3)])
}

const LINES: [(u32, u64, &str); 3] = [(0, 0, "a b a"), (0, 1, "c"), (1, 0, "a")];

fn read(waiting: &[&str]) -> [TaskState; 2] {
    [reading(0, 1, waiting), reading(1, 1, &[])]
}

fn of(sources: [TaskState; 2], counts: [TaskState; 2]) -> History<StateFollowsInput> {
    let ([a, b], [c, d]) = (sources, counts);
    taken(&LINES, [a, b, c, d])
}

#[test]
fn counts_up_to_the_offsets_are_accepted_with_what_waits() {
    let checked = of(read(&[]), [counting(&[("a", 3)]), counting(&[("b", 1)])])
        .holds(process(0, 1), complete());
    assert_eq!(checked.last(), &Check::Passed);
    of(read(&["a", "b"]), [counting(&[("a", 2)]), counting(&[])]).holds(process(0, 1), complete());
}

#[test]
fn a_record_too_many_too_few_and_at_another_cut_is_refused() {
    let refused = |waiting: &[&str], one: &[(&str, u64)], other: &[(&str, u64)]| {
        of(read(waiting), [counting(one), counting(other)]).breaks(process(0, 1), complete());
    };
    refused(&[], &[("a", 2)], &[("b", 1)]);
    refused(&[], &[("a", 3)], &[]);
    refused(&[], &[("a", 3)], &[("b", 1), ("c", 1)]);
    refused(&["b"], &[("a", 3)], &[("b", 1)]);
    refused(&["a"], &[("a", 3)], &[("b", 1)]);
}

#[test]
fn a_key_that_two_subtasks_hold_is_refused() {
    of(read(&[]), [counting(&[("a", 3)]), counting(&[("a", 3), ("b", 1)])])
        .breaks(process(0, 1), complete());
}

#[test]
fn a_cut_behind_the_input_and_one_that_goes_back_are_judged() {
    let counts = || [counting(&[("a", 3), ("c", 1)]), counting(&[("b", 1)])];
    let beyond = [reading(0, 3, &[]), reading(1, 1, &[])];
    of(beyond, counts()).breaks(process(0, 1), complete());
    let sources = [reading(0, 2, &[]), reading(1, 1, &[])];
    of(sources.clone(), counts())
        .holds(process(0, 1), complete())
        .holds(process(0, 1), committed(3, vec![pointer(3)]));
}

#[test]
fn what_nobody_was_told_of_is_not_judged() {
    let none = of(read(&[]), [counting(&[]), counting(&[])]);
    let recovered = ObjectStoreEvent::Recovered {
        objects: vec![(metadata(3), 1, 1), (format!("{JOB}/chk-3/1-0-1"), 1, 1)],
        sealed: Vec::new(),
    };
    let checked = none.holds(process(2, 2), recovered).holds(process(0, 1), complete());
    assert_eq!(checked.last(), &Check::Ignored);
}
