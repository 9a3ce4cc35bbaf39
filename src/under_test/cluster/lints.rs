//! What is sound in the settings of a cluster but hardly meant.

use super::settings::WordCountSpec;
use crate::harness::{language::exact_duration, system::LintContext};

/// What is sound but hardly meant, a line each.
pub fn lints(spec: &WordCountSpec, context: &LintContext) -> Vec<String> {
    let mut found = Vec::new();
    let slots = spec.task_executors.low * spec.slots.low;
    let parallelism = spec.parallelism.high;
    if slots < parallelism {
        found.push(format!(
            "a job of `parallelism` {parallelism} needs as many slots, and there are {slots}: it \
             can't run"
        ));
    }
    found.extend(no_checkpoint(spec, context));
    found.extend(never_fails(spec));
    found
}

/// Traversals of links from a checkpoint's trigger to its completion: the trigger, a task's state on its
/// way to the blob server and the answer, the acknowledgement, the same for the metadata, and the pointer.
const CROSSINGS_OF_CHECKPOINT: u32 = 8;

/// That no checkpoint can be complete before its time is up: then no job can end either.
fn no_checkpoint(spec: &WordCountSpec, context: &LintContext) -> Option<String> {
    let latency = context.latency_min;
    let least = latency.checked_mul(CROSSINGS_OF_CHECKPOINT)?;
    let most = spec.checkpoint_timeout.high;
    (most <= least && context.expects_passed).then(|| {
        let [latency, least, most] = [latency, least, most].map(exact_duration);
        format!(
            "a checkpoint crosses links {CROSSINGS_OF_CHECKPOINT} times, which takes {least} at a \
             `latency` of {latency}, and `checkpoint-timeout` is {most}: none can complete, and no \
             job ends"
        )
    })
}

/// Functions that fail at a line to which no subtask comes.
fn never_fails(spec: &WordCountSpec) -> Vec<String> {
    let lines = spec.lines.high;
    let keys = [("fail-at", spec.fail_at), ("panic-at", spec.panic_at)];
    let beyond = keys.into_iter().filter(|(_, at)| at.is_some_and(|at| at.low > lines));
    beyond
        .map(|(key, _)| format!("`{key}` is beyond the input of {lines} lines, so it never comes"))
        .collect()
}
