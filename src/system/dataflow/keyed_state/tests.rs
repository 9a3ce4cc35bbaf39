use super::*;

fn state(subtask: u32, parallelism: u32) -> KeyedState<String, u64> {
    KeyedState::new(KeyGroupRange::of_subtask(subtask, parallelism, 16), 16)
}

fn filled() -> KeyedState<String, u64> {
    let mut whole = state(0, 1);
    for number in 0..100 {
        let mut slot = whole.slot(number.to_string()).unwrap();
        *slot.state() = number;
        slot.set_timer(true, Timestamp(100 - i64::try_from(number).unwrap())).unwrap();
        slot.set_timer(false, Timestamp(7)).unwrap();
    }
    whole
}

#[test]
fn a_state_is_kept_until_it_is_cleared() {
    let mut state = state(0, 1);
    *state.slot("a".to_string()).unwrap().state() += 2;
    assert_eq!(*state.slot("a".to_string()).unwrap().state(), 2);
    state.slot("a".to_string()).unwrap().keep(true).unwrap();
    assert_eq!((state.len(), *state.slot("a".to_string()).unwrap().state()), (0, 0));
}

#[test]
fn timers_come_in_order_and_once() {
    let mut state = filled();
    state.slot("7".to_string()).unwrap().delete_timer(true, Timestamp(93)).unwrap();
    let mut slot = state.slot("9".to_string()).unwrap();
    slot.set_timer(true, Timestamp(91)).unwrap();
    let due: Vec<_> = std::iter::from_fn(|| state.next_due(true, Timestamp(95))).collect();
    assert!(due.is_sorted_by_key(|(time, _)| *time) && due.len() == 94, "{}", due.len());
    assert_eq!(state.first_timer(true), Some(Timestamp(96)));
    assert_eq!(state.first_timer(false), Some(Timestamp(7)));
}

#[test]
fn a_snapshot_is_restored_by_key_groups_with_its_timers() {
    let whole = filled();
    let kept = whole.in_memory(true).unwrap();
    let mut parts = [state(0, 3), state(1, 3), state(2, 3)];
    parts.iter_mut().for_each(|part| part.restore(&kept).unwrap());
    assert_eq!(parts.iter().map(KeyedState::len).sum::<usize>(), 100);
    let joined: Vec<_> = parts.iter().flat_map(|part| part.in_memory(true).unwrap()).collect();
    assert_eq!(joined, kept);
    // In another order of insertion, the same bytes.
    let mut other = state(0, 1);
    for number in (0..100).rev() {
        *other.slot(number.to_string()).unwrap().state() = number;
    }
    let mut again = filled();
    while again.next_due(true, Timestamp::MAX).is_some() {}
    while again.next_due(false, Timestamp::MAX).is_some() {}
    assert_eq!(other.in_memory(true).unwrap(), again.in_memory(true).unwrap());
}

#[test]
fn a_damaged_or_misplaced_group_is_refused() {
    let mut whole = state(0, 1);
    assert!(whole.restore(&[(0, Bytes::from_static(b"\x07x"))]).is_err());
    drop(whole.slot("a".to_string()).unwrap());
    let (group, encoded) = whole.in_memory(true).unwrap().remove(0);
    assert!(state(0, 1).restore(&[((group + 1) % 16, encoded)]).is_err());
}

const NOW: Timestamp = Timestamp(1_000);

/// Numbers as four bytes.
#[derive(Clone, Copy)]
struct Plain;

impl Encoding<u32> for Plain {
    fn form(&self) -> String {
        "four bytes".to_string()
    }

