//! What must come to be once all faults are lifted, each within its bound.

use super::model::{AnyModel, model_as};
use crate::harness::language::exact_duration;
use std::{fmt, time::Duration};

/// How far a healed system is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Everything has come to be.
    Converged,
    /// Something is still to come, within its bound.
    Waiting,
    /// This is overdue.
    Stuck {
        /// The key of `[converge]` that bounds it.
        goal: &'static str,
        /// What it is.
        waits_for: String,
    },
}

/// What is known of a run when a goal is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The time since the run began.
    pub now: Duration,
    /// When the last fault was lifted; `None` while faults may come.
    pub healed: Option<Duration>,
}

/// From when the time of a goal counts, by the model.
type Since<M> = Box<dyn Fn(&M) -> Option<Duration> + Send>;
/// What a goal still waits for, by the model.
type WaitsFor<M> = Box<dyn Fn(&M, Look) -> Option<String> + Send>;

/// Something that a healed system must come to.
pub struct Goal<M> {
    /// The key of `[converge]` that bounds it, as the system lists it.
    key: &'static str,
    once: bool,
    since: Option<Since<M>>,
    waits_for: WaitsFor<M>,
}

impl<M> Goal<M> {
    /// Something whose time is bounded by a key of `[converge]`. `waits_for` says, by the model, what is
    /// still to come, in words that go behind "waiting for"; nothing when it is so.
    pub fn new(
        key: &'static str,
        waits_for: impl Fn(&M, Look) -> Option<String> + Send + 'static,
    ) -> Self {
        Goal { key, once: false, since: None, waits_for: Box::new(waits_for) }
    }

    /// It is enough that it was so once.
    #[must_use]
    pub fn once(self) -> Self {
        Goal { once: true, ..self }
    }

    /// Its time counts from a moment of the model, and not before all faults are lifted; `None` while
    /// that moment has not come.
    #[must_use]
    pub fn since(self, since: impl Fn(&M) -> Option<Duration> + Send + 'static) -> Self {
        Goal { since: Some(Box::new(since)), ..self }
    }
}

impl<M> fmt::Debug for Goal<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key)
    }
}

/// A goal whatever its model.
pub(in crate::harness) trait AnyGoal: Send {
    fn key(&self) -> &'static str;
    fn is_once(&self) -> bool;
    /// From when its time counts by the model; all faults must be lifted besides.
    fn since(&self, model: &dyn AnyModel) -> Option<Duration>;
    fn waits_for(&self, model: &dyn AnyModel, look: Look) -> Option<String>;
}

impl<M: 'static> AnyGoal for Goal<M> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn is_once(&self) -> bool {
        self.once
    }

    fn since(&self, model: &dyn AnyModel) -> Option<Duration> {
        match &self.since {
            Some(since) => since(model_as(model)),
            None => Some(Duration::ZERO),
        }
    }

    fn waits_for(&self, model: &dyn AnyModel, look: Look) -> Option<String> {
        (self.waits_for)(model_as(model), look)
    }
}

/// A goal that is followed.
struct Followed {
    goal: Box<dyn AnyGoal>,
    within: Duration,
    /// When it was last seen to be so.
    met: Duration,
}

/// Follows a run to its convergence.
pub(in crate::harness) struct Convergence {
    goals: Vec<Followed>,
    /// When the last fault was lifted; `None` while faults may come.
    healed: Option<Duration>,
}

impl Convergence {
    /// Follows goals, each with its bound.
    pub fn new(goals: Vec<(Box<dyn AnyGoal>, Duration)>) -> Self {
        let followed = |(goal, within)| Followed { goal, within, met: Duration::ZERO };
        Convergence { goals: goals.into_iter().map(followed).collect(), healed: None }
    }

    /// The last fault was lifted at that time; the bounds count from there.
    pub fn healed(&mut self, at: Duration) {
        self.healed = Some(at);
    }

    /// How far it is at a time since the run began. What was so a moment ago has its time from then.
    pub fn look(&mut self, model: &dyn AnyModel, now: Duration) -> Outlook {
        let healed = self.healed;
        let mut outlook = Outlook::Converged;
        self.goals.retain_mut(|Followed { goal, within, met }| {
            let waits_for = goal.waits_for(model, Look { now, healed });
            if waits_for.is_none() {
                *met = now;
            }
            let since =
                goal.since(model).zip(healed).map(|(own, healed)| own.max(healed).max(*met));
            let overdue = since.is_some_and(|since| now.saturating_sub(since) >= *within);
            match &waits_for {
                Some(what) if overdue && !matches!(outlook, Outlook::Stuck { .. }) => {
                    let key = goal.key();
                    let bound = format!("(`{key}` has {})", exact_duration(*within));
                    outlook = Outlook::Stuck { goal: key, waits_for: format!("{what} {bound}") };
                }
                Some(_) if outlook == Outlook::Converged => outlook = Outlook::Waiting,
                _ => {}
            }
            waits_for.is_some() || !goal.is_once() || healed.is_none()
        });
        outlook
    }
}
