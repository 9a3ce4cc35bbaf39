//! The loop that makes a plan smaller until nothing about it can be.

use super::{
    candidates,
    document::{Document, FAULT, Measure},
    messages,
    rates::Rate,
    trial::{Candidate, Kept, Trial},
};
use crate::harness::{
    explore::Failure,
    run::{RunOutcome, Signature, run_on_fresh_thread},
    scenario::Scenario,
    system::Systems,
};
use bytes::Bytes;
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// How long after the failure the plan may still have faults.
const AFTER_THE_FAILURE: Duration = Duration::from_secs(1);
/// Up to so many faults each is tried alone.
const ALONE_MAX: usize = 16;
/// With so many more faults, each of one frame, a plan is still simpler than with a rate.
const FRAMES_FOR_A_RATE: usize = 2;
/// Schedules that are asked about one step.
const SCHEDULES_OF_A_STEP: u64 = 6;

/// How far shrinking goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Candidates that are tried at most.
    pub candidates: u64,
    /// Schedules under which the first and the last plan are run.
    pub schedules: u64,
    /// Runs side by side.
    pub jobs: usize,
}

/// How far it is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Candidates that were tried.
    pub candidates: u64,
    /// How large the smallest plan is that fails.
    pub measure: Measure,
    /// Whether schedules are tried, and no candidates.
    pub is_accepting: bool,
}

/// What shrinking came to.
#[derive(Debug)]
pub struct Shrunk {
    /// The smallest plan that was found.
    pub plan: Arc<Scenario>,
    /// Its run under the schedule that failed.
    pub outcome: RunOutcome,
    /// The text in place of its workload.
    pub input: Option<Arc<Vec<Bytes>>>,
    /// How large the whole plan was, and how large this one is.
    pub measures: [Measure; 2],
    /// How often each of them fails; `None` when it was stopped before that was known.
    pub rates: Option<[Rate; 2]>,
    /// Candidates that were tried.
    pub candidates: u64,
    /// Smaller plans that failed too seldom, and were let go for this one.
    pub given_up: usize,
    /// Whether it was stopped, or came to its limit, before nothing could be made smaller.
    pub is_cut_short: bool,
}

struct Shrinker<'a, F> {
    trial: Trial<'a>,
    limits: Limits,
    on_progress: F,
    tried: u64,
    /// What was tried; nothing is tried twice.
    known: Vec<Candidate>,
    /// How often the whole plan fails, once each step is held to it.
    rate_to_meet: Option<Rate>,
    /// The plans that failed, mostly each smaller than the one before.
    kept: Vec<Kept>,
}

/// Makes a failure's plan smaller. `None` when it does not fail any more, or another way than when it was kept. Once
/// `on_progress` says that it is enough no more candidates are tried; once `stop` is set nothing is run any more.
pub fn shrink(
    systems: Systems,
    failure: &Failure,
    limits: Limits,
    stop: &AtomicBool,
    on_progress: impl FnMut(&Progress) -> bool,
) -> Option<Shrunk> {
    let outcome = run_on_fresh_thread(&failure.plan, &failure.config());
    let wanted = Signature::of(&outcome)?;
    if !failure.is_verdict(&outcome.verdict) {
        return None;
    }
    let document = Document::of(&failure.plan);
    let candidate = Candidate { document, input: failure.input.clone() };
    let whole = Kept { candidate, scenario: failure.plan.clone(), outcome };
    let trial =
        Trial { systems, failure, wanted, jobs: limits.jobs, stop, enough: AtomicBool::new(false) };
    let mut shrinker = Shrinker {
        trial,
        limits,
        on_progress,
        tried: 0,
        known: Vec::new(),
        rate_to_meet: None,
        kept: vec![whole],
    };
    let is_done = shrinker.run();
    Some(shrinker.accept(is_done))
}

