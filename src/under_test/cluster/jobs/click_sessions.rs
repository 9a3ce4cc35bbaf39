//! Click sessions under test: clicks with an event time, drawn, of which some are too late.

use super::{
    course::{Course, StateMemory, state_backend},
    job::{JobRun, JobSetup, JobUnderTest},
    workload::{Workload, checkpoints, committed_lines, failing},
};
use crate::{
    harness::{
        language::{
            DurationRange, NumberRange, Share, maybe_count, maybe_time, number, part, time,
        },
        system::Output,
    },
    host::{Draws, millis},
    jobs::{
        click_sessions::{
            CLICKS_MAX, Click, Oracle, SessionSettings, click_sessions, program, topics,
        },
        common::{FailedAttempts, JobSettings},
    },
    system::{
        connector::{Input, LogSourceParameters},
        dataflow::Program,
        graph::{JobGraph, RestartStrategy},
        ids::JobId,
        protocol::JobStatus,
    },
    under_test::cluster::{invariants::x4_exactly_once::ExactlyOnce, model::Model},
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

crate::settings! {
    /// What a scenario says of click sessions.
    #[derive(Clone, Debug, PartialEq)]
    ClickSessionsSettings {
        job {
            "parallelism" parallelism: NumberRange = number(1, 128, 3).size(), "Subtasks of every operator, and partitions of both topics.";
            "lines" lines: NumberRange = number(1, 1_000_000, 1_500).size(), "Clicks in the input topic in the end.";
            "lines-per-second" lines_per_second: NumberRange = number(1, 1_000_000, 120).size(), "Clicks written to the input topic in a second at most: the links' latency comes on top.";
            "users" users: NumberRange = number(1, 100_000, 20).size(), "The users are drawn from so many.";
            "click-interval" click_interval: DurationRange = time("1ms", "60m", "50ms"), "From click to click over all users, in event time.";
            "gap" gap: DurationRange = time("1ms", "60m", "1s"), "A session ends so long behind its last click, in event time.";
            "out-of-orderness" out_of_orderness: DurationRange = time("0ms", "60m", "500ms"), "How much earlier than the latest click of its partition a click may be and is waited for, in event time.";
            "lateness" lateness: DurationRange = time("0ms", "60m", "1s"), "For how long a session is kept behind its end, in event time.";
            "late" late: Share = part("5%"), "The share of clicks that are earlier than is waited for, by up to five gaps.";
            "idle-timeout" idle_timeout: Option<DurationRange> = maybe_time("8ms", "10m"), "A partition without a click for so long is idle, and nobody waits for it; never when absent.";
            "checkpoint-interval" checkpoint_interval: DurationRange = time("10ms", "60m", "2s"), "From checkpoint to checkpoint.";
            "checkpoint-timeout" checkpoint_timeout: DurationRange = time("10ms", "60m", "10s"), "How long a checkpoint may take.";
            "state-on-disk" state_on_disk: Share = part("0%"), "How many of the runs keep windows on the disks of their task executors.";
            "state-memory" state_memory: NumberRange = number(16_384, 1_073_741_824, 65_536), "Bytes of memory for the windows of each subtask, where they are on disk.";
            "restarts" restarts: NumberRange = number(0, 1_000_000, 1_000), "Restarts after failures.";
            "restart-delay" restart_delay: DurationRange = time("0ms", "10m", "1s"), "From a failure to the restart.";
            "fail-at" fail_at: Option<NumberRange> = maybe_count(10_000_000), "The line at which a subtask's function fails, counted in each attempt from its begin; never when absent.";
            "fail-times" fail_times: NumberRange = number(1, 1_000_000, 1), "How many of the job's attempts fail in this way.";
        }
    }
}

impl ClickSessionsSettings {
    fn workload(&self) -> Workload {
        Workload {
            partitions: self.parallelism.one(),
            added: 0,
            lines: self.lines.one(),
            lines_per_second: self.lines_per_second.one(),
        }
    }

    fn sessions(&self) -> SessionSettings {
        SessionSettings {
            gap: self.gap.one(),
            out_of_orderness: self.out_of_orderness.one(),
            lateness: self.lateness.one(),
            idleness: self.idle_timeout.map(DurationRange::one),
        }
    }

    fn expected_status(&self) -> &'static [JobStatus] {
        match self.fail_at.is_some() && self.fail_times.one() > self.restarts.one() {
            // An attempt that goes on near the end meets too few lines to fail.
            true => &[JobStatus::Failed, JobStatus::Finished],
            false => &[JobStatus::Finished],
        }
    }

    /// Its clicks: each later than the one before by the interval, and back by as much as is waited for, or more.
    fn drawn_clicks(&self, seed: u64) -> Vec<Bytes> {
        let mut draws = Draws::new(seed, "clicks", [0, 0]);
        let share = u32::try_from(self.late.low).unwrap_or(0);
        let (waited, gap) = (millis(self.out_of_orderness.one()), millis(self.gap.one()));
        let (interval, users) = (millis(self.click_interval.one()), u64::from(self.users.one()));
        let click = |number: u64| {
            let user = draws.below(users);
            let back = match draws.chance(share) {
                true => waited + draws.between(1, gap * 5),
                false => draws.between(0, waited),
            };
            let time = (number * interval).saturating_sub(back);
            Bytes::from(format!("u{user} {time} {number}"))
        };
        (0..u64::from(self.lines.one())).map(click).collect()
    }
}

/// Click sessions: clicks that a writer appends to a topic, and a client that submits the job.
pub struct ClickSessions;

impl JobUnderTest for ClickSessions {
    type Settings = ClickSessionsSettings;

