//! E5: a job starts again as often, and after as long, as its restart strategy says: judged for each term of
//! its masters by the graph that is kept, on the clock of the master's node. A job whose final checkpoint is
//! complete may start again as often as it takes to finish.

use super::{Check, ClusterInvariant};
use crate::{
    harness::{check::Clocks, event::Moment},
    host::{sim::Hardware, sim::NodeId},
    system::{
        graph::RestartStrategy,
        ids::{ExecutionVertexId, JobId},
        job_manager::JobEvent,
        leadership::LeaderSessionId,
        store,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What a master has said of one job in its term.
#[derive(Default)]
struct Term {
    session: Option<LeaderSessionId>,
    /// When it counted failures.
    failures: Vec<Duration>,
    /// The epoch of each subtask.
    epochs: BTreeMap<ExecutionVertexId, u64>,
    /// With which failure the epochs ended that are to begin anew.
    ended: BTreeMap<u64, usize>,
}

/// Remembers each term's failures.
#[derive(Default)]
pub struct RestartsObeyTheStrategy {
    clocks: Clocks,
    terms: BTreeMap<((NodeId, u64), JobId), Term>,
}

impl ClusterInvariant for RestartsObeyTheStrategy {
    fn title(&self) -> &'static str {
        "E5 restarts-obey-the-strategy"
    }

    fn promise(&self) -> &'static str {
        "a job starts again no more often and no sooner than its restart strategy says"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::FailureCounted { job, session, attempts, all, .. }) => {
                let term = self.term(at, *job, *session);
                term.failures.push(at.time);
                let number = term.failures.len();
                let present: BTreeSet<u64> = term.epochs.values().copied().collect();
                let fails =
                    |epoch: &u64| *all || attempts.iter().any(|attempt| attempt.epoch == *epoch);
                // A region that is being ended already has its time from then.
                for epoch in present.into_iter().filter(fails) {
                    term.ended.entry(epoch).or_insert(number);
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::Scheduled { job, session, epoch, vertices, .. }) => {
                self.scheduled(at, (*job, *session), *epoch, vertices, model)
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.terms.retain(|(process, _), _| *process != at.process);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl RestartsObeyTheStrategy {
    fn term(&mut self, at: Moment, job: JobId, session: LeaderSessionId) -> &mut Term {
        let term = self.terms.entry((at.process, job)).or_default();
        if term.session != Some(session) {
            *term = Term { session: Some(session), ..Term::default() };
        }
        term
    }

    fn scheduled(
        &mut self,
        at: Moment,
        (job, session): (JobId, LeaderSessionId),
        epoch: u64,
        vertices: &[ExecutionVertexId],
        model: &Model,
    ) -> Check {
        let term = self.term(at, job, session);
        let before = vertices.iter().filter_map(|vertex| term.epochs.insert(*vertex, epoch)).max();
        let Some(number) = before.and_then(|before| term.ended.remove(&before)) else {
            return Check::Ignored;
        };
        let Some(graph) = model.graph(job) else { return Check::Ignored };
        let term = &self.terms[&(at.process, job)];
        let failures = &term.failures[..number];
        let waited = at.time - failures[number - 1];
        let is_final = model.keys.contains_key(&store::final_key(job));
        let now = || format!("{at}: epoch {epoch} begins {waited:?} after failure {number}");
        let delay = self.least_delay(at.process.0, graph.restarts, failures);
        let often = is_final || !self.too_many(at.process.0, graph.restarts, failures);
        Check::that(waited >= delay, || (format!("it waits for {delay:?} at least"), now()))
            .and(Check::that(often, || (format!("{:?}", graph.restarts), now())))
    }

    /// How long the master must have waited after the last of these failures, in true time.
    fn least_delay(&self, node: NodeId, of: RestartStrategy, failures: &[Duration]) -> Duration {
        let millis = match of {
            RestartStrategy::None => 0,
            RestartStrategy::FixedDelay { delay_ms, .. }
            | RestartStrategy::FailureRate { delay_ms, .. } => delay_ms,
            RestartStrategy::ExponentialDelay { .. } => self.least_growing(node, of, failures),
        };
        self.clocks.shrunk(node, Duration::from_millis(millis))
    }

    /// The least milliseconds that a growing delay comes to after the last of these failures. Where the job may
    /// have rested before one, on the master's clock, it is taken to have rested.
    fn least_growing(&self, node: NodeId, of: RestartStrategy, failures: &[Duration]) -> u64 {
        let RestartStrategy::ExponentialDelay {
            initial_ms,
            max_ms,
            reset_ms,
            multiplier_percent,
            jitter_percent,
        } = of
        else {
            return 0;
        };
        let part = |of: u64, percent: u32| of.saturating_mul(percent.into()) / 100;
        let (first, most) = (initial_ms.max(1), max_ms.max(1));
        let mut grown = first.min(most);
        let least = |grown: u64| grown - part(grown, jitter_percent);
        for pair in failures.windows(2) {
            let rested = Duration::from_millis(least(grown).saturating_add(reset_ms));
            let longer = part(grown, multiplier_percent);
            grown = match pair[1] - pair[0] >= self.clocks.shrunk(node, rested) {
                true => first,
                false if multiplier_percent > 100 => longer.max(grown + 1),
                false => grown,
            };
            grown = grown.min(most);
        }
        least(grown)
    }

    /// Whether after the last of these failures there is no restart any more, however the clock ran.
    fn too_many(&self, node: NodeId, of: RestartStrategy, failures: &[Duration]) -> bool {
        match of {
            RestartStrategy::None => true,
            RestartStrategy::FixedDelay { attempts, .. } => failures.len() > attempts as usize,
            RestartStrategy::FailureRate { failures: most, interval_ms, .. } => {
                let interval = self.clocks.shrunk(node, Duration::from_millis(interval_ms));
                let Some(last) = failures.last() else { return false };
                let within = failures.iter().filter(|at| *last - **at <= interval).count();
                within > most as usize
            }
            RestartStrategy::ExponentialDelay { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, RestartsObeyTheStrategy};
    use std::time::Duration;

    type Terms = History<RestartsObeyTheStrategy>;

    fn kept(restarts: RestartStrategy) -> Terms {
        let stored = committed(1, vec![graph_of(CheckpointSettings::default(), restarts)]);
        History::new().holds(process(0, 1), stored).holds(process(1, 1), scheduled(1, 1, None))
    }

    /// An event of the master, so many milliseconds after the one before.
    trait Later {
        fn later(self, millis: u64, event: JobEvent) -> Self;
        fn too_soon(self, millis: u64, event: JobEvent);
    }

    impl Later for Terms {
        fn later(self, millis: u64, event: JobEvent) -> Self {
            self.after(Duration::from_millis(millis - 1_000)).holds(process(1, 1), event)
        }

        fn too_soon(self, millis: u64, event: JobEvent) {
            self.after(Duration::from_millis(millis - 1_000)).breaks(process(1, 1), event);
        }
    }

    fn failed(epoch: u64) -> JobEvent {
        let attempts = vec![attempt(0, epoch)];
        JobEvent::FailureCounted {
            job: JOB,
            session: term(1),
            failures: 1,
            attempts,
            all: false,
            cause: String::new(),
        }
    }

    fn fixed(attempts: u32) -> RestartStrategy {
        RestartStrategy::FixedDelay { attempts, delay_ms: 5_000 }
    }

    #[test]
    fn as_often_and_after_as_long_as_it_may_is_accepted() {
        kept(fixed(2))
            .later(1_000, failed(1))
            .later(5_000, scheduled(1, 2, None))
            .later(1_000, failed(2))
            .later(9_000, scheduled(1, 3, None));
        // Another term counts anew.
        kept(fixed(1))
            .later(1_000, failed(1))
            .later(5_000, scheduled(1, 2, None))
            .later(1_000, scheduled(2, 3, None));
    }

    #[test]
    fn too_soon_and_too_often_are_refused() {
        kept(fixed(2)).later(1_000, failed(1)).too_soon(4_999, scheduled(1, 2, None));
        kept(fixed(1))
            .later(1_000, failed(1))
            .later(5_000, scheduled(1, 2, None))
            .later(1_000, failed(2))
            .too_soon(9_000, scheduled(1, 3, None));
        let none = kept(RestartStrategy::None).later(1_000, failed(1));
        none.too_soon(9_000, scheduled(1, 2, None));
    }

    #[test]
    fn a_job_whose_final_checkpoint_stands_may_finish() {
        kept(RestartStrategy::None)
            .later(1_000, failed(1))
            .holds(process(0, 1), committed(2, vec![last_checkpoint(8)]))
            .later(1_500, scheduled(1, 2, None));
    }

    #[test]
    fn a_rate_and_a_growing_delay_are_held_to() {
        let rate = RestartStrategy::FailureRate { failures: 1, interval_ms: 5_000, delay_ms: 0 };
        let once = || kept(rate).later(1_000, failed(1)).later(1_000, scheduled(1, 2, None));
        once().later(4_001, failed(2)).later(1_000, scheduled(1, 3, None));
        once().later(4_000, failed(2)).too_soon(1_000, scheduled(1, 3, None));
        let growing = RestartStrategy::ExponentialDelay {
            initial_ms: 2_000,
            max_ms: 10_000,
            reset_ms: 60_000,
            multiplier_percent: 200,
            jitter_percent: 0,
        };
        let once = || kept(growing).later(1_000, failed(1)).later(2_000, scheduled(1, 2, None));
        once().later(1_000, failed(2)).later(4_000, scheduled(1, 3, None));
        once().later(1_000, failed(2)).too_soon(3_500, scheduled(1, 3, None));
        // A rest counts from the restart.
        once().later(60_000, failed(2)).later(2_000, scheduled(1, 3, None));
        once().later(59_999, failed(2)).too_soon(3_999, scheduled(1, 3, None));
    }
}
