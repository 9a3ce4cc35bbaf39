//! Whether calls that were made at one time could have been made in turn.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use wavetank::system::service::object_store::{
    ObjectStoreRefusal, ObjectSum, RenameOf, Renaming, prefixes,
};

/// What is asked; a content is a number.
#[derive(Clone, Debug)]
pub enum Call {
    Put(String, u64),
    Get(String),
    Delete(String),
    Seal(String),
    Rename(String, String, u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    Content(u64),
    Refused(ObjectStoreRefusal),
    Unknown,
}

/// A call with when it was made and answered.
#[derive(Clone, Debug)]
pub struct Entry {
    pub call: Call,
    pub answer: Answer,
    pub began: u64,
    pub ended: u64,
}

/// One order of all that is noted.
#[derive(Default)]
pub struct Clock {
    ticks: AtomicU64,
    rounds: Mutex<BTreeMap<u64, Vec<Entry>>>,
}

impl Clock {
    pub fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }

    pub fn note(&self, round: u64, entry: Entry) {
        self.rounds.lock().expect("no panic").entry(round).or_default().push(entry);
    }

    pub fn rounds(&self) -> BTreeMap<u64, Vec<Entry>> {
        self.rounds.lock().expect("no panic").clone()
    }
}

/// Objects and sealed prefixes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    objects: BTreeMap<String, u64>,
    sealed: BTreeSet<String>,
}

/// A call that could come next.
struct Step {
    state: State,
    answer: Answer,
    /// The name that goes in a second step: a rename has two, and others may see the object under both names between.
    goes: Option<String>,
}

impl State {
    fn is_sealed(&self, name: &str) -> bool {
        prefixes(name).any(|prefix| self.sealed.contains(prefix))
    }

    fn after(&self, call: &Call) -> Step {
        let mut state = self.clone();
        let mut goes = None;
        let answer = match call {
            Call::Put(name, _) if self.is_sealed(name) => {
                Answer::Refused(ObjectStoreRefusal::Sealed)
            }
            Call::Put(name, content) => match state.objects.entry(name.clone()).or_insert(*content)
            {
                there if there == content => Answer::Done,
                _ => Answer::Refused(ObjectStoreRefusal::Exists),
            },
            Call::Get(name) => self
                .objects
                .get(name)
                .map_or(Answer::Refused(ObjectStoreRefusal::NotFound), |there| {
                    Answer::Content(*there)
                }),
            Call::Delete(name) => {
                state.objects.remove(name);
                Answer::Done
            }
            Call::Seal(prefix) => {
                state.sealed.insert(prefix.clone());
                let is_left = |name: &str| !prefixes(name).any(|above| above == prefix);
                state.objects.retain(|name, _| is_left(name));
                Answer::Done
            }
            Call::Rename(from, to, content) => match self.rename(from, to, *content).decide() {
                Ok(renaming) => {
                    if renaming == Renaming::Moves {
                        state.objects.insert(to.clone(), *content);
                    }
                    goes = (renaming != Renaming::Done).then(|| from.clone());
                    Answer::Done
                }
                Err(refusal) => Answer::Refused(refusal),
            },
        };
        Step { state, answer, goes }
    }

    fn rename(&self, from: &str, to: &str, content: u64) -> RenameOf {
        // All contents are of one length, and told apart by what stands for a checksum.
        let sum = |content: u64| ObjectSum { length: 1, crc: content as u32 };
        let there = |name: &str| self.objects.get(name).map(|content| sum(*content));
        let (to_itself, sealed) = (from == to, self.is_sealed(to));
        RenameOf { content: sum(content), from: there(from), to: there(to), to_itself, sealed }
    }
}

/// Where a search is: what has come, and which names are still to go.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    state: State,
    done: BTreeSet<usize>,
    half: BTreeMap<usize, String>,
}

/// Whether there is an order in which each call comes between its beginning and its end and has the answer it had. What
/// has no answer comes at any time, or never.
pub fn has_an_order(entries: &[Entry]) -> bool {
    let (mut open, mut seen) = (vec![Place::default()], BTreeSet::new());
    while let Some(place) = open.pop() {
        let left = |at: &usize| !place.done.contains(at);
        let is_known = |at: &usize| entries[*at].answer != Answer::Unknown;
        let waiting: Vec<usize> = (0..entries.len()).filter(left).collect();
        let must_end = waiting.iter().copied().filter(is_known);
        let Some(first_end) = must_end.map(|at| entries[at].ended).min() else { return true };
        if !seen.insert(place.clone()) {
            continue;
        }
        for at in waiting.into_iter().filter(|at| entries[*at].began < first_end) {
            open.extend(next(&place, at, &entries[at]));
        }
    }
    false
}

fn next(place: &Place, at: usize, entry: &Entry) -> Option<Place> {
    let mut next = place.clone();
    if let Some(name) = next.half.remove(&at) {
        next.state.objects.remove(&name);
        next.done.insert(at);
        return Some(next);
    }
    let Step { state, answer, goes } = place.state.after(&entry.call);
    if entry.answer != Answer::Unknown && entry.answer != answer {
        return None;
    }
    next.state = state;
    match goes {
        Some(name) => drop(next.half.insert(at, name)),
        None => drop(next.done.insert(at)),
    }
    Some(next)
}

#[test]
fn an_order_is_found_where_there_is_one() {
    let entry = |call: Call, answer: Answer, (began, ended): (u64, u64)| Entry {
        call,
        answer,
        began,
        ended,
    };
    let name = || "a".to_string();
    let put = |content, answer, when| entry(Call::Put(name(), content), answer, when);
    let get = |answer, when| entry(Call::Get(name()), answer, when);
    let (exists, none) = (ObjectStoreRefusal::Exists, ObjectStoreRefusal::NotFound);
    let at_once = [
        put(1, Answer::Refused(exists.clone()), (0, 5)),
        put(0, Answer::Done, (1, 6)),
        get(Answer::Refused(none.clone()), (2, 3)),
    ];
    assert!(has_an_order(&at_once));
    let too_late = [put(0, Answer::Done, (1, 2)), get(Answer::Refused(none.clone()), (3, 4))];
    assert!(!has_an_order(&too_late));
    let lost = [put(0, Answer::Unknown, (1, 2)), get(Answer::Refused(none.clone()), (3, 4))];
    assert!(has_an_order(&lost));
    let comes = [&lost[..], &[get(Answer::Content(0), (5, 6)), get(Answer::Refused(none), (7, 8))]];
    assert!(!has_an_order(&comes.concat()), "it does not come and go");
    let moved = entry(Call::Rename(name(), "b".to_string(), 0), Answer::Done, (3, 8));
    let other = entry(Call::Get("b".to_string()), Answer::Content(0), (4, 5));
    let both =
        [put(0, Answer::Done, (1, 2)), moved.clone(), other, get(Answer::Content(0), (6, 7))];
    assert!(has_an_order(&both), "it is under both names for a moment");
    let back = [put(0, Answer::Done, (1, 2)), moved, get(Answer::Content(0), (9, 10))];
    assert!(!has_an_order(&back));
    let twice = [put(0, Answer::Done, (0, 9)), put(1, Answer::Done, (1, 8))];
    assert!(!has_an_order(&twice));
}
