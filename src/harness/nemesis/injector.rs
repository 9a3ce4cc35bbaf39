//! When a plan's faults begin, and when what they have done is undone.

use super::{
    dispatch::strike, executed::ExecutedFault, ledger::Ledger, machines::Machines, strike::Strike,
};
use crate::{
    harness::{
        check::{Checker, EventMatcher, Trigger},
        fault::{Drawn, Edge, PlannedFault, TriggerCondition, When},
        scenario::FaultPlan,
    },
    host::sim::World,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Executes one plan.
pub struct Injector {
    ledger: Arc<Ledger>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many faults have not begun.
    pending: usize,
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
        let state = State { pending: plan.faults.len(), waiting: Vec::new() };
        let ledger = Arc::new(Ledger::new(world, machines, checker, plan));
        let injector = Arc::new(Injector { ledger, state: Mutex::new(state) });
        // Those of one instant begin in the plan's order.
        let mut at_times: BTreeMap<Duration, Vec<usize>> = BTreeMap::new();
        for (index, fault) in injector.ledger.plan.faults.iter().enumerate() {
            match &fault.when {
                When::At(at) => at_times.entry(*at).or_default().push(index),
                When::On(condition) => {
                    let begins = injector.clone();
                    injector.arm_on(condition, index, move || begins.begin(index));
                }
                When::With { fault, edge, after } | When::OnAfter { fault, edge, after, .. } => {
                    injector.lock().waiting.push((fault.clone(), *edge, *after, index));
                }
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
        if !self.ledger.begin(index) {
            return;
        }
        self.lock().pending -= 1;
        strike(&Strike::new(&self.ledger, index));
        let fault = &self.ledger.plan.faults[index];
        let (injector, duration) = (self.clone(), fault.duration);
        self.ledger.world.spawn(async move {
            injector.ledger.world.sleep(duration).await;
            injector.lift(index);
        });
        if let Some(until) = &fault.until {
            let injector = self.clone();
            self.arm_on(until, index, move || injector.lift(index));
        }
        self.begin_with(fault, Edge::Start);
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
            later(&self.ledger.world, after, move || {
                match &injector.ledger.plan.faults[index].when {
                    When::OnAfter { condition, .. } => {
                        let begins = injector.clone();
                        injector.arm_on(condition, index, move || begins.begin(index));
                    }
                    _ => injector.begin(index),
                }
            });
        }
    }

    fn lift(self: &Arc<Self>, index: usize) {
        if self.ledger.lift(index) {
            self.begin_with(&self.ledger.plan.faults[index], Edge::End);
        }
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
