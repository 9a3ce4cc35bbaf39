//! The word count under test: its settings, its lines, what of its functions fails, and what it must put out.

use super::{
    course::{Course, StateMemory, state_backend},
    job::{JobRun, JobSetup, JobUnderTest},
    workload::{Workload, job_of_seed},
};
use crate::{
    harness::{
        language::{
            DurationRange, NumberRange, Share, cut, exact_duration, maybe_count, maybe_number,
            maybe_part, maybe_time, number, part, time,
        },
        system::{LintContext, Output, StuckRun},
    },
    host::{Draws, millis},
    jobs::{
        common::{
            AllPutOut, FailedAttempts, FailureInjection, JobPlan, JobSettings, POISON, SlowSubtask,
            TEXT_BYTES_MAX, Topics,
        },
        word_count::{Counted, Oracle, program, topics, word_count_with_failures, words},
    },
    system::{
        connector::{Input, LogSourceParameters},
        dataflow::Program,
        graph::{CheckpointSettings, RestartStrategy},
        ids::JobId,
        protocol::JobStatus,
    },
    under_test::cluster::{
        invariants::{c17_state_follows_input::StateFollowsInput, x4_exactly_once::ExactlyOnce},
        lines::check_lines,
        model::Model,
    },
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Who is told how far input without end was read.
const GROUP: &str = "word-count";

/// Letters of a word that a difference shows.
const WORD_SHOWN_MAX: usize = 40;

crate::settings! {
    /// What a scenario says of a word count.
    #[derive(Clone, Debug, PartialEq)]
    WordCountSettings {
        job {
            "parallelism" parallelism: NumberRange = number(1, 128, 4).size(), "Subtasks of every operator, and partitions of both topics.";
            "lines" lines: NumberRange = number(1, 10_000_000, 2_000).size(), "Lines in the input topic in the end.";
            "line-words" line_words: NumberRange = number(1, 1_000, 1).size(), "Words in each line.";
            "words" words: NumberRange = number(1, 1_000_000, 100).size(), "The words are drawn from so many.";
            "lines-per-second" lines_per_second: NumberRange = number(1, 1_000_000, 120).size(), "Lines written to the input topic in a second at most: the links' latency comes on top.";
            "checkpoint-interval" checkpoint_interval: DurationRange = time("10ms", "60m", "2s"), "From checkpoint to checkpoint.";
            "checkpoint-timeout" checkpoint_timeout: DurationRange = time("10ms", "60m", "10s"), "How long a checkpoint may take.";
            "checkpoint-min-pause" checkpoint_min_pause: DurationRange = time("0s", "60m", "0s"), "The least time from the end of a checkpoint to the next.";
            "concurrent-checkpoints" concurrent_checkpoints: NumberRange = number(1, 16, 1), "Checkpoints under way at once at most.";
            "tolerable-failures" tolerable_failures: Option<NumberRange> = maybe_number(0, 1_000_000), "Checkpoints in a row that may fail; with one more the job restarts. As many as do when absent.";
            "retained-checkpoints" retained_checkpoints: NumberRange = number(1, 16, 1), "Completed checkpoints that are kept.";
            "restarts" restarts: NumberRange = number(0, 1_000_000, 1_000), "Restarts after failures.";
            "no-restarts" no_restarts: Share = part("0%"), "How many of the runs allow their job no restart, whatever `restarts` says.";
            "restart-delay" restart_delay: DurationRange = time("0ms", "10m", "1s"), "From a failure to the restart.";
            "cancel-after" cancel_after: Option<DurationRange> = maybe_time("0s", "60m"), "When the job is canceled, after its submission; never when absent.";
            "fail-at" fail_at: Option<NumberRange> = maybe_count(10_000_000), "The line at which a subtask's function fails, counted in each attempt from its begin; never when absent.";
            "panic-at" panic_at: Option<NumberRange> = maybe_count(10_000_000), "The same by a panic.";
            "fail-times" fail_times: NumberRange = number(1, 1_000_000, 1), "How many of the job's attempts fail in these ways.";
            "poisoned" poisoned: Option<NumberRange> = maybe_count(10_000_000), "The line, counted over the whole input, that no attempt can handle, so that the job fails for good.";
            "slow-subtask" slow_subtask: Option<DurationRange> = maybe_time("0ms", "1m"), "What each record takes more in one subtask, of those that split or those that count; both are drawn.";
            "hold-at" hold_at: Option<NumberRange> = maybe_count(10_000_000), "The line at which a subtask's function holds its thread, counted in each attempt from its begin; never when absent.";
            "hold-for" hold_for: DurationRange = time("0ms", "10m", "5s"), "For how long it does.";
            "unbounded" unbounded: Share = part("0%"), "How many of the runs read their input without end; their client cancels the job once all words are counted.";
            "added-partitions" added_partitions: NumberRange = number(0, 64, 0).size(), "Partitions that are added to the input topic once half of the others is written, where the input has no end.";
            "rescales" rescales: NumberRange = number(0, 16, 0).size(), "How often the job is stopped with a savepoint and goes on from it, each time at another parallelism, up to `parallelism`.";
            "rescale-after" rescale_after: DurationRange = time("0ms", "60m", "5s"), "From each submission to the stop.";
            "drain-after" drain_after: Option<DurationRange> = maybe_time("0ms", "60m"), "When the job is drained, after its last submission: its sources end, and it with them; never when absent.";
            "savepoint-every" savepoint_every: Option<DurationRange> = maybe_time("10ms", "60m"), "From savepoint to savepoint that its client takes while the job goes on; none when absent.";
            "state-in-memory" state_in_memory: Share = part("0%"), "How many of the runs keep all state in memory, and let it go into checkpoints with acknowledgements.";
            "state-on-disk" state_on_disk: Share = part("0%"), "How many of the others keep state by key on the disks of their task executors.";
            "state-memory" state_memory: NumberRange = number(16_384, 1_073_741_824, 65_536), "Bytes of memory for the state of each keyed operator of a subtask, where it is on disk.";
            "state-inline" state_inline: NumberRange = number(0, 1_000_000, 8_192), "Keys of each keyed operator of a subtask that go into a part of a checkpoint, where state is on the heap; of more it goes into files.";
            "skew" skew: Option<Share> = maybe_part(), "The share of all words that is one word.";
        }
    }
}
impl WordCountSettings {
    /// That the poisoned line may lie beyond the input, if it may.
    fn poisoned_beyond(&self) -> Option<String> {
        let (poisoned, lines) = (self.poisoned?, self.lines);
        (poisoned.high > lines.low).then(|| {
            let may = if lines.low < lines.high { "a seed may draw only" } else { "the input has" };
            format!("`poisoned`: there is no line {}; {may} {} lines", poisoned.high, lines.low)
        })
    }

    /// The ends that the job may come to, of drawn settings.
    fn expected_status(&self) -> &'static [JobStatus] {
        let fails = self.fail_at.is_some() || self.panic_at.is_some();
        let may_fail = fails && self.fail_times.one() > self.restarts.one();
        if self.drain_after.is_some() {
            return match may_fail {
                true => &[JobStatus::Canceled, JobStatus::Failed, JobStatus::Finished],
                false => &[JobStatus::Canceled, JobStatus::Finished],
            };
        }
        if self.is_unbounded() && self.poisoned.is_none() {
            return match may_fail {
                true => &[JobStatus::Canceled, JobStatus::Failed],
                false => &[JobStatus::Canceled],
            };
        }
        match (self.poisoned.is_some(), may_fail, self.cancel_after.is_some()) {
            (true, _, false) => &[JobStatus::Failed],
            (true, _, true) => &[JobStatus::Canceled, JobStatus::Failed],
            (false, false, false) => &[JobStatus::Finished],
            // It may have finished before it was canceled.
            (false, false, true) => &[JobStatus::Canceled, JobStatus::Finished],
            // An attempt that goes on near the end meets too few lines to fail.
            (false, true, false) => &[JobStatus::Failed, JobStatus::Finished],
            (false, true, true) => &[JobStatus::Canceled, JobStatus::Failed, JobStatus::Finished],
        }
    }

    /// The same with as many lines and words as a user's text has.
    fn as_of(&self, lines: &[Bytes]) -> Self {
        let (count, all) =
            (lines.len() as u64, lines.iter().map(|line| words(line).count() as u64).sum::<u64>());
        let line_words = NumberRange::only(all / count.max(1));
        WordCountSettings { lines: NumberRange::only(count), line_words, ..self.clone() }
    }

    /// Its lines, of drawn settings.
    fn workload(&self) -> Workload {
        Workload {
            partitions: self.parallelism.one(),
            added: if self.is_unbounded() { self.added_partitions.one() } else { 0 },
            lines: self.lines.one(),
            lines_per_second: self.lines_per_second.one(),
        }
    }

    /// Whether its input has no end, as was drawn.
    fn is_unbounded(&self) -> bool {
        self.unbounded.low > 0
    }

    /// Whether its functions fail on purpose.
    fn fails(&self) -> bool {
        self.fail_at.is_some() || self.panic_at.is_some() || self.poisoned.is_some()
    }
}

