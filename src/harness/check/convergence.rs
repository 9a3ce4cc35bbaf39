//! What must come to be once all faults are lifted, each within its bound; and what may not be overdue before.

use super::model::{AnyModel, model_as};
use crate::harness::language::exact_duration;
use std::{fmt, time::Duration};

/// How often a goal may be lost again before it is overdue whatever its bound: goals that take turns would
/// else keep a run going for ever.
const RELAPSES_MAX: u32 = 1000;

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
pub struct GoalContext {
    /// The time since the run began.
    pub now: Duration,
    /// When the last fault was lifted; `None` while faults may come.
    pub healed: Option<Duration>,
    /// Since when no fault is in force, though others may come; `None` while one is, and once one has done harm
    /// that is never undone.
    pub quiet: Option<Duration>,
}

/// From when the time of a goal counts, by the model.
type Since<M> = Box<dyn Fn(&M) -> Option<Duration> + Send>;
/// What a goal still waits for, by the model.
type WaitsFor<M> = Box<dyn Fn(&M, GoalContext) -> Option<String> + Send>;

/// Something that a healed system must come to.
pub struct Goal<M> {
    /// The key of `[converge]` that bounds it, as the system lists it.
    key: &'static str,
    once: bool,
    meanwhile: bool,
    since: Option<Since<M>>,
    waits_for: WaitsFor<M>,
}

impl<M> Goal<M> {
    /// Something whose time is bounded by a key of `[converge]`. `waits_for` says, by the model, what is
    /// still to come, in words that go behind "waiting for"; nothing when it is so.
    pub fn new(
        key: &'static str,
        waits_for: impl Fn(&M, GoalContext) -> Option<String> + Send + 'static,
    ) -> Self {
        Goal { key, once: false, meanwhile: false, since: None, waits_for: Box::new(waits_for) }
    }

    /// Something that is looked at during the whole run and keeps its own time. `overdue` says what has been
    /// waited for too long, which ends the run as stuck; by [`GoalContext::quiet`] it knows whether a fault may
    /// be why. The key is that of the bound.
    pub fn meanwhile(
        key: &'static str,
        overdue: impl Fn(&M, GoalContext) -> Option<String> + Send + 'static,
    ) -> Self {
        Goal { meanwhile: true, ..Goal::new(key, overdue) }
    }

    /// Once satisfied after the faults it need not stay so.
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
    /// Whether it has no bound in `[converge]`, and is overdue when it says so.
    fn is_meanwhile(&self) -> bool;
    /// From when its time counts by the model; all faults must be lifted besides.
    fn since(&self, model: &dyn AnyModel) -> Option<Duration>;
    fn waits_for(&self, model: &dyn AnyModel, look: GoalContext) -> Option<String>;
}

impl<M: 'static> AnyGoal for Goal<M> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn is_once(&self) -> bool {
        self.once
    }

    fn is_meanwhile(&self) -> bool {
        self.meanwhile
    }

    fn since(&self, model: &dyn AnyModel) -> Option<Duration> {
        match &self.since {
            Some(since) => since(model_as(model)),
            None => Some(Duration::ZERO),
        }
    }

    fn waits_for(&self, model: &dyn AnyModel, look: GoalContext) -> Option<String> {
        (self.waits_for)(model_as(model), look)
    }
}

/// A goal that is followed.
struct Followed {
    goal: Box<dyn AnyGoal>,
    within: Duration,
    /// When it was last satisfied.
    met: Duration,
    /// Whether it was at the last look.
    is_met: bool,
    /// How often it was lost again.
    relapses: u32,
}

/// Follows a run to its convergence.
pub(in crate::harness) struct Convergence {
    goals: Vec<Followed>,
    meanwhile: Vec<Box<dyn AnyGoal>>,
    /// When the last fault was lifted; `None` while faults may come.
    healed: Option<Duration>,
}

