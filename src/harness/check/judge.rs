//! Sees every fact: keeps the history, moves the model, asks the invariants, fires the triggers.

use super::{
    bounds::TimeBounds,
    history::{Family, Known, Moment, Seen},
    invariant::{self, Check, Invariant, Violation},
    milestone::{Leadership, Milestone},
    model::Model,
};
use crate::{
    harness::scenario::SubjectKind,
    host::{
        Fact,
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
pub struct Wanted {
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

impl Wanted {
    /// The n-th time from now, from 1, that a milestone is reached.
    pub fn new(milestone: Milestone, nth: u64) -> Self {
        Wanted { milestone, left: nth, checkpoint: None, attempt: None, of: None, node: None }
    }

    /// Counts a fact; whether it is the one.
    fn is_now(&mut self, milestone: Milestone, at: Moment, seen: Seen<'_>, model: &Model) -> bool {
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
struct Sworn {
    invariant: Box<dyn Invariant>,
    families: &'static [Family],
    evaluations: u64,
}

impl Sworn {
    fn new(invariant: Box<dyn Invariant>) -> Self {
        Sworn { families: invariant.families(), invariant, evaluations: 0 }
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
pub type Undertaker = Arc<dyn Fn(&World, Stamp) + Send + Sync>;

struct Court {
    invariants: Vec<Sworn>,
    violations: Vec<Violation>,
    history: Vec<(Moment, Known)>,
    milestones: BTreeMap<Milestone, u64>,
    triggers: Vec<(Wanted, Trigger)>,
    model: Model,
}

/// The observer of one run.
pub struct Judge {
    court: Mutex<Court>,
    /// Told of every end of a process, with no lock held.
    undertaker: Mutex<Option<Undertaker>>,
}

impl Judge {
    /// A judge with the invariants of the journal's cluster, for clients that send these lines.
    pub fn new(invariants: Vec<Box<dyn Invariant>>) -> Self {
        Judge {
            court: Mutex::new(Court {
                invariants: invariants.into_iter().map(Sworn::new).collect(),
                violations: Vec::new(),
                history: Vec::new(),
                milestones: BTreeMap::new(),
                triggers: Vec::new(),
                model: Model::default(),
            }),
            undertaker: Mutex::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Court> {
        self.court.lock().expect("no invariant panics")
    }

    /// Who restarts processes that end themselves.
    pub fn set_undertaker(&self, undertaker: Undertaker) {
        *self.undertaker.lock().expect("no panic under this lock") = Some(undertaker);
    }

    /// Does something at a moment.
    pub fn on_milestone(&self, wanted: Wanted, trigger: Trigger) {
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
    pub fn close(&self, at: Moment) -> Ruling {
        let mut court = self.lock();
        let court = &mut *court;
        for sworn in &mut court.invariants {
            let check = sworn.invariant.finish(at.time);
            sworn.rule(at, check, &mut court.violations);
        }
        let evaluated = court.invariants.iter().map(|s| (s.invariant.title(), s.evaluations));
        Ruling {
            violations: std::mem::take(&mut court.violations),
            evaluations: evaluated.collect(),
            history: std::mem::take(&mut court.history),
            milestones: std::mem::take(&mut court.milestones),
            model: std::mem::take(&mut court.model),
        }
    }
}

/// What a run came to, as the judge saw it.
#[derive(Debug)]
pub struct Ruling {
    /// What broke, in order.
    pub violations: Vec<Violation>,
    /// How often each invariant was evaluated, by title.
    pub evaluations: BTreeMap<&'static str, u64>,
    /// The facts that changed the cluster's state.
    pub history: Vec<(Moment, Known)>,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<Milestone, u64>,
    /// The model at the end.
    pub model: Model,
}

impl Court {
    fn observe(&mut self, at: Moment, seen: Seen<'_>) -> Vec<Trigger> {
        // The model is that before the fact, so that a fact can be judged against it.
        let Some(family) = seen.family() else { return Vec::new() };
        let concerned = |sworn: &&mut Sworn| sworn.families.contains(&family);
        for sworn in self.invariants.iter_mut().filter(concerned) {
            let check = sworn.invariant.observe(at, seen, &self.model);
            sworn.rule(at, check, &mut self.violations);
        }
        if family == Family::Rpc {
            return Vec::new();
        }
        self.model.observe(at, seen);
        self.history.extend(Known::keep(seen).map(|known| (at, known)));
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

impl Observer for Judge {
    fn observe(&self, world: &World, stamp: Stamp, fact: &dyn Fact) {
        let seen = Seen::new(fact);
        if tracing::enabled!(target: EVENT_TARGET, tracing::Level::DEBUG)
            && let Some(known) = Known::keep(seen)
        {
            world.stamped(stamp, || tracing::debug!(target: EVENT_TARGET, "{known:?}"));
        }
        let fired = self.lock().observe(stamp.into(), seen);
        for trigger in fired {
            trigger(world);
        }
        if let Seen::Hardware(crate::host::sim::Hardware::Ended(_)) = seen {
            let undertaker = self.undertaker.lock().expect("no panic under this lock").clone();
            if let Some(undertaker) = undertaker {
                undertaker(world, stamp);
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

/// The invariants that are judged where a subject runs, without a workload.
pub fn invariants_of(subject: SubjectKind) -> Vec<Box<dyn Invariant>> {
    match subject {
        SubjectKind::Journal => journal_invariants(Vec::new(), TimeBounds::default()),
        SubjectKind::WordCount => word_count_invariants(TimeBounds::default()),
    }
}

/// The invariants of a cluster that counts the words of the input topic in one job.
pub fn word_count_invariants(bounds: TimeBounds) -> Vec<Box<dyn Invariant>> {
    let mut invariants = invariant::all(bounds);
    invariants.extend(invariant::of_jobs(bounds));
    invariants.push(Box::new(invariant::x4_exactly_once::ExactlyOnce::default()));
    invariants
}