/// A word count: lines that a writer appends to a topic, and a client that submits the job.
pub struct WordCount;

impl JobUnderTest for WordCount {
    type Settings = WordCountSettings;

    fn name(&self) -> &str {
        "word-count"
    }

    fn program(&self, failed: &FailedAttempts) -> Program {
        program(failed)
    }

    fn slots(&self, settings: &WordCountSettings) -> NumberRange {
        settings.parallelism
    }

    fn after_draw(&self, settings: WordCountSettings, seed: u64) -> WordCountSettings {
        let restarts = match settings.no_restarts.decided(seed, "swarm restarts") {
            Share::ALWAYS => NumberRange::only(0),
            _ => settings.restarts,
        };
        let unbounded = settings.unbounded.decided(seed, "unbounded");
        let state_in_memory = settings.state_in_memory.decided(seed, "state in memory");
        let state_on_disk = settings.state_on_disk.decided(seed, "state on disk");
        // It is decided, also for who draws from what was drawn.
        WordCountSettings {
            restarts,
            no_restarts: Share::only(0),
            unbounded,
            state_in_memory,
            state_on_disk,
            ..settings
        }
    }

    fn mistakes(&self, settings: &WordCountSettings) -> Vec<(&'static str, String)> {
        settings.poisoned_beyond().map(|message| ("poisoned", message)).into_iter().collect()
    }

