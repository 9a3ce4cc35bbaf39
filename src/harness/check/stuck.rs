//! Why a run that does not converge may be no bug.

use super::model::Model;
use crate::{
    harness::{
        fault::{ExecutedFault, FaultPlan},
        scenario::{JournalSpec, Scenario, SystemSpec, WordCountSpec},
        world::least_to_write,
    },
    host::sim::NodeId,
    system::{ids::JobId, protocol::JobStatus},
};
use std::{collections::BTreeMap, time::Duration};

/// What is known of a run that is stuck.
pub struct StuckRun<'a> {
    /// The scenario, drawn.
    pub scenario: &'a Scenario,
    /// The state of the cluster.
    pub model: &'a Model,
    /// The job of the run.
    pub job: JobId,
    /// The plan.
    pub plan: &'a FaultPlan,
    /// What became of it.
    pub executed: &'a [ExecutedFault],
    /// The names of the nodes.
    pub names: &'a BTreeMap<NodeId, String>,
    /// The key of `[converge]` that bounds what is overdue.
    pub goal: &'static str,
    /// How long the run was.
    pub ran: Duration,
}

impl StuckRun<'_> {
    /// The reasons for which the run may be stuck without a bug, and what else a person would look
    /// at first; a line each.
    pub fn reasons(&self) -> Vec<String> {
        let own = match &self.scenario.system {
            SystemSpec::Journal(spec) => self.of_journal(spec),
            SystemSpec::WordCount(spec) => self.of_word_count(spec),
        };
        own.into_iter().chain(self.exits()).collect()
    }

    fn of_journal(&self, spec: &JournalSpec) -> Vec<String> {
        let calls = spec.lines.one().div_ceil(spec.batch.one());
        let least = spec.pause.one() * calls;
        let what = "the clients' pauses alone take";
        self.too_long(what, least).into_iter().collect()
    }

    fn of_word_count(&self, spec: &WordCountSpec) -> Vec<String> {
        let mut reasons = Vec::new();
        let (slots, parallelism) =
            (spec.task_executors.one() * spec.slots.one(), spec.parallelism.one());
        if slots < parallelism {
            reasons.push(format!(
                "no bug: the job needs {parallelism} slots, and the cluster has {slots}"
            ));
        }
        let failed = |status| status == JobStatus::Failed;
        if self.model.terminal_status(self.job).is_some_and(failed) {
            let restarts = spec.restarts.one();
            reasons
                .push(format!("maybe no bug: the job may restart {restarts} times (`restarts`)"));
        }
        let written = least_to_write(spec, self.scenario.latency.low);
        reasons.extend(self.too_long("to write the input alone takes", written));
        let records = spec.lines.one().saturating_mul(spec.line_words.one()) / parallelism;
        let handled = spec.service_time.one().saturating_mul(records);
        reasons.extend(self.too_long("to handle the words alone takes", handled));
        reasons
    }

    fn too_long(&self, what: &str, least: Duration) -> Option<String> {
        // An earlier goal does not wait for the end of the work.
        (self.goal == "job" && least >= self.ran).then(|| {
            let [least, ran] = [least, self.ran].map(|time| time.as_secs());
            format!("no bug: {what} {least}s; the run had {ran}s")
        })
    }

    /// The processes that end themselves, and whether somebody harmed their disks for good.
    fn exits(&self) -> Vec<String> {
        let told = self.model.exits.iter().map(|(node, (times, reason))| {
            let name = &self.names[node];
            let harm = self.executed.iter().find(|executed| {
                let struck = executed.resolved.iter().any(|(_, nodes)| nodes.contains(name));
                struck && self.plan.faults[executed.index].kind.harms_for_good()
            });
            let excuse = match harm {
                Some(fault) => format!("maybe no bug, after {}: ", fault.what),
                None => String::new(),
            };
            format!("{excuse}{name} ended itself {times} times, at last: {reason}")
        });
        told.collect()
    }
}
