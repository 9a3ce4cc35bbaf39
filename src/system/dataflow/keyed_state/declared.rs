//! The names under which a function keeps state by key, and the numbers that stand for them in what is kept.

use crate::system::dataflow::{failure::Failure, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most states that a function may declare, with those that were kept by former versions of it.
pub const STATES_MAX: usize = 200;

/// How long what is kept under a name lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTtl {
    /// Since it was written last; what is older by the time of day is as if it were not there, and is removed.
    pub after: Duration,
    /// Reading it counts as writing.
    pub refreshed_by_reads: bool,
}

impl StateTtl {
    /// So long since it was written last.
    pub fn new(after: Duration) -> Self {
        StateTtl { after, refreshed_by_reads: false }
    }

    /// So long since it was written or read last.
    #[must_use]
    pub fn refreshed_by_reads(self) -> Self {
        StateTtl { refreshed_by_reads: true, ..self }
    }

    /// Whether what was written then is dead now.
    pub(super) fn is_over(&self, written: Timestamp, now: Timestamp) -> bool {
        written.after(self.after) <= now
    }
}

/// A state as what is kept knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptState {
    /// The number that stands for its name.
    id: u8,
    name: String,
    kind: StateKind,
    /// Each entry has the time at which it was written.
    is_timed: bool,
    /// The CRC-32 of the form of what it holds.
    form: u32,
}

/// What a state is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateKind {
    Value,
    List,
    Map,
    Reducing,
}

/// What a handle knows of its state.
#[derive(Clone, Debug)]
pub struct Declared {
    pub name: String,
    pub ttl: Option<StateTtl>,
    id: Option<u8>,
}

impl Declared {
    pub fn new(name: &str) -> Self {
        Declared { name: name.to_string(), ttl: None, id: None }
    }

    /// The number in what is kept.
    pub fn id(&self) -> Result<u8, Failure> {
        self.id.ok_or_else(|| {
            let name = &self.name;
            Failure(format!("the state {name:?} is used and not declared: do it in `states`"))
        })
    }
}

/// A handle of a state that a function can declare: a [`ValueState`](super::ValueState) and its like, and no other.
pub trait DeclaredState: sealed::Sealed {}

pub(super) mod sealed {
    use super::{Declared, StateKind};

    pub trait Sealed {
        fn declared(&mut self) -> &mut Declared;
        fn kind(&self) -> StateKind;
        fn form(&self) -> String;
    }
}

/// The states by key that a function works with.
#[derive(Debug, Default)]
pub struct States {
    all: Vec<KeptState>,
    /// By number: how long what is kept under it lives.
    ttls: Vec<Option<StateTtl>>,
    /// The numbers of values of which a key has one.
    single: Vec<u8>,
    failure: Option<Failure>,
    declared: Vec<String>,
}

impl States {
    /// Those that were kept; what is declared under their names goes on with them.
    pub(in crate::system::dataflow) fn kept(all: Vec<KeptState>) -> Self {
        let ttls = vec![None; all.len()];
        States { all, ttls, ..States::default() }
    }

    /// Declares a state, which is found by its name after a restore. Each name stands for one state of the function.
    pub fn declare(&mut self, state: &mut impl DeclaredState) -> &mut Self {
        let (kind, form) = (state.kind(), crc32fast::hash(state.form().as_bytes()));
        let declared = state.declared();
        let (name, ttl) = (declared.name.clone(), declared.ttl);
        match self.number(name, kind, ttl.is_some(), form) {
            Ok(id) => {
                declared.id = Some(id);
                self.ttls[usize::from(id)] = ttl;
                if matches!(kind, StateKind::Value | StateKind::Reducing) {
                    self.single.push(id);
                }
            }
            Err(failure) => drop(self.failure.get_or_insert(failure)),
        }
        self
    }

    fn number(
        &mut self,
        name: String,
        kind: StateKind,
        is_timed: bool,
        form: u32,
    ) -> Result<u8, Failure> {
        if self.declared.contains(&name) {
            return Err(Failure(format!("two states of one function are called {name:?}")));
        }
        self.declared.push(name.clone());
        if let Some(kept) = self.all.iter().find(|kept| kept.name == name) {
            let wanted = KeptState { id: kept.id, name, kind, is_timed, form };
            return if wanted == *kept { Ok(kept.id) } else { Err(wanted.differs_from(kept)) };
        }
        if self.all.len() == STATES_MAX {
            return Err(Failure(format!("a function has at most {STATES_MAX} states")));
        }
        let id = u8::try_from(self.all.len()).expect("there are few states");
        self.all.push(KeptState { id, name, kind, is_timed, form });
        self.ttls.push(None);
        Ok(id)
    }

    /// What went wrong when they were declared.
    pub(in crate::system::dataflow) fn check(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// What a snapshot has of them.
    pub(in crate::system::dataflow) fn to_keep(&self) -> &[KeptState] {
        &self.all
    }

    /// How long what is kept under a number lives; `None`: as long as it is not removed.
    pub(super) fn ttl(&self, id: u8) -> Option<StateTtl> {
        self.ttls.get(usize::from(id)).copied().flatten()
    }

    /// Whether anything dies by itself.
    pub(in crate::system::dataflow) fn have_ttl(&self) -> bool {
        self.ttls.iter().any(Option::is_some)
    }

    /// The numbers of those of which a key has one entry.
    pub(super) fn single(&self) -> &[u8] {
        &self.single
    }
}

impl KeptState {
    fn differs_from(&self, kept: &KeptState) -> Failure {
        let name = &self.name;
        let what = match () {
            () if self.kind != kept.kind => {
                format!("is a {:?} where a {:?} was kept", self.kind, kept.kind)
            }
            () if self.is_timed => "has a time-to-live, and was kept without".to_string(),
            () if kept.is_timed => "has no time-to-live, and was kept with one".to_string(),
            () => "is of another type than what was kept".to_string(),
        };
        Failure(format!(
            "the state {name:?} {what}: give the new one another name, or an `Encoding` that reads the old form"
        ))
    }
}

/// What several former subtasks kept, as that of one: they are of one job, and so each has the numbers of the others.
pub(in crate::system::dataflow) fn joined(
    lists: impl IntoIterator<Item = Vec<KeptState>>,
) -> Result<Vec<KeptState>, Failure> {
    let mut joined = Vec::new();
    for list in lists {
        let both = joined.iter().zip(&list).all(|(one, other): (&KeptState, _)| one == other);
        let numbered = list.iter().enumerate().all(|(place, kept)| usize::from(kept.id) == place);
        if !both || !numbered || list.len() > STATES_MAX {
            return Err(Failure::new("former subtasks kept different states under one number"));
        }
        if list.len() > joined.len() {
            joined = list;
        }
    }
    Ok(joined)
}