    fn lints(&self, settings: &WordCountSettings, context: &LintContext) -> Vec<String> {
        let mut found: Vec<String> = no_checkpoint(settings, context).into_iter().collect();
        found.extend(never_fails(settings));
        if settings.added_partitions.high > 0 && settings.unbounded.high == 0 {
            found.push("`added-partitions` means nothing without `unbounded`".to_string());
        }
        found
    }

    fn check_input(&self, settings: &WordCountSettings, lines: &[Bytes]) -> Result<(), String> {
        if let Some(poisoned) = settings.poisoned
            && poisoned.high > lines.len() as u64
        {
            let (line, all) = (poisoned.high, lines.len());
            return Err(format!("the scenario poisons line {line}, and it has {all} lines"));
        }
        check_lines(lines, TEXT_BYTES_MAX)
    }

    fn setup(&self, settings: &WordCountSettings, run: &JobRun<'_>) -> JobSetup {
        let topics = topics(run.number);
        let workload = settings.workload();
        let lines = word_count_lines(settings, run.seed, run.input);
        let dealt = workload.deal(&lines);
        let plan = plan(settings, run, &dealt, &topics);
        let id = plan.job.id;
        let of_run = JobOfRun {
            spec: run.input.map_or_else(|| settings.clone(), |text| settings.as_of(text)),
            seed: run.seed,
            job: id,
            latency: run.latency,
            service_time: run.service_time,
        };
        let (input, output_topic) = (run.input.cloned(), topics.output.clone());
        JobSetup {
            id,
            nodes: workload.nodes(run, dealt.clone(), &topics, plan.clone()),
            plan,
            besides: StateFollowsInput::of(id, &topics, &Oracle::default()).into_iter().collect(),
            oracle: Box::new(ExactlyOnce::new(id, topics.clone(), Box::<Oracle>::default())),
            callers: 0..0,
            input_topic: topics.input,
            expected_status: settings.expected_status().to_vec(),
            restarts: settings.restarts.one(),
            fails_on_purpose: settings.fails(),
            checkpoint_timeout: settings.checkpoint_timeout.one(),
            output: Box::new(move |model| {
                output(model, &output_topic, input.as_ref().map(|lines| &lines[..]))
            }),
            explain: Box::new(move |model, stuck| of_run.reasons(model, stuck)),
        }
    }
}

