//! When a plan's faults begin, and when what they have done is undone.

use super::{
    dispatch::strike, executed::ExecutedFault, ledger::Ledger, machines::Machines, strike::Strike,
};
use crate::{
    harness::{
        check::{Checker, EventMatcher, Trigger},
        fault::{Drawn, Edge, FaultKind, PlannedFault, TriggerCondition, When},
        scenario::FaultPlan,
    },
    host::sim::World,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// How often is looked whether a fault that goes on has struck something.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Executes one plan.
pub struct Injector {
    ledger: Arc<Ledger>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many faults have not begun.
    pending: usize,
    /// Those that have, by place in the plan: two things may begin one.
    begun: BTreeSet<usize>,
    /// What would have begun in the quiet period in force, in order.
    postponed: Vec<usize>,
    /// Faults that wait for another's beginning or end.
    waiting: Vec<(String, Edge, Duration, usize)>,
}

impl Injector {
    /// Arms every fault of the plan.
    pub fn start(
        world: &World,
        machines: &Arc<Machines>,
        checker: &Arc<Checker>,
        plan: FaultPlan,
    ) -> Arc<Self> {
        let state = State { pending: plan.faults.len(), ..State::default() };
        let ledger = Arc::new(Ledger::new(world, machines, checker, plan));
        let injector = Arc::new(Injector { ledger, state: Mutex::new(state) });
        // Those of one instant begin in the plan's order.
        let mut at_times: BTreeMap<Duration, Vec<usize>> = BTreeMap::new();
        for (index, fault) in injector.ledger.plan.faults.iter().enumerate() {
            match &fault.when {
                When::At(at) => at_times.entry(*at).or_default().push(index),
                When::On(_) => injector.await_milestone(index),
                When::With { fault, edge, after } | When::OnAfter { fault, edge, after, .. } => {
                    injector.lock().waiting.push((fault.clone(), *edge, *after, index));
                }
            }
            if let Some(latest) = fault.window.no_later_than {
                at_times.entry(latest).or_default().push(index);
            }
        }
        for (at, faults) in at_times {
            let injector = injector.clone();
            world.spawn(async move {
                injector.ledger.world.sleep_until(at).await;
                faults.into_iter().for_each(|index| injector.begin(index));
            });
        }
        injector
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }

    /// Begins a fault on its milestone, counted from when it may begin at all.
    fn await_milestone(self: &Arc<Self>, index: usize) {
        let injector = self.clone();
        let arm = move || {
            let (When::On(condition) | When::OnAfter { condition, .. }) =
                &injector.ledger.plan.faults[index].when
            else {
                return;
            };
            let begins = injector.clone();
            injector.arm_on(condition, index, move || begins.begin(index));
        };
        later(&self.ledger.world, self.until_allowed(index), arm);
    }

    /// How long until a fault may begin.
    fn until_allowed(&self, index: usize) -> Duration {
        let allowed = self.ledger.plan.faults[index].window.not_before.unwrap_or_default();
        allowed.saturating_sub(self.ledger.world.elapsed())
    }

    /// Does something some time after a moment, counted from now.
    fn arm_on(
        self: &Arc<Self>,
        condition: &TriggerCondition<Drawn>,
        index: usize,
        act: impl FnOnce() + Send + 'static,
    ) {
        let after = condition.after;
        let trigger: Trigger = Box::new(move |world: &World| later(world, after, act));
        let (machines, pick) = (self.ledger.machines.clone(), self.ledger.plan.faults[index].pick);
        let node = condition.node;
        let (milestone, nth) = (condition.milestone, condition.nth);
        let mut wanted = EventMatcher::new(milestone, nth);
        wanted.asked = condition.asks();
        if let Some(node) = node {
            wanted.node =
                Some(Box::new(move |model, at| machines.resolve(node, model, pick).contains(&at)));
        }
        self.ledger.checker.on_milestone(wanted, trigger);
    }

    /// Whether every fault has come and gone.
    pub fn is_done(&self) -> bool {
        self.lock().pending == 0 && !self.ledger.any_in_force()
    }

    /// When the last of the faults was lifted; zero when none ever struck.
    pub fn lifted(&self) -> Duration {
        self.ledger.lifted()
    }

    /// Since when no fault is in force; nothing while one is, and once one has struck that harms for good.
    pub fn quiet_since(&self) -> Option<Duration> {
        self.ledger.quiet_since()
    }

    fn begin(self: &Arc<Self>, index: usize) {
        if self.lock().begun.contains(&index) {
            return;
        }
        if self.must_wait(index) {
            let begins = self.clone();
            return later(&self.ledger.world, LOOK_EVERY, move || begins.begin(index));
        }
        let is_quiet = matches!(self.ledger.plan.faults[index].kind, FaultKind::Quiet {});
        if self.is_quiet() && !is_quiet {
            return self.lock().postponed.push(index);
        }
        self.lock().begun.insert(index);
        if !self.ledger.begin(index) {
            return;
        }
        self.lock().pending -= 1;
        let fault = &self.ledger.plan.faults[index];
        if is_quiet {
            let others = self.ledger.in_force();
            others.into_iter().filter(|other| *other != index).for_each(|other| self.lift(other));
        }
        strike(&Strike::new(&self.ledger, index), &fault.kind);
        let (injector, duration) = (self.clone(), fault.duration);
        self.ledger.world.spawn(async move {
            injector.ledger.world.sleep(duration).await;
            if injector.must_go_on(index) {
                injector.go_on(index).await;
            }
            injector.lift(index);
        });
        if let Some(until) = &fault.until {
            let injector = self.clone();
            self.arm_on(until, index, move || {
                if !injector.must_go_on(index) {
                    injector.lift(index);
                }
            });
        }
        self.begin_with(fault, Edge::Start);
    }

    /// Whether a fault must strike a process and none that it could strike runs.
    fn must_wait(&self, index: usize) -> bool {
        let fault = &self.ledger.plan.faults[index];
        fault.window.must_strike
            && !fault.kind.can_widen()
            && !self.ledger.is_healed()
            && Strike::new(&self.ledger, index).candidates().is_empty()
    }

    /// Whether a fault has struck nothing and must.
    fn must_go_on(&self, index: usize) -> bool {
        let fault = &self.ledger.plan.faults[index];
        let must = fault.window.must_strike && fault.kind.can_widen();
        must && self.ledger.is_in_force(index) && !self.ledger.has_struck(index)
    }

    /// Lets a fault go on, of whatever it could strike, until it has struck something.
    async fn go_on(&self, index: usize) {
        let fault = &self.ledger.plan.faults[index];
        let one = Strike::new(&self.ledger, index);
        strike(&one, &fault.kind.widened());
        self.ledger.world.sleep(LOOK_EVERY).await;
        if self.must_go_on(index) && fault.kind.is_of_disks() {
            // Nobody uses a disk: a server that starts does.
            one.restart_one();
        }
        while self.must_go_on(index) {
            self.ledger.world.sleep(LOOK_EVERY).await;
        }
    }

    /// Begins the faults that wait for this edge of a fault.
    fn begin_with(self: &Arc<Self>, fault: &PlannedFault, edge: Edge) {
        let Some(name) = &fault.name else { return };
        let due: Vec<(Duration, usize)> = {
            let mut state = self.lock();
            let due = state.waiting.extract_if(.., |(of, at, _, _)| of == name && *at == edge);
            due.map(|(_, _, after, index)| (after, index)).collect()
        };
        for (after, index) in due {
            let injector = self.clone();
            let after = after.max(self.until_allowed(index));
            later(&self.ledger.world, after, move || {
                match &injector.ledger.plan.faults[index].when {
                    When::OnAfter { .. } => injector.await_milestone(index),
                    _ => injector.begin(index),
                }
            });
        }
    }

    fn lift(self: &Arc<Self>, index: usize) {
        if self.ledger.lift(index) {
            self.begin_with(&self.ledger.plan.faults[index], Edge::End);
            if !self.is_quiet() {
                let due = std::mem::take(&mut self.lock().postponed);
                due.into_iter().for_each(|index| self.begin(index));
            }
        }
    }

    /// Whether a quiet period is in force.
    fn is_quiet(&self) -> bool {
        let faults = &self.ledger.plan.faults;
        let mut in_force = self.ledger.in_force().into_iter();
        in_force.any(|index| matches!(faults[index].kind, FaultKind::Quiet {}))
    }

    /// What was done so far, in the order of beginning.
    pub fn executed(&self) -> Vec<ExecutedFault> {
        self.ledger.executed()
    }

    /// Undoes everything. What has not begun never will.
    pub fn heal(&self) {
        *self.lock() = State::default();
        self.ledger.checker.drop_triggers();
        self.ledger.heal();
    }
}

/// Does something after a time; at once within this very step when there is none.
fn later(world: &World, after: Duration, act: impl FnOnce() + Send + 'static) {
    if after.is_zero() {
        return act();
    }
    let handle = world.clone();
    world.spawn(async move {
        handle.sleep(after).await;
        act();
    });
}