impl Convergence {
    /// Follows goals, each with its bound in `[converge]`.
    pub fn new(goals: Vec<Box<dyn AnyGoal>>, bound: impl Fn(&str) -> Duration) -> Self {
        let (meanwhile, goals): (Vec<_>, Vec<_>) =
            goals.into_iter().partition(|goal| goal.is_meanwhile());
        let followed = |goal: Box<dyn AnyGoal>| Followed {
            within: bound(goal.key()),
            goal,
            met: Duration::ZERO,
            is_met: false,
            relapses: 0,
        };
        Convergence { goals: goals.into_iter().map(followed).collect(), meanwhile, healed: None }
    }

    /// The last fault was lifted at that time; the bounds count from there.
    pub fn healed(&mut self, at: Duration) {
        self.healed = Some(at);
    }

    /// How far it is at a time since the run began, with no fault in force since `quiet`. A goal that was
    /// satisfied and is lost again has its whole bound from then.
    pub fn look(
        &mut self,
        model: &dyn AnyModel,
        now: Duration,
        quiet: Option<Duration>,
    ) -> Outlook {
        let healed = self.healed;
        let look = GoalContext { now, healed, quiet };
        for goal in &self.meanwhile {
            if let Some(waits_for) = goal.waits_for(model, look) {
                return Outlook::Stuck { goal: goal.key(), waits_for };
            }
        }
        let mut outlook = Outlook::Converged;
        self.goals.retain_mut(|Followed { goal, within, met, is_met, relapses }| {
            let waits_for = goal.waits_for(model, look);
            if waits_for.is_none() {
                *met = now;
            } else if *is_met && healed.is_some() {
                *relapses += 1;
            }
            *is_met = waits_for.is_none();
            let since =
                goal.since(model).zip(healed).map(|(own, healed)| own.max(healed).max(*met));
            let overdue = since.is_some_and(|since| now.saturating_sub(since) >= *within)
                || *relapses > RELAPSES_MAX;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{harness::event::Moment, host::Event};

    /// The parity of the look.
    #[derive(Debug, Default)]
    struct Turns;

    impl crate::harness::check::Model for Turns {
        fn observe(&mut self, _: Moment, _: &dyn Event) {}
    }

    #[test]
    fn goals_that_take_turns_are_stuck_in_the_end() {
        let turn = |key, odd: u64| {
            let goal = Goal::new(key, move |_: &Turns, look| {
                (look.now.as_secs() % 2 == odd).then(|| "its turn".to_string())
            });
            Box::new(goal) as Box<dyn AnyGoal>
        };
        let goals = vec![turn("one", 0), turn("other", 1)];
        let mut convergence = Convergence::new(goals, |_| Duration::from_secs(10));
        convergence.healed(Duration::ZERO);
        let looks =
            (0..10_000).map(|second| convergence.look(&Turns, Duration::from_secs(second), None));
        let looks: Vec<Outlook> = looks.collect();
        assert_eq!(looks[100], Outlook::Waiting);
        let stuck = looks.iter().position(|look| matches!(look, Outlook::Stuck { .. }));
        assert!(stuck.is_some_and(|at| (2000..2010).contains(&at)), "{stuck:?}");
    }

    #[test]
    fn what_is_overdue_meanwhile_is_stuck_before_the_faults_are_over() {
        let patience = Duration::from_secs(10);
        let goal = Goal::meanwhile("patience", move |_: &Turns, look| {
            let quiet = look.quiet?;
            (look.now - quiet >= patience).then(|| "a turn".to_string())
        });
        let goals: Vec<Box<dyn AnyGoal>> = vec![Box::new(goal)];
        let mut convergence = Convergence::new(goals, |key| panic!("{key} has no such bound"));
        let mut look = |now, quiet: Option<u64>| {
            convergence.look(&Turns, Duration::from_secs(now), quiet.map(Duration::from_secs))
        };
        assert_eq!(look(9, Some(0)), Outlook::Converged);
        assert_eq!(look(20, None), Outlook::Converged, "a fault is in force");
        assert_eq!(look(29, Some(20)), Outlook::Converged, "one was lifted at 20");
        let stuck = Outlook::Stuck { goal: "patience", waits_for: "a turn".to_string() };
        assert_eq!(look(30, Some(20)), stuck);
    }
}