/// The lines that are counted: drawn, or a user's text.
fn word_count_lines(
    spec: &WordCountSettings,
    seed: u64,
    input: Option<&Arc<Vec<Bytes>>>,
) -> Vec<Bytes> {
    let mut lines = input.map_or_else(|| drawn_lines(spec, seed), |input| input.to_vec());
    if let (Some(number), Some(last)) = (spec.poisoned, lines.len().checked_sub(1)) {
        lines[usize::try_from(number.low - 1).unwrap_or(last).min(last)] = Bytes::from(POISON);
    }
    lines
}

fn drawn_lines(spec: &WordCountSettings, seed: u64) -> Vec<Bytes> {
    let mut draws = Draws::new(seed, "workload", [0, 0]);
    let share = spec.skew.map_or(0, |skew| skew.low);
    let share = u32::try_from(share).expect("read as not negative");
    let mut skewed = Draws::new(seed, "skew", [0, 0]);
    let mut word = || match share > 0 && skewed.chance(share) {
        true => "w0".to_string(),
        false => format!("w{}", draws.below(u64::from(spec.words.one()))),
    };
    let line = |_| (0..spec.line_words.one()).map(|_| word()).collect::<Vec<_>>().join(" ");
    (0..spec.lines.one()).map(line).map(Bytes::from).collect()
}

/// What is wrong with the job's functions.
fn failures(spec: &WordCountSettings, seed: u64) -> FailureInjection {
    FailureInjection {
        fail_at: spec.fail_at.map(|at| at.low),
        panic_at: spec.panic_at.map(|at| at.low),
        times: spec.fail_times.one(),
        poison: spec.poisoned.is_some(),
        slow: spec.slow_subtask.map(|by| {
            let mut draws = Draws::new(seed, "failures", [2, 0]);
            let counts = draws.chance(500_000);
            let subtask = draws.below(u64::from(spec.parallelism.one()));
            let subtask = u32::try_from(subtask).expect("below a subtask count");
            SlowSubtask { by: by.one(), counts, subtask }
        }),
        hold: spec.hold_at.map(|at| (at.low, spec.hold_for.one())),
    }
}

fn plan(
    spec: &WordCountSettings,
    run: &JobRun<'_>,
    lines: &[Vec<Bytes>],
    topics: &Topics,
) -> JobPlan {
    let checkpoints = CheckpointSettings {
        interval_ms: millis(spec.checkpoint_interval.one()),
        timeout_ms: millis(spec.checkpoint_timeout.one()),
        min_pause_ms: millis(spec.checkpoint_min_pause.one()),
        max_concurrent: spec.concurrent_checkpoints.one(),
        tolerable_failures: spec.tolerable_failures.map(|count| count.one()),
        retained: spec.retained_checkpoints.one(),
    };
    let restarts = RestartStrategy::FixedDelay {
        attempts: spec.restarts.one(),
        delay_ms: millis(spec.restart_delay.one()),
    };
    let input = match spec.is_unbounded() {
        true => {
            LogSourceParameters::unbounded(&topics.input, vec![0; spec.parallelism.one() as usize])
                .in_group(GROUP)
        }
        false => {
            let stop = lines.iter().map(|lines| lines.len() as u64).collect();
            LogSourceParameters::new(&topics.input, stop)
        }
    };
    let input = Input::Log(input);
    let all = lines.iter().flatten().map(|line| words(line).count() as u64).sum();
    let failures = failures(spec, run.seed);
    let graph = |id: JobId, parallelism: u32| {
        let memory = StateMemory { on_disk: spec.state_memory, inline: spec.state_inline };
        let state_backend = state_backend(spec.state_in_memory, spec.state_on_disk, memory);
        let settings = JobSettings { parallelism, checkpoints, restarts, state_backend };
        let (input, failures) = (input.clone(), failures.clone());
        word_count_with_failures(id, input, &topics.output, &settings, failures)
            .expect("the scenario's parallelism is within bounds")
    };
    let course = Course {
        rescales: spec.rescales,
        after: spec.rescale_after,
        drain_after: spec.drain_after,
        savepoint_every: spec.savepoint_every,
        parallelism: spec.parallelism.one(),
    };
    JobPlan {
        job: graph(job_of_seed(run.seed), course.parallelism),
        topics: topics.clone(),
        inputs: spec.parallelism.one(),
        outputs: spec.parallelism.one(),
        cancel_after: spec.cancel_after.map(DurationRange::one),
        cancel_at: spec
            .is_unbounded()
            .then(|| AllPutOut { topic: topics.output.clone(), records: all }),
        course: course.of(run.seed, graph),
        submission: run.submission,
    }
}