    fn encode(&self, value: &u32, into: &mut Vec<u8>) -> Result<(), Failure> {
        into.extend(value.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<u32, Failure> {
        Ok(u32::from_be_bytes(bytes.try_into()?))
    }
}

/// One handle of each kind.
struct Handles {
    value: ValueState<u32, Plain>,
    list: ListState<String>,
    map: MapState<String, u64>,
    greatest: ReducingState<u64, fn(u64, u64) -> u64>,
}

impl Handles {
    fn new() -> Self {
        Handles {
            value: ValueState::new("value").with_encoding(Plain),
            list: ListState::new("list"),
            map: MapState::new("map"),
            greatest: ReducingState::new("greatest", u64::max),
        }
    }

    fn declare(&mut self, states: &mut States) {
        states.declare(&mut self.value).declare(&mut self.list);
        states.declare(&mut self.map).declare(&mut self.greatest);
    }
}

fn declared(handles: &mut Handles, mut state: KeyedState<String, u64>) -> KeyedState<String, u64> {
    let mut states = States::default();
    handles.declare(&mut states);
    states.check().unwrap();
    state.states = states;
    state
}

/// Calls a function with what is kept of a key under a handle's name.
macro_rules! kept {
    ($state:expr, $handle:expr) => {
        $handle.open(|declared| $state.entries(declared, NOW)).unwrap()
    };
}

#[test]
fn what_is_kept_under_a_name_is_apart_by_key_and_by_name_and_goes_with_its_key_group() {
    let mut handles = Handles::new();
    let mut whole = declared(&mut handles, state(0, 1));
    for number in 0..60_u32 {
        let mut slot = whole.slot(format!("k{number}")).unwrap();
        kept!(slot, handles.value).set(&number).unwrap();
        for more in 0..number % 4 {
            kept!(slot, handles.list).add(&format!("{number}.{more}")).unwrap();
            kept!(slot, handles.map).insert(&format!("m{more}"), &u64::from(more)).unwrap();
            kept!(slot, handles.greatest).add(u64::from(more)).unwrap();
        }
        slot.keep(true).unwrap();
    }
    let snapshot = whole.in_memory(true).unwrap();
    let mut parts = [0, 1, 2].map(|subtask| {
        let mut part = declared(&mut handles, state(subtask, 3));
        part.restore(&snapshot).unwrap();
        part
    });
    let joined: Vec<_> = parts.iter().flat_map(|part| part.in_memory(true).unwrap()).collect();
    assert_eq!(joined, snapshot);
    let mut found = 0;
    for number in 0..60_u32 {
        let key = format!("k{number}");
        let group = key_group(&encode(&key).unwrap(), 16);
        let part = parts.iter_mut().find(|part| part.owned.contains(group)).unwrap();
        let mut slot = part.slot(key).unwrap();
        assert_eq!(kept!(slot, handles.value).get().unwrap(), Some(number));
        let more = 0..number % 4;
        let list: Vec<_> = more.clone().map(|more| format!("{number}.{more}")).collect();
        assert_eq!(kept!(slot, handles.list).get().unwrap(), list);
        let map: Vec<_> = more.clone().map(|more| (format!("m{more}"), u64::from(more))).collect();
        assert_eq!(kept!(slot, handles.map).entries().unwrap(), map);
        assert_eq!(
            kept!(slot, handles.map).get(&"m1".to_string()).unwrap().is_some(),
            more.len() > 1
        );
        assert_eq!(kept!(slot, handles.greatest).get().unwrap(), more.last().map(u64::from));
        found += list.len();
    }
    assert_eq!(found, 90);
}

#[test]
fn what_is_cleared_is_gone_and_nothing_else() {
    let mut handles = Handles::new();
    let mut state = declared(&mut handles, state(0, 1));
    let mut slot = state.slot("a".to_string()).unwrap();
    kept!(slot, handles.value).set(&1).unwrap();
    kept!(slot, handles.list).add(&"x".to_string()).unwrap();
    kept!(slot, handles.map).insert(&"x".to_string(), &1).unwrap();
    kept!(slot, handles.map).insert(&"y".to_string(), &2).unwrap();
    kept!(slot, handles.list).clear().unwrap();
    kept!(slot, handles.map).remove(&"x".to_string()).unwrap();
    assert_eq!(kept!(slot, handles.list).get().unwrap(), [""; 0]);
    assert_eq!(kept!(slot, handles.map).entries().unwrap(), [("y".to_string(), 2)]);
    kept!(slot, handles.map).clear().unwrap();
    kept!(slot, handles.greatest).clear().unwrap();
    assert_eq!(kept!(slot, handles.value).get().unwrap(), Some(1));
    kept!(slot, handles.value).clear().unwrap();
    slot.keep(true).unwrap();
    assert_eq!(state.in_memory(true).unwrap(), []);
}

#[test]
fn what_is_older_than_its_time_to_live_is_not_there_and_is_swept_away() {
    let ttl = StateTtl::new(std::time::Duration::from_millis(10));
    let mut written = MapState::<u64, u64>::new("written").with_ttl(ttl);
    let mut read = ValueState::<u64>::new("read").with_ttl(ttl.refreshed_by_reads());
    let mut states = States::default();
    states.declare(&mut written).declare(&mut read);
    let mut state = state(0, 1);
    state.states = states;
    let at = |state: &mut KeyedState<String, u64>, key: u64, time: i64, value: u64| {
        let mut slot = state.slot(key.to_string()).unwrap();
        let now = Timestamp(time);
        let mut map = written.open(|declared| slot.entries(declared, now)).unwrap();
        map.insert(&value, &value).unwrap();
        slot.keep(true).unwrap();
    };
    let seen = |state: &mut KeyedState<String, u64>, key: u64, time: i64| {
        let mut slot = state.slot(key.to_string()).unwrap();
        let now = Timestamp(time);
        let map = written.open(|declared| slot.entries(declared, now)).unwrap().entries().unwrap();
        map.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
    };
    at(&mut state, 1, 0, 1);
    at(&mut state, 1, 5, 2);
    assert_eq!(seen(&mut state, 1, 9), [1, 2]);
    assert_eq!(seen(&mut state, 1, 10), [2]);
    assert!(seen(&mut state, 1, 15).is_empty());
    let mut slot = state.slot("r".to_string()).unwrap();
    for (time, expected) in [(0, None), (9, Some(7)), (18, Some(7)), (28, None)] {
        let now = Timestamp(time);
        let mut value = read.open(|declared| slot.entries(declared, now)).unwrap();
        assert_eq!(value.get().unwrap(), expected, "at {time}");
        if time == 0 {
            value.set(&7).unwrap();
        }
    }
    drop(slot);
    (2..40).for_each(|key| at(&mut state, key, 20, key));
    let count = |state: &KeyedState<String, u64>| match &state.table {
        Table::Heap { table, .. } => table.of_states.len(),
        Table::Disk(_) => unreachable!("it is on the heap"),
    };
    assert_eq!(count(&state), 2 + 1 + 38);
    // Three goes at 15 each see all 41.
    (0..3).for_each(|_| state.sweep(Timestamp(27), 15).unwrap());
    assert_eq!(count(&state), 1 + 38, "the two of the first key are gone");
    (0..4).for_each(|_| state.sweep(Timestamp(30), 15).unwrap());
    assert_eq!(count(&state), 0);
}

#[test]
fn a_state_is_found_by_its_name_and_refused_as_another_one() {
    let mut handles = Handles::new();
    let mut states = States::default();
    handles.declare(&mut states);
    let kept = states.to_keep().to_vec();
    // The same in another order, and one more: each has its number still.
    let mut again = States::kept(kept.clone());
    let mut more = ValueState::<u64>::new("more");
    let mut map = MapState::<String, u64>::new("map");
    again.declare(&mut more).declare(&mut map);
    again.check().unwrap();
    assert_eq!(again.to_keep()[..4], kept);
    assert_eq!(again.to_keep().len(), 5);
    let refused = |state: &mut dyn FnMut(&mut States)| {
        let mut states = States::kept(kept.clone());
        state(&mut states);
        states.check().unwrap_err().0
    };
    let why = refused(&mut |states| _ = states.declare(&mut ListState::<String>::new("map")));
    assert!(why.contains("is a List where a Map was kept"), "{why}");
    let why = refused(&mut |states| _ = states.declare(&mut ListState::<u64>::new("list")));
    assert!(why.contains("of another type"), "{why}");
    let why = refused(&mut |states| _ = states.declare(&mut ValueState::<u32>::new("value")));
    assert!(why.contains("of another type"), "its encoding is another: {why}");
    let ttl = StateTtl::new(std::time::Duration::from_secs(1));
    let why = refused(&mut |states| {
        states.declare(&mut ListState::<String>::new("list").with_ttl(ttl));
    });
    assert!(why.contains("time-to-live"), "{why}");
    let why = refused(&mut |states| {
        states.declare(&mut ValueState::<u64>::new("x")).declare(&mut ValueState::<u64>::new("x"));
    });
    assert!(why.contains("two states"), "{why}");
    let undeclared = ValueState::<u64>::new("never");
    let mut state = state(0, 1);
    let mut slot = state.slot("a".to_string()).unwrap();
    let opened = undeclared.open(|declared| slot.entries(declared, NOW));
    assert!(opened.is_err_and(|why| why.0.contains("not declared")));
}

#[test]
fn former_subtasks_agree_on_their_states() {
    let mut states = States::default();
    Handles::new().declare(&mut states);
    let all = states.to_keep().to_vec();
    let joined_all = joined([all[..2].to_vec(), all.clone(), Vec::new()]).unwrap();
    assert_eq!(joined_all, all);
    let mut other = States::default();
    other.declare(&mut ValueState::<u64>::new("value"));
    assert!(joined([all.clone(), other.to_keep().to_vec()]).is_err());
    assert!(joined([all[1..].to_vec()]).is_err(), "numbers are places");
}
