//! Sees every event: keeps the history, moves the model, asks the invariants, fires the triggers.

use super::{
    bounds::TimeBounds,
    history::{EventKind, EventRef, KeptEvent, Moment},
    invariant::{self, Check, Invariant, Violation},
    milestone::{Leadership, Milestone},
    model::Model,
};
use crate::{
    harness::scenario::SystemKind,
    host::{
        Event,
        sim::{NodeId, Observer, Stamp, World},
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

/// Of the log lines that tell the changes of the cluster's state.
const EVENT_TARGET: &str = "wavetank::event";

/// What is to be done within the step that reaches a milestone.
pub type Trigger = Box<dyn FnOnce(&World) + Send>;

/// Whether a node is the one that a trigger asks for, by the model at that moment.
pub type AtNode = Box<dyn Fn(&Model, NodeId) -> bool + Send>;

/// The moment for which a trigger waits.
pub struct EventMatcher {
    milestone: Milestone,
    /// How many of those that match are still to come.
    left: u64,
    /// Only of the checkpoint of this number.
    pub checkpoint: Option<u64>,
    /// Only of the job's attempt of this number.
    pub attempt: Option<u64>,
    /// Only of the leadership of this.
    pub of: Option<Leadership>,
    /// Only at this node.
    pub node: Option<AtNode>,
}

impl EventMatcher {
    /// The n-th time from now, from 1, that a milestone is reached.
    pub fn new(milestone: Milestone, nth: u64) -> Self {
        EventMatcher { milestone, left: nth, checkpoint: None, attempt: None, of: None, node: None }
    }

    /// Counts an event; whether it is the one.
    fn is_now(
        &mut self,
        milestone: Milestone,
        at: Moment,
        seen: EventRef<'_>,
        model: &Model,
    ) -> bool {
        let matches = self.milestone == milestone
            && self.checkpoint.is_none_or(|wanted| Milestone::checkpoint_of(seen) == Some(wanted))
            && self.attempt.is_none_or(|wanted| Milestone::attempt_of(seen) == Some(wanted))
            && self.of.is_none_or(|wanted| Milestone::leadership_of(seen) == Some(wanted))
            && self.node.as_ref().is_none_or(|node| node(model, at.process.0));
        if matches {
            self.left = self.left.saturating_sub(1);
        }
        matches && self.left == 0
    }
}

/// An invariant that is judged.
struct CheckedInvariant {
    invariant: Box<dyn Invariant>,
    event_kinds: &'static [EventKind],
    evaluations: u64,
}

impl CheckedInvariant {
    fn new(invariant: Box<dyn Invariant>) -> Self {
        CheckedInvariant { event_kinds: invariant.event_kinds(), invariant, evaluations: 0 }
    }

    fn rule(&mut self, at: Moment, check: Check, violations: &mut Vec<Violation>) {
        self.evaluations += u64::from(!matches!(check, Check::Ignored));
        if let Check::Broken { before, now } = check {
            let (title, promise) = (self.invariant.title(), self.invariant.promise());
            let invariant = self.invariant.name();
            violations.push(Violation { invariant, title, promise, at, before, now });
        }
    }
}

/// Told of the end of each process.
pub type OnProcessExit = Arc<dyn Fn(&World, Stamp) + Send + Sync>;

struct CheckerState {
    invariants: Vec<CheckedInvariant>,
    violations: Vec<Violation>,
    history: Vec<(Moment, KeptEvent)>,
    milestones: BTreeMap<Milestone, u64>,
    triggers: Vec<(EventMatcher, Trigger)>,
    model: Model,
}

/// The observer of one run.
pub struct Checker {
    state: Mutex<CheckerState>,
    /// Told of every end of a process, with no lock held.
    on_process_exit: Mutex<Option<OnProcessExit>>,
}

impl Checker {
    /// A checker with the invariants of the journal's cluster, for clients that send these lines.
    pub fn new(invariants: Vec<Box<dyn Invariant>>) -> Self {
        Checker {
            state: Mutex::new(CheckerState {
                invariants: invariants.into_iter().map(CheckedInvariant::new).collect(),
                violations: Vec::new(),
                history: Vec::new(),
                milestones: BTreeMap::new(),
                triggers: Vec::new(),
                model: Model::default(),
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
    pub fn with_model<T>(&self, read: impl FnOnce(&Model) -> T) -> T {
        read(&self.lock().model)
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
        let evaluated = state.invariants.iter().map(|s| (s.invariant.title(), s.evaluations));
        CheckReport {
            violations: std::mem::take(&mut state.violations),
            evaluations: evaluated.collect(),
            history: std::mem::take(&mut state.history),
            milestones: std::mem::take(&mut state.milestones),
            model: std::mem::take(&mut state.model),
        }
    }
}

/// What a run came to, as the checker saw it.
#[derive(Debug)]
pub struct CheckReport {
    /// What broke, in order.
    pub violations: Vec<Violation>,
    /// How often each invariant was evaluated, by title.
    pub evaluations: BTreeMap<&'static str, u64>,
    /// The events that changed the cluster's state.
    pub history: Vec<(Moment, KeptEvent)>,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<Milestone, u64>,
    /// The model at the end.
    pub model: Model,
}

impl CheckerState {
    fn observe(&mut self, at: Moment, seen: EventRef<'_>) -> Vec<Trigger> {
        // The model is that before the event, so that an event can be judged against it.
        let Some(kind) = seen.kind() else { return Vec::new() };
        let concerned = |checked: &&mut CheckedInvariant| checked.event_kinds.contains(&kind);
        for checked in self.invariants.iter_mut().filter(concerned) {
            let check = checked.invariant.observe(at, seen, &self.model);
            checked.rule(at, check, &mut self.violations);
        }
        if kind == EventKind::Rpc {
            return Vec::new();
        }
        self.model.observe(at, seen);
        self.history.extend(KeptEvent::keep(seen).map(|known| (at, known)));
        let mut fired = Vec::new();
        for milestone in Milestone::of(at.process.1, seen) {
            *self.milestones.entry(milestone).or_default() += 1;
            let model = &self.model;
            let due = self
                .triggers
                .extract_if(.., |(wanted, _)| wanted.is_now(milestone, at, seen, model));
            fired.extend(due.map(|(_, trigger)| trigger));
        }
        fired
    }
}

impl Observer for Checker {
    fn observe(&self, world: &World, stamp: Stamp, event: &dyn Event) {
        let seen = EventRef::new(event);
        if tracing::enabled!(target: EVENT_TARGET, tracing::Level::DEBUG)
            && let Some(known) = KeptEvent::keep(seen)
        {
            world.stamped(stamp, || tracing::debug!(target: EVENT_TARGET, "{known:?}"));
        }
        let fired = self.lock().observe(stamp.into(), seen);
        for trigger in fired {
            trigger(world);
        }
        if let EventRef::Hardware(crate::host::sim::Hardware::Ended(_)) = seen {
            let on_process_exit =
                self.on_process_exit.lock().expect("no panic under this lock").clone();
            if let Some(on_process_exit) = on_process_exit {
                on_process_exit(world, stamp);
            }
        }
    }
}

/// The invariants of a journal cluster whose clients send these lines.
pub fn journal_invariants(
    lines: Vec<Arc<Vec<String>>>,
    bounds: TimeBounds,
) -> Vec<Box<dyn Invariant>> {
    let mut invariants = invariant::all(bounds);
    invariants.push(Box::new(invariant::journal_exact::JournalExact::new(lines)));
    invariants
}

/// The invariants that are judged where a system runs, without a workload.
pub fn invariants_of(system: SystemKind) -> Vec<Box<dyn Invariant>> {
    match system {
        SystemKind::Journal => journal_invariants(Vec::new(), TimeBounds::default()),
        SystemKind::WordCount => word_count_invariants(TimeBounds::default()),
    }
}

/// The invariants of a cluster that counts the words of the input topic in one job.
pub fn word_count_invariants(bounds: TimeBounds) -> Vec<Box<dyn Invariant>> {
    let mut invariants = invariant::all(bounds);
    invariants.extend(invariant::of_jobs(bounds));
    invariants.push(Box::new(invariant::x4_exactly_once::ExactlyOnce::default()));
    invariants
}