/// Traversals of links from a checkpoint's trigger to its completion: the trigger, a task's state on its
/// way to the object store and the answer, the acknowledgement, the same for the metadata, and the pointer.
const CROSSINGS_OF_CHECKPOINT: u32 = 8;

/// That no checkpoint can be complete before its time is up: then no job can end either.
fn no_checkpoint(spec: &WordCountSettings, context: &LintContext) -> Option<String> {
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
fn never_fails(spec: &WordCountSettings) -> Vec<String> {
    let lines = spec.lines.high;
    let keys = [("fail-at", spec.fail_at), ("panic-at", spec.panic_at)];
    let beyond = keys.into_iter().filter(|(_, at)| at.is_some_and(|at| at.low > lines));
    beyond
        .map(|(key, _)| format!("`{key}` is beyond the input of {lines} lines, so it never comes"))
        .collect()
}

/// What is known of the job of a run, to explain why it is stuck.
struct JobOfRun {
    /// The drawn settings.
    spec: WordCountSettings,
    /// The plan seed.
    seed: u64,
    /// The job.
    job: JobId,
    /// The least latency of a link.
    latency: Duration,
    /// What handling a record takes.
    service_time: Duration,
}

impl JobOfRun {
    /// The reasons for which the run may be stuck without a bug; a line each.
    fn reasons(&self, model: &Model, stuck: &StuckRun) -> Vec<String> {
        let spec = &self.spec;
        let mut reasons = Vec::new();
        let failed = |status| status == JobStatus::Failed;
        if model.terminal_status(self.job).is_some_and(failed) {
            let restarts = spec.restarts.one();
            reasons
                .push(format!("maybe no bug: the job may restart {restarts} times (`restarts`)"));
        }
        let ran = stuck.ran;
        let seconds = |time: Duration| time.as_secs();
        let written = spec.workload().least_to_write(self.latency);
        // An earlier goal does not wait for the end of the work.
        if stuck.goal == "job" && written >= ran {
            let written = seconds(written);
            let ran = seconds(ran);
            reasons.push(format!(
                "no bug: to write the input alone takes {written}s; the run had {ran}s"
            ));
        }
        let attempts = self.attempts();
        let handled = self.least_to_handle() * attempts;
        let waits = ["job", "checkpoint", "leftovers", "progress"].contains(&stuck.goal);
        if waits && handled >= ran {
            let (handled, ran) = (seconds(handled), seconds(ran));
            let times =
                if attempts > 1 { format!(" in {attempts} attempts") } else { String::new() };
            let sure = match attempts > 1 || self.slow_counter_may_rest() {
                true => "maybe no bug",
                false => "no bug",
            };
            reasons.push(format!(
                "{sure}: to handle the words alone takes {handled}s{times}; the run had {ran}s"
            ));
        }
        reasons
    }

    /// How often the job begins, if no checkpoint is complete before its functions fail.
    fn attempts(&self) -> u32 {
        let fails = self.spec.fail_at.is_some() || self.spec.panic_at.is_some();
        if fails { 1 + self.spec.fail_times.one().min(self.spec.restarts.one()) } else { 1 }
    }

    /// Whether the slow subtask is one of several that count: of few words it may get none.
    fn slow_counter_may_rest(&self) -> bool {
        let slow = failures(&self.spec, self.seed).slow;
        slow.is_some_and(|slow| slow.counts) && self.spec.parallelism.one() > 1
    }

    /// What the busiest subtask needs for its share of the records, if each gets as many.
    fn least_to_handle(&self) -> Duration {
        let spec = &self.spec;
        let lines = spec.lines.one() / spec.parallelism.one();
        let words = lines.saturating_mul(spec.line_words.one());
        let plain = self.service_time;
        let FailureInjection { slow, hold, .. } = failures(spec, self.seed);
        let held = hold.map_or(Duration::ZERO, |(_, time)| time);
        let slow = match slow {
            Some(slow) if slow.counts => (plain + slow.by).saturating_mul(words),
            Some(slow) => (plain + slow.by).saturating_mul(lines),
            None => Duration::ZERO,
        };
        held + slow.max(plain.saturating_mul(words))
    }
}

/// What stands in the output topic, and whether it is what a user's text comes to.
fn output(model: &Model, topic: &str, input: Option<&[Bytes]>) -> Output {
    let mut counts = BTreeMap::new();
    let of_topic = model.output.iter().filter(|((of, _), _)| of == topic);
    for record in of_topic.flat_map(|(_, records)| records) {
        // What can't be read is a violation of X4, and no word.
        if let Ok(Counted { word, count }) = postcard::from_bytes(record) {
            let most = counts.entry(word.to_string()).or_insert(0);
            *most = count.max(*most);
        }
    }
    let all = counts.values().sum::<u64>();
    let summary = format!("{all} words counted, {} different", counts.len());
    Output {
        end: vec![summary.clone()],
        summary,
        compared: input.map(|input| compare(&counts, input)),
        lines: counts.into_iter().map(|(word, count)| format!("{count:>7} {word}")).collect(),
    }
}

/// Compares counts with what the input comes to, counted apart from the operators.
fn compare(counts: &BTreeMap<String, u64>, input: &[Bytes]) -> Result<String, String> {
    let mut expected = BTreeMap::<String, u64>::new();
    for word in input.iter().flat_map(|line| words(line)) {
        *expected.entry(String::from_utf8_lossy(word).into_owned()).or_default() += 1;
    }
    let all = |counts: &BTreeMap<String, u64>| counts.values().sum::<u64>();
    let summary = format!("{} of {} words counted", all(counts), all(&expected));
    let differs = |(word, count): &(&String, &u64)| counts.get(*word) != Some(count);
    match expected.iter().find(differs) {
        None if counts.len() == expected.len() => {
            Ok(format!("{summary}, {} different: equal to the input's", counts.len()))
        }
        None => Err(format!("{summary}: words were counted that the input has not")),
        Some((word, count)) => {
            let found = counts.get(word).copied().unwrap_or(0);
            let word = cut(word, WORD_SHOWN_MAX);
            Err(format!("{summary}: {word:?} stands {count} times, counted {found} times"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::language::Settings as _;

    fn reasons(spec: &WordCountSettings, goal: &'static str) -> Vec<String> {
        let stuck = StuckRun { goal, ran: Duration::from_secs(100) };
        let run = JobOfRun {
            spec: spec.draw(1),
            seed: 1,
            job: JobId(1),
            latency: Duration::from_millis(1),
            service_time: Duration::from_micros(1600),
        };
        run.reasons(&Model::default(), &stuck)
    }

    fn slow() -> WordCountSettings {
        WordCountSettings {
            parallelism: NumberRange::only(1),
            lines: NumberRange::only(1483),
            line_words: NumberRange::only(3),
            slow_subtask: Some(DurationRange::only(Duration::from_micros(19_200))),
            fail_at: Some(NumberRange::only(700)),
            fail_times: NumberRange::only(3),
            ..WordCountSettings::default()
        }
    }

    #[test]
    fn more_work_than_time_is_told_of_a_slow_subtask_and_of_each_goal_that_waits_for_it() {
        for goal in ["job", "checkpoint", "progress"] {
            let told = reasons(&slow(), goal).join(" ");
            assert!(
                told.contains("maybe no bug: to handle the words alone takes"),
                "{goal}: {told}"
            );
        }
        assert_eq!(reasons(&slow(), "leaders"), Vec::<String>::new());
        let quick = WordCountSettings { slow_subtask: None, ..slow() };
        assert_eq!(reasons(&quick, "job"), Vec::<String>::new());
    }
}