    fn name(&self) -> &str {
        "click-sessions"
    }

    fn after_draw(&self, settings: ClickSessionsSettings, seed: u64) -> ClickSessionsSettings {
        let state_on_disk = settings.state_on_disk.decided(seed, "state on disk");
        ClickSessionsSettings { state_on_disk, ..settings }
    }

    fn program(&self, failed: &FailedAttempts) -> Program {
        program(failed)
    }

    fn slots(&self, settings: &ClickSessionsSettings) -> NumberRange {
        settings.parallelism
    }

    fn check_input(&self, _: &ClickSessionsSettings, lines: &[Bytes]) -> Result<(), String> {
        check_clicks(lines)
    }

    fn setup(&self, settings: &ClickSessionsSettings, run: &JobRun<'_>) -> JobSetup {
        let (topics, workload) = (topics(run.number), settings.workload());
        let own = || settings.drawn_clicks(run.seed);
        let lines = run.input.map_or_else(own, |input| input.to_vec());
        let course = Course::without_stops(settings.parallelism.one());
        let (plan, nodes) = workload.begin(run, &topics, &lines, None, &course, |id, _, source| {
            graph(settings, id, source, &topics.output)
        });
        let id = plan.job.id;
        let (output_topic, oracle) = (topics.output.clone(), Oracle::new(settings.sessions()));
        JobSetup {
            id,
            nodes,
            plan,
            oracle: Box::new(ExactlyOnce::new(id, topics.clone(), Box::new(oracle))),
            besides: Vec::new(),
            callers: 0..0,
            input_topic: topics.input,
            expected_status: settings.expected_status().to_vec(),
            restarts: settings.restarts.one(),
            fails_on_purpose: settings.fail_at.is_some(),
            checkpoint_timeout: settings.checkpoint_timeout.one(),
            output: Box::new(move |model| output(model, &output_topic)),
            explain: Box::new(|_, _| Vec::new()),
        }
    }
}

/// Whether the lines are clicks, each another one, and of no user too many for one session.
fn check_clicks(lines: &[Bytes]) -> Result<(), String> {
    let (mut all, mut of_user) = (BTreeSet::new(), BTreeMap::<_, usize>::new());
    for (number, line) in (1..).zip(lines) {
        let click = Click::parse(line)
            .ok_or_else(|| format!("line {number} is no click: `USER TIME NUMBER`"))?;
        let count = of_user.entry(click.user.clone()).or_default();
        *count += 1;
        if *count > CLICKS_MAX {
            return Err(format!("a user may click {CLICKS_MAX} times, {} does more", click.user));
        }
        if !all.insert(click) {
            return Err(format!("line {number} is a click that came before"));
        }
    }
    Ok(())
}

fn graph(
    settings: &ClickSessionsSettings,
    id: JobId,
    source: LogSourceParameters,
    output: &str,
) -> JobGraph {
    let checkpoints = checkpoints(settings.checkpoint_interval, settings.checkpoint_timeout);
    let restarts = RestartStrategy::FixedDelay {
        attempts: settings.restarts.one(),
        delay_ms: millis(settings.restart_delay.one()),
    };
    let failures = failing(settings.fail_at, settings.fail_times.one());
    let sessions = settings.sessions();
    let settings = JobSettings {
        parallelism: settings.parallelism.one(),
        checkpoints,
        restarts,
        state_backend: state_backend(
            Share::only(0),
            settings.state_on_disk,
            StateMemory::of(settings.state_memory),
        ),
    };
    let job = click_sessions(id, Input::Log(source), output, &settings, sessions, failures);
    job.expect("the scenario's parallelism is within bounds")
}

/// What stands in the output topic. Which clicks are late is another matter from schedule to schedule.
fn output(model: &Model, topic: &str) -> Output {
    let lines = committed_lines(model, topic);
    let mut clicks = BTreeSet::new();
    for line in &lines {
        let mut words = line.split(' ').skip(1);
        let user = words.next().unwrap_or_default();
        clicks.extend(words.filter(|word| word.contains(':')).map(|click| (user, click)));
    }
    let summary = format!("{} clicks in sessions or late", clicks.len());
    Output { end: vec![summary.clone()], summary, compared: None, lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_clicks_are_clicks_and_as_many_are_early_as_is_said() {
        let settings = ClickSessionsSettings { users: NumberRange::only(30), ..Default::default() };
        let clicks = settings.drawn_clicks(7);
        assert_eq!(check_clicks(&clicks), Ok(()));
        let back = |(number, line): (i64, &Bytes)| number * 50 - Click::parse(line).unwrap().time;
        let late = (0..).zip(&clicks).map(back).filter(|back| *back > 500).count();
        assert!(clicks.len() == 1500 && (40..110).contains(&late), "{late}");
        assert_ne!(clicks, settings.drawn_clicks(8));
    }

    #[test]
    fn a_text_that_is_no_clicks_is_refused_with_its_line() {
        let lines = |lines: &[&'static str]| -> Vec<Bytes> {
            lines.iter().map(|line| Bytes::from_static(line.as_bytes())).collect()
        };
        let refused = |text: &[&'static str]| check_clicks(&lines(text)).expect_err("refused");
        assert!(refused(&["a 1 1", "a 1"]).contains("line 2 is no click"));
        assert!(refused(&["a 1 1", "a 1 1"]).contains("line 2 is a click that came before"));
        let many = (0..501).map(|n| Bytes::from(format!("a 1 {n}"))).collect::<Vec<_>>();
        assert!(check_clicks(&many).is_err() && check_clicks(&many[..500]).is_ok());
    }
}