impl<F: FnMut(&Progress) -> bool> Shrinker<'_, F> {
    /// Whether nothing could be made smaller in the end.
    fn run(&mut self) -> bool {
        self.without_what_never_came();
        self.fewer_faults();
        // Rates become frames while they are the rates that were drawn.
        self.fewer_messages();
        loop {
            let before = self.measure();
            // It may fail sooner by now.
            self.without_what_never_came();
            self.fewer_faults();
            self.less_of_all();
            self.fewer_tables();
            self.plainer();
            let is_smaller = self.measure().is_less_than(&before);
            if self.is_over() {
                return false;
            }
            if !is_smaller && !self.fewer_messages() && !self.hang_on_milestones() {
                return !self.is_over();
            }
        }
    }

    fn is_over(&self) -> bool {
        self.tried >= self.limits.candidates || self.trial.is_over()
    }

    fn best(&self) -> &Kept {
        self.kept.last().expect("the whole plan is there")
    }

    fn document(&self) -> &Document {
        &self.best().candidate.document
    }

    fn measure(&self) -> Measure {
        self.document().measure(&self.best().scenario.system)
    }

    /// Tries candidates until one fails as the whole plan does; whether one did.
    fn try_all(&mut self, documents: Vec<Document>) -> bool {
        let Candidate { document: best, input } = self.best().candidate.clone();
        let mut candidates: Vec<Candidate> = Vec::new();
        for document in documents {
            let candidate = Candidate { document, input: input.clone() };
            if candidate.document != best && !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        self.try_candidates(candidates)
    }

    fn try_candidates(&mut self, mut candidates: Vec<Candidate>) -> bool {
        loop {
            candidates.retain(|candidate| !self.known.contains(candidate));
            let left = self.limits.candidates - self.tried.min(self.limits.candidates);
            if candidates.is_empty() || self.is_over() {
                return false;
            }
            let Some(kept) = self.try_some(candidates.clone(), left) else { return false };
            self.kept.push(kept);
            if self.fails_often() {
                return true;
            }
            self.kept.pop();
        }
    }

    /// Runs candidates up to the first that fails as the whole plan does.
    fn try_some(&mut self, candidates: Vec<Candidate>, most: u64) -> Option<Kept> {
        let mut progress = self.progress(false);
        let on_progress = &mut self.on_progress;
        let (tried, kept) = self.trial.first_that_fails(candidates, most, || {
            progress.candidates += 1;
            on_progress(&progress)
        });
        self.tried += tried.len() as u64;
        self.known.extend(tried);
        kept
    }

    /// Whether the last plan fails often enough, as far as a few schedules tell, where that is asked of each step.
    fn fails_often(&mut self) -> bool {
        let Some(whole) = self.rate_to_meet else { return true };
        let rate = self.rate(self.kept.len() - 1, SCHEDULES_OF_A_STEP);
        rate.is_some_and(|rate| rate.is_half_of(whole))
    }

    fn progress(&self, is_accepting: bool) -> Progress {
        Progress { candidates: self.tried, measure: self.measure(), is_accepting }
    }

    /// Faults that struck nothing or came after it failed, and the time after that, go at once.
    fn without_what_never_came(&mut self) {
        let outcome = &self.best().outcome;
        let broken = outcome.violations.first().map(|violation| violation.at.time);
        let end = broken.unwrap_or(outcome.simulated);
        let came = |index: &usize| {
            let executed = outcome.executed.iter().find(|executed| executed.index == *index);
            executed.is_some_and(|executed| executed.began <= end && executed.struck())
        };
        let gone: Vec<usize> =
            (0..outcome.plan.faults.len()).filter(|index| !came(index)).collect();
        let fewer = candidates::without_faults(self.document(), gone.into_iter());
        let shorter = match broken {
            Some(at) => candidates::healed_at(&fewer, at + AFTER_THE_FAILURE),
            None => fewer.clone(),
        };
        self.try_all(vec![shorter, fewer]);
    }

    /// None of the faults, one alone, then ever smaller parts left out.
    fn fewer_faults(&mut self) {
        let count = self.document().count(FAULT);
        if count == 0 {
            return;
        }
        let mut boldest = vec![candidates::without_faults(self.document(), 0..count)];
        if (2..=ALONE_MAX).contains(&count) {
            boldest.extend(candidates::single_faults(self.document()));
        }
        self.try_all(boldest);
        let mut parts = 2;
        while !self.is_over() {
            let count = self.document().count(FAULT);
            if count < 2 {
                return;
            }
            let documents = candidates::without_parts(self.document(), parts.min(count));
            if self.try_all(documents) {
                parts = (parts - 1).max(2);
            } else if parts >= count {
                return;
            } else {
                parts *= 2;
            }
        }
    }

    /// All sizes at once, then one after the other.
    fn less_of_all(&mut self) {
        let system = self.best().scenario.system.clone();
        while self.try_all(candidates::scaled(self.document(), &system)) {}
        for (place, least) in candidates::sizes(self.document(), &system).into_iter().rev() {
            while self.try_all(candidates::with_less(self.document(), &place, least)) {}
        }
        self.less_input();
    }

    /// Of a text in place of the workload its first lines.
    fn less_input(&mut self) {
        while let Some(lines) = self.best().candidate.input.clone() {
            let document = self.document().clone();
            let first = |part: usize| {
                let input = Some(Arc::new(lines[..lines.len() / part].to_vec()));
                Candidate { document: document.clone(), input }
            };
            let parts = [256, 64, 16, 4, 2].into_iter().filter(|part| lines.len() >= *part);
            if !self.try_candidates(parts.map(first).collect()) {
                return;
            }
        }
    }

    fn fewer_tables(&mut self) {
        while self.try_all(candidates::without_tables(self.document())) {}
    }

    /// Settings at their defaults, and faults with less about them.
    fn plainer(&mut self) {
        let system = self.best().scenario.system.clone();
        while self.try_all(candidates::plainer(self.document(), &system)) {}
        while self.try_all(candidates::plainer_faults(self.document())) {}
    }

    /// Faults of messages that hit fewer of them; whether one does now.
    fn fewer_messages(&mut self) -> bool {
        let traced = self.trial.traced(self.best());
        if self.try_all(messages::narrower(self.document(), &traced)) {
            return true;
        }
        let faults = self.document().count(FAULT);
        (0..faults).any(|index| {
            let Some(explicit) = messages::explicit(self.document(), index, &traced) else {
                return false;
            };
            let before = self.kept.len();
            if !self.try_all(vec![explicit]) {
                return false;
            }
            self.fewer_faults();
            // Frames that are many say less than a rate.
            let is_kept = self.document().count(FAULT) <= faults + FRAMES_FOR_A_RATE;
            if !is_kept {
                self.kept.truncate(before);
            }
            is_kept
        })
    }

    /// Faults that hang on milestones instead of times, where the plan fails no less often for it; whether one does now.
    fn hang_on_milestones(&mut self) -> bool {
        let kept = self.kept.len();
        for index in 0..self.document().count(FAULT) {
            let Kept { outcome, .. } = self.best();
            let began = outcome.executed.iter().find(|executed| executed.index == index);
            let Some(began) = began.map(|executed| executed.began) else { continue };
            let hung =
                candidates::hung_on_milestones(self.document(), index, began, &outcome.order);
            let Some(before) = (!hung.is_empty())
                .then(|| self.rate(self.kept.len() - 1, SCHEDULES_OF_A_STEP))
                .flatten()
            else {
                continue;
            };
            for document in hung {
                if !self.try_all(vec![document]) {
                    continue;
                }
                let now = self.rate(self.kept.len() - 1, SCHEDULES_OF_A_STEP);
                if now.is_some_and(|now| now.failed >= before.failed) {
                    break;
                }
                self.kept.pop();
            }
        }
        self.kept.len() > kept
    }

    /// The smallest plan that fails at least half as often as the whole one. Where plans on the way to it fail too
    /// seldom, it goes on from before the first of them, and asks several schedules about each step.
    fn accept(mut self, mut is_done: bool) -> Shrunk {
        let whole = self.rate(0, self.limits.schedules);
        let mut last = whole;
        let mut given_up = 0;
        if let Some(whole) = whole {
            if self.kept.len() > 1 {
                last = self.rate(self.kept.len() - 1, self.limits.schedules);
            }
            if last.is_some_and(|last| !last.is_half_of(whole)) {
                given_up += self.back_to_half(whole);
                self.rate_to_meet = Some(whole);
                is_done = self.run() && is_done;
                last = self.rate(self.kept.len() - 1, self.limits.schedules);
                if last.is_some_and(|last| !last.is_half_of(whole)) {
                    given_up += self.back_to_half(whole);
                    last = self.rate(self.kept.len() - 1, self.limits.schedules);
                }
            }
        }
        let measure = |kept: &Kept| kept.candidate.document.measure(&kept.scenario.system);
        let measures = [measure(&self.kept[0]), measure(self.best())];
        let Kept { candidate, scenario, outcome } =
            self.kept.pop().expect("the whole plan is there");
        Shrunk {
            plan: scenario,
            outcome,
            input: candidate.input,
            measures,
            rates: whole.zip(last).map(|(whole, last)| [whole, last]),
            candidates: self.tried,
            given_up,
            is_cut_short: !is_done,
        }
    }

    /// Under how many of so many schedules the plan at a place fails; `None` when it was stopped meanwhile.
    fn rate(&mut self, place: usize, schedules: u64) -> Option<Rate> {
        let progress = self.progress(true);
        let Kept { candidate, scenario, .. } = &self.kept[place];
        let on_progress = &mut self.on_progress;
        let told = || {
            on_progress(&progress);
        };
        let failed = self.trial.failures(scenario, candidate.input.as_ref(), schedules, told)?;
        Some(Rate { failed, schedules })
    }

    /// Lets plans go until the last one fails half as often as the whole one; how many.
    fn back_to_half(&mut self, whole: Rate) -> usize {
        let before = self.kept.len();
        // The first does; of the last it is known that it does not.
        let (mut fails, mut seldom) = (0, before - 1);
        while seldom - fails > 1 {
            let middle = usize::midpoint(fails, seldom);
            match self.rate(middle, self.limits.schedules) {
                Some(rate) if rate.is_half_of(whole) => fails = middle,
                Some(_) => seldom = middle,
                None => break,
            }
        }
        self.kept.truncate(fails + 1);
        before - self.kept.len()
    }
}

impl Shrunk {
    /// The plan as a failure of its own.
    pub fn failure(&self, of: &Failure) -> Failure {
        Failure::of(&self.plan, &self.outcome, of.sabotage, self.input.clone())
    }
}
