//! Sees every event: keeps the history, moves the model, asks the invariants, fires the triggers.

use super::{
    invariant::{AnyInvariant, Check, Invariant, Violation, any_invariants},
    model::{AnyModel, Model},
    no_panic::NoPanic,
    properties::Properties,
};
use crate::{
    harness::event::{Ask, EventKind, KeptEvent, Milestone, Moment, RunHistory, event_as},
    host::{
        Event, Property,
        sim::{Hardware, NodeId, Observer, ProcessEnd, Stamp, World},
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Of the log lines that tell the changes of the system's state.
const EVENT_TARGET: &str = "wavetank::event";

/// What is to be done within the step that reaches a milestone.
pub type Trigger = Box<dyn FnOnce(&World) + Send>;

/// Whether a node is the one that a trigger asks for, by the model at that moment.
pub type AtNode = Box<dyn Fn(&dyn AnyModel, NodeId) -> bool + Send>;

/// The moment for which a trigger waits.
pub struct EventMatcher {
    milestone: Milestone,
    /// How many of those that match are still to come.
    left: u64,
    /// Only of events that say this.
    pub asked: Vec<(&'static Ask, String)>,
    /// Only at this node.
    pub node: Option<AtNode>,
}

impl EventMatcher {
    /// The n-th time from now, from 1, that a milestone is reached.
    pub fn new(milestone: Milestone, nth: u64) -> Self {
        EventMatcher { milestone, left: nth, asked: Vec::new(), node: None }
    }

    /// Counts an event that reaches a milestone; whether it is the one.
    fn is_now(
        &mut self,
        milestone: Milestone,
        at: Moment,
        event: &dyn Event,
        model: &dyn AnyModel,
    ) -> bool {
        let says = |(ask, wanted): &(&Ask, String)| {
            ask.answer(event, model.as_any()).as_ref() == Some(wanted)
        };
        let matches = self.milestone == milestone
            && self.asked.iter().all(says)
            && self.node.as_ref().is_none_or(|node| node(model, at.process.0));
        if matches {
            self.left = self.left.saturating_sub(1);
        }
        matches && self.left == 0
    }
}

/// An invariant that is judged.
struct CheckedInvariant {
    invariant: Box<dyn AnyInvariant>,
    evaluations: u64,
}

impl CheckedInvariant {
    fn rule(&mut self, at: Moment, check: Check, violations: &mut Vec<Violation>) {
        self.evaluations += u64::from(!matches!(check, Check::Ignored));
        if let Check::Broken { before, now } = check {
            let (title, promise) = (self.invariant.title(), self.invariant.promise());
            let rule = [self.invariant.name(), title, promise];
            violations.push(Violation::new(rule, at, &before, &now));
        }
    }
}

/// A kind of events, and what looks at it.
struct Watched {
    kind: EventKind,
    /// Places of invariants.
    invariants: Vec<usize>,
    milestones: Vec<Milestone>,
}

/// What a checker looks for in a system's events.
pub(in crate::harness) struct Watch {
    /// The kinds that it knows; what comes most often first.
    pub kinds: Vec<EventKind>,
    pub invariants: Vec<Box<dyn AnyInvariant>>,
    /// The properties that its code is known to have; `None` if none is judged.
    pub properties: Option<Vec<&'static Property>>,
    pub milestones: Vec<Milestone>,
    pub model: Box<dyn AnyModel>,
}

/// Told of the end of each process.
pub type OnProcessExit = Arc<dyn Fn(&World, Stamp) + Send + Sync>;

/// How often each node's process has ended itself, and why it last did.
pub type Exits = BTreeMap<NodeId, (u64, String)>;

struct CheckerState {
    kinds: Vec<Watched>,
    invariants: Vec<CheckedInvariant>,
    properties: Option<Properties>,
    violations: Vec<Violation>,
    history: RunHistory,
    milestones: BTreeMap<Milestone, u64>,
    order: Vec<(Duration, Milestone)>,
    triggers: Vec<(EventMatcher, Trigger)>,
    model: Box<dyn AnyModel>,
    exits: Exits,
}

/// The observer of one run.
pub struct Checker {
    state: Mutex<CheckerState>,
    /// Told of every end of a process, with no lock held.
    on_process_exit: Mutex<Option<OnProcessExit>>,
}

impl Checker {
    /// A checker of the invariants of a model, for a world that is driven by hand: `kinds` are the kinds of
    /// events that it knows, what comes most often first.
    pub fn of<M: Model>(kinds: Vec<EventKind>, mut invariants: Vec<Box<dyn Invariant<M>>>) -> Self {
        // What a test's own process asserts holds, too.
        invariants.push(Box::new(NoPanic));
        Checker::new(Watch {
            kinds,
            invariants: any_invariants(invariants),
            properties: None,
            milestones: Vec::new(),
            model: Box::new(M::default()),
        })
    }

    /// A checker that looks for these.
    pub(in crate::harness) fn new(watch: Watch) -> Self {
        let Watch { kinds, invariants, properties, milestones, model } = watch;
        let watched = |kind: EventKind| Watched {
            kind,
            invariants: (0..)
                .zip(&invariants)
                .filter(|(_, invariant)| invariant.event_kinds().contains(&kind))
                .map(|(place, _)| place)
                .collect(),
            milestones: milestones.iter().copied().filter(|m| m.kind() == kind).collect(),
        };
        let kinds = kinds.into_iter().map(watched).collect();
        let checked = |invariant| CheckedInvariant { invariant, evaluations: 0 };
        Checker {
            state: Mutex::new(CheckerState {
                kinds,
                invariants: invariants.into_iter().map(checked).collect(),
                properties: properties.map(Properties::new),
                violations: Vec::new(),
                history: RunHistory::default(),
                milestones: BTreeMap::new(),
                order: Vec::new(),
                triggers: Vec::new(),
                model,
                exits: BTreeMap::new(),
            }),
            on_process_exit: Mutex::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, CheckerState> {
        self.state.lock().expect("no invariant panics")
    }

    /// Who restarts processes that end themselves.
    pub fn set_on_process_exit(&self, on_process_exit: OnProcessExit) {
        *self.on_process_exit.lock().expect("no panic under this lock") = Some(on_process_exit);
    }

    /// Does something at a moment.
    pub fn on_milestone(&self, wanted: EventMatcher, trigger: Trigger) {
        self.lock().triggers.push((wanted, trigger));
    }

    /// Drops the triggers that have not fired.
    pub fn drop_triggers(&self) {
        let dropped = std::mem::take(&mut self.lock().triggers);
        drop(dropped);
    }

    /// Reads the model.
    pub fn with_model<T>(&self, read: impl FnOnce(&dyn AnyModel) -> T) -> T {
        read(&*self.lock().model)
    }

    /// Whether an invariant has broken.
    pub fn is_broken(&self) -> bool {
        !self.lock().violations.is_empty()
    }

    /// Closes the run: what can only be judged at its end is judged now.
    pub fn close(&self, at: Moment) -> CheckReport {
        let mut state = self.lock();
        let state = &mut *state;
        for checked in &mut state.invariants {
            let check = checked.invariant.finish(at.time);
            checked.rule(at, check, &mut state.violations);
        }
        // There may be one of a title for each job.
        let mut evaluations: BTreeMap<&'static str, u64> = BTreeMap::new();
        for checked in &state.invariants {
            *evaluations.entry(checked.invariant.title()).or_default() += checked.evaluations;
        }
        evaluations.extend(state.properties.iter().flat_map(Properties::evaluations));
        CheckReport {
            violations: std::mem::take(&mut state.violations),
            evaluations,
            history: std::mem::take(&mut state.history),
            milestones: std::mem::take(&mut state.milestones),
            order: std::mem::take(&mut state.order),
            exits: std::mem::take(&mut state.exits),
        }
    }
}

/// What a run came to, as the checker saw it.
#[derive(Debug)]
pub struct CheckReport {
    /// What broke, in order.
    pub violations: Vec<Violation>,
    /// How often each invariant was evaluated, and each property that has a condition; by title.
    pub evaluations: BTreeMap<&'static str, u64>,
    /// The events that changed the system's state.
    pub history: RunHistory,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<Milestone, u64>,
    /// When each milestone was first reached, in that order.
    pub order: Vec<(Duration, Milestone)>,
    /// The processes that ended themselves.
    pub exits: Exits,
}

impl CheckerState {
    fn observe(&mut self, at: Moment, event: &dyn Event) -> Vec<Trigger> {
        let Some(watched) = self.kinds.iter().find(|watched| watched.kind.is(event)) else {
            return Vec::new();
        };
        // The model is that before the event, so that an event can be judged against it.
        for place in &watched.invariants {
            let checked = &mut self.invariants[*place];
            let check = checked.invariant.observe(at, event, &*self.model);
            checked.rule(at, check, &mut self.violations);
        }
        self.model.observe(at, event);
        if let (Some(properties), Some(event)) = (&mut self.properties, event_as(event)) {
            self.violations.extend(properties.judge(at, event));
        }
        if let Some(Hardware::Ended(ProcessEnd::Exited { reason })) = event_as(event) {
            let exits = self.exits.entry(at.process.0).or_default();
            *exits = (exits.0 + 1, reason.clone());
        }
        if let Some(kept) = watched.kind.keep(event) {
            self.history.add(at, kept);
        }
        let mut fired = Vec::new();
        let model = &*self.model;
        let reached = |milestone: &&Milestone| milestone.is_reached(at, event, model.as_any());
        for milestone in watched.milestones.iter().filter(reached) {
            let reached = self.milestones.entry(*milestone).or_default();
            *reached += 1;
            if *reached == 1 {
                self.order.push((at.time, *milestone));
            }
            let due = self
                .triggers
                .extract_if(.., |(wanted, _)| wanted.is_now(*milestone, at, event, model));
            fired.extend(due.map(|(_, trigger)| trigger));
        }
        fired
    }

    /// What is logged of an event.
    fn told(&self, event: &dyn Event) -> Option<KeptEvent> {
        self.kinds.iter().find(|watched| watched.kind.is(event))?.kind.keep(event)
    }
}

impl Observer for Checker {
    fn evaluated(&self, property: &'static Property) {
        if let Some(properties) = &mut self.lock().properties {
            properties.count(property);
        }
    }

    fn observe(&self, world: &World, stamp: Stamp, event: &dyn Event) {
        if tracing::enabled!(target: EVENT_TARGET, tracing::Level::DEBUG)
            && let Some(kept) = self.lock().told(event)
        {
            world.stamped(stamp, || tracing::debug!(target: EVENT_TARGET, "{kept:?}"));
        }
        let fired = self.lock().observe(stamp.into(), event);
        for trigger in fired {
            trigger(world);
        }
        if let Some(Hardware::Ended(_)) = event_as(event) {
            let on_process_exit =
                self.on_process_exit.lock().expect("no panic under this lock").clone();
            if let Some(on_process_exit) = on_process_exit {
                on_process_exit(world, stamp);
            }
        }
    }
}
