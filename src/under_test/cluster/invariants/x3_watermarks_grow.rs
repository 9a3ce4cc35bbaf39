//! X3: watermarks grow, over each channel and for each task, within an attempt; and what a task hears is no later than
//! what any of its active channels said that had caught up. Judged on what the task says of itself: its channels'
//! watermarks and idleness, and what its operators were told.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        dataflow::WatermarkStatus,
        ids::{ExecutionAttemptId, JobId, ResultPartitionId},
        job_manager::JobEvent,
        protocol::ExecutionState,
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// What was said on a channel.
#[derive(Clone, Copy, Debug)]
struct Channel {
    watermark: i64,
    is_idle: bool,
}

impl Default for Channel {
    fn default() -> Self {
        Channel { watermark: i64::MIN, is_idle: false }
    }
}

/// What an attempt has heard and told.
#[derive(Debug)]
struct Attempt {
    channels: BTreeMap<(ResultPartitionId, u32), Channel>,
    told: i64,
}

impl Default for Attempt {
    fn default() -> Self {
        Attempt { channels: BTreeMap::new(), told: i64::MIN }
    }
}

impl Attempt {
    /// The first that is said on a channel counts, whatever it is; then only what is later.
    fn hear(&mut self, channel: (ResultPartitionId, u32), watermark: i64) -> Check {
        let known = self.channels.contains_key(&channel);
        let channel = self.channels.entry(channel).or_default();
        let before = channel.watermark;
        if channel.is_idle && watermark < i64::MAX {
            return Check::broken("the channel is idle", format!("its watermark is {watermark}"));
        }
        channel.watermark = watermark.max(before);
        // The end is told by the last watermark, and then by the end itself.
        let grows = watermark > before || !known || watermark == i64::MAX;
        Check::that(grows, || (format!("the watermark is {before}"), format!("it is {watermark}")))
    }

    /// The latest that the task's operators may hear now.
    fn most(&self, channels: usize) -> i64 {
        // A channel on which nothing was said is active.
        if self.channels.len() < channels {
            return i64::MIN;
        }
        let counts = |one: &&Channel| !one.is_idle && one.watermark < i64::MAX;
        let active: Vec<_> = self.channels.values().filter(counts).collect();
        let aligned = active.iter().filter(|one| one.watermark >= self.told);
        let least = aligned.map(|channel| channel.watermark).min();
        let idle = self.channels.values().filter(|one| one.watermark < i64::MAX);
        match (least, active.is_empty()) {
            (Some(least), _) => least,
            // All that are active are behind.
            (None, false) => self.told,
            (None, true) => idle.map(|channel| channel.watermark).max().unwrap_or(i64::MAX),
        }
    }
}

/// Remembers what each attempt of the tasks that run has heard.
#[derive(Default)]
pub struct WatermarksGrow {
    attempts: BTreeMap<ExecutionAttemptId, Attempt>,
}

impl WatermarksGrow {
    fn advance(
        &mut self,
        at: Moment,
        attempt: ExecutionAttemptId,
        channels: usize,
        watermark: i64,
    ) -> Check {
        let of = self.attempts.entry(attempt).or_default();
        let (before, most) = (of.told, of.most(channels));
        of.told = watermark.max(before);
        Check::that(watermark > before && watermark <= most, || {
            let known = format!("{attempt:?} was told {before}, and its channels come to {most}");
            (known, format!("{at}: it is told {watermark}"))
        })
    }

    fn forget(&mut self, job: JobId) {
        self.attempts.retain(|attempt, _| attempt.job != job);
    }
}

impl ClusterInvariant for WatermarksGrow {
    fn title(&self) -> &'static str {
        "X3 watermarks-grow"
    }

    fn promise(&self) -> &'static str {
        "a task's watermark grows, and is no later than that of an active channel that has caught up"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Task, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Task(TaskEvent::WatermarkReceived {
                attempt,
                partition,
                subpartition,
                watermark,
            }) => {
                let of = self.attempts.entry(*attempt).or_default();
                of.hear((*partition, *subpartition), watermark.0)
            }
            EventRef::Task(TaskEvent::WatermarkStatusReceived {
                attempt,
                partition,
                subpartition,
                status,
            }) => {
                let of = self.attempts.entry(*attempt).or_default();
                let channel = of.channels.entry((*partition, *subpartition)).or_default();
                channel.is_idle = matches!(status, WatermarkStatus::Idle);
                Check::Ignored
            }
            EventRef::Task(TaskEvent::WatermarkAdvanced { attempt, channels, watermark }) => {
                self.advance(at, *attempt, *channels, watermark.0)
            }
            EventRef::Task(TaskEvent::StateChanged {
                attempt,
                state: ExecutionState::Finished | ExecutionState::Canceled | ExecutionState::Failed,
                ..
            }) => {
                self.attempts.remove(attempt);
                Check::Ignored
            }
            EventRef::Job(JobEvent::CleanupStarted { job, .. }) => {
                self.forget(*job);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, WatermarksGrow};
    use crate::system::dataflow::{Timestamp, WatermarkStatus};

    type Watermarks = History<WatermarksGrow>;

    fn hears(channel: u32, watermark: i64) -> TaskEvent {
        let (partition, watermark) = (partition(channel, 1), Timestamp(watermark));
        TaskEvent::WatermarkReceived {
            attempt: attempt(5, 1),
            partition,
            subpartition: 0,
            watermark,
        }
    }

    fn status(channel: u32, status: WatermarkStatus) -> TaskEvent {
        let (attempt, partition) = (attempt(5, 1), partition(channel, 1));
        TaskEvent::WatermarkStatusReceived { attempt, partition, subpartition: 0, status }
    }

    fn told(watermark: i64) -> TaskEvent {
        let watermark = Timestamp(watermark);
        TaskEvent::WatermarkAdvanced { attempt: attempt(5, 1), channels: 2, watermark }
    }

    /// Two channels at 10 and 20.
    fn two() -> Watermarks {
        let history = Watermarks::new().holds(process(4, 1), hears(0, 10));
        history.holds(process(4, 1), hears(1, 20))
    }

    #[test]
    fn the_least_of_the_channels_is_accepted_and_more_is_refused() {
        two().holds(process(4, 1), told(10));
        two().holds(process(4, 1), told(4)).holds(process(4, 1), told(10));
        two().breaks(process(4, 1), told(11));
        Watermarks::new().holds(process(4, 1), hears(0, 10)).breaks(process(4, 1), told(1));
    }

    #[test]
    fn what_goes_back_is_refused() {
        two().holds(process(4, 1), told(10)).breaks(process(4, 1), told(9));
        two().holds(process(4, 1), told(10)).breaks(process(4, 1), told(10));
        two().breaks(process(4, 1), hears(0, 9));
        two().breaks(process(4, 1), hears(0, 10));
    }

    #[test]
    fn an_idle_channel_is_passed_and_one_that_is_back_once_it_has_caught_up_is_not() {
        let idle = || two().holds(process(4, 1), status(0, WatermarkStatus::Idle));
        idle().holds(process(4, 1), told(20));
        idle().breaks(process(4, 1), told(21));
        idle().breaks(process(4, 1), hears(0, 11));
        let back = || {
            let history = idle().holds(process(4, 1), told(20));
            history.holds(process(4, 1), status(0, WatermarkStatus::Active))
        };
        let ahead = |history: Watermarks| history.holds(process(4, 1), hears(1, 40));
        ahead(back()).holds(process(4, 1), told(40));
        ahead(back()).holds(process(4, 1), hears(0, 25)).breaks(process(4, 1), told(40));
    }

    #[test]
    fn when_all_are_idle_the_greatest_is_accepted_and_when_all_have_ended_the_end() {
        let idle = |history: Watermarks, channel| {
            history.holds(process(4, 1), status(channel, WatermarkStatus::Idle))
        };
        idle(idle(two(), 1), 0).holds(process(4, 1), told(20));
        idle(idle(two(), 1), 0).breaks(process(4, 1), told(21));
        let ended =
            |history: Watermarks, channel| history.holds(process(4, 1), hears(channel, i64::MAX));
        ended(two(), 0).breaks(process(4, 1), told(i64::MAX));
        ended(idle(two(), 0), 1).breaks(process(4, 1), told(i64::MAX));
        ended(ended(two(), 0), 1).holds(process(4, 1), told(i64::MAX));
    }

    #[test]
    fn a_source_tells_its_end_and_a_new_attempt_begins_anew() {
        let end = TaskEvent::WatermarkAdvanced {
            attempt: attempt(1, 1),
            channels: 0,
            watermark: Timestamp::MAX,
        };
        Watermarks::new().holds(process(4, 1), end);
        let earlier = TaskEvent::WatermarkReceived {
            attempt: attempt(5, 2),
            partition: partition(0, 2),
            subpartition: 0,
            watermark: Timestamp(1),
        };
        two().holds(process(4, 1), earlier);
    }
}
