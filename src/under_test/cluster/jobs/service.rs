//! A service under test: its settings, its front ends and callers, and what must hold of it.

use super::{
    job::{JobRun, JobSetup, JobUnderTest},
    service_oracle::ByTheLog,
    workload::{checkpoints, client, job_of_seed, restarts},
};
use crate::{
    harness::{
        check::Invariant,
        language::{DurationRange, NumberRange, Share, maybe_time, number, part, time},
        system::{Node, Output},
    },
    host::{NodeAddress, millis},
    jobs::{
        Service,
        common::{AllPutOut, FailedAttempts, JobCourse, JobPlan, JobSettings, Topics},
    },
    system::{
        cluster::run_front_end_node,
        dataflow::Program,
        graph::{CheckpointSettings, JobGraph},
        ids::JobId,
        protocol::JobStatus,
        request_reply::{Delivery, FrontEndConfig, ServiceArguments},
        service::log::Retention,
    },
    under_test::cluster::{
        callers::{CallerSettings, run_caller_node},
        invariants::{
            m6_linearizable::LinearizableByPath, m8_handled_is_answered::HandledIsAnswered,
            x4_exactly_once::ExactlyOnce,
        },
        model::Model,
        roles,
    },
};
use bytes::Bytes;
use std::{future::pending, ops::Range, time::Duration};

/// Where front ends listen.
const PORT: u16 = 8080;
/// How much longer than its front end a caller waits.
const PATIENCE_BESIDE: Duration = Duration::from_secs(2);

crate::settings! {
    /// What a scenario says of a service.
    #[derive(Clone, Debug, PartialEq)]
    ServiceSettings {
        job {
            "parallelism" parallelism: NumberRange = number(1, 16, 2).size(), "Subtasks of operators of which the program says nothing, and partitions of the topic of requests.";
            "front-ends" front_ends: NumberRange = number(1, 8, 2).size(), "Front ends, each with a partition of the topic of responses.";
            "callers" callers: NumberRange = number(1, 64, 3).size(), "Callers: each asks one thing after the other, each time a front end that it draws.";
            "requests" requests: NumberRange = number(1, 100_000, 40).size(), "Requests of each caller.";
            "pause" pause: DurationRange = time("0ms", "10m", "100ms"), "From a caller's answer to its next request.";
            "keyed" keyed: Share = part("50%"), "The share of requests under an idempotency key: they are asked again until they are answered for sure.";
            "patience" patience: Option<DurationRange> = maybe_time("10ms", "10m"), "How long a caller waits for an answer before it ends its connection, and twice as long each time that it asks again; longer than its front end when absent.";
            "timeout" timeout: DurationRange = time("10ms", "10m", "10s"), "How long a request may wait for its response.";
            "room-timeout" room_timeout: DurationRange = time("0ms", "10m", "10s"), "How long a request may wait for room.";
            "capacity" capacity: NumberRange = number(1, 100_000, 1_024), "Requests in flight at each front end.";
            "waiting-max" waiting_max: NumberRange = number(0, 100_000, 1_024), "Requests that wait for room at each front end; more are turned away.";
            "retention-bytes" retention_bytes: NumberRange = number(0, 1_073_741_824, 67_108_864), "Of each partition of the topics the oldest records go while so many bytes are left without them.";
            "retention-age" retention_age: DurationRange = time("100ms", "60m", "10m"), "When records of the topics go at the latest that no job holds.";
            "requests-bytes-max" requests_bytes_max: NumberRange = number(1_000, 1_073_741_824, 268_435_456), "What each partition of the topic of requests holds at most, in bytes; more is refused.";
            "exactly-once" exactly_once: Share = part("0%"), "How many of the runs deliver responses exactly once, with the checkpoint that covers the request; the others at least once, at once.";
            "checkpoint-interval" checkpoint_interval: DurationRange = time("10ms", "60m", "2s"), "From checkpoint to checkpoint.";
            "checkpoint-timeout" checkpoint_timeout: DurationRange = time("10ms", "60m", "10s"), "How long a checkpoint may take.";
            "retained-checkpoints" retained_checkpoints: NumberRange = number(1, 16, 1), "Completed checkpoints that are kept.";
            "restarts" restarts: NumberRange = number(0, 1_000_000, 1_000), "Restarts after failures.";
            "restart-delay" restart_delay: DurationRange = time("0ms", "10m", "1s"), "From a failure to the restart.";
        }
    }
}

impl ServiceSettings {
    fn delivery(&self) -> Delivery {
        match self.exactly_once == Share::ALWAYS {
            true => Delivery::ExactlyOnce,
            false => Delivery::AtLeastOnce,
        }
    }

    fn job_settings(&self) -> JobSettings {
        let checkpoints = CheckpointSettings {
            retained: self.retained_checkpoints.one(),
            ..checkpoints(self.checkpoint_interval, self.checkpoint_timeout)
        };
        let restarts = restarts(self.restarts.one(), self.restart_delay.one(), None, None);
        JobSettings {
            parallelism: self.parallelism.one(),
            checkpoints,
            restarts,
            ..JobSettings::default()
        }
    }

    /// How long requests and responses are kept.
    fn retention(&self) -> [Retention; 2] {
        let bytes = Some(self.retention_bytes.one().into());
        let age_ms = Some(millis(self.retention_age.one()));
        let responses = Retention { bytes, age_ms, ..Retention::default() };
        let bytes_max = Some(self.requests_bytes_max.one().into());
        [Retention { bytes_max, await_reader: true, ..responses }, responses]
    }

    fn front_end(&self, slot: u32, topics: &Topics) -> FrontEndConfig {
        FrontEndConfig {
            port: PORT,
            capacity: self.capacity.one() as usize,
            waiting_max: self.waiting_max.one() as usize,
            room_timeout: self.room_timeout.one(),
            timeout: self.timeout.one(),
            ..FrontEndConfig::new(slot, &topics.input, &topics.output)
        }
    }
}

/// A service, its front ends and callers, and a client that submits its job and cancels it once nobody asks any more.
pub struct ServiceJob {
    service: Service,
}

impl ServiceJob {
    /// This service.
    pub fn new(service: Service) -> Self {
        ServiceJob { service }
    }

    fn graph(&self, id: JobId, topics: &Topics, delivery: Delivery, of: &JobSettings) -> JobGraph {
        let (requests, partitions) = (&topics.input, of.parallelism);
        let arguments = ServiceArguments::new(requests, partitions, &topics.output, delivery);
        let made = self.service.graph(id, &arguments, of);
        made.unwrap_or_else(|error| panic!("the service can't be described: {error}"))
    }

    fn topics(&self, number: u32) -> Topics {
        let name = self.service.name();
        Topics::numbered(&format!("{name}-requests"), &format!("{name}-responses"), number)
    }

    fn nodes(&self, settings: &ServiceSettings, run: &JobRun<'_>, plan: &JobPlan) -> Vec<Node> {
        let (mut nodes, mut front_ends) = (Vec::new(), Vec::new());
        for slot in 0..settings.front_ends.one() {
            let number = run.before.front_ends + slot + 1;
            front_ends.push(NodeAddress::new(roles::FRONT_END.node_name(Some(number)), PORT));
            let (config, front_end) = (run.config.clone(), settings.front_end(slot, &plan.topics));
            nodes.push(Node::numbered(roles::FRONT_END, number, move |host| {
                run_front_end_node(host, config.clone(), front_end.clone(), |_| {}, pending())
            }));
        }
        let finished = &plan.cancel_at.as_ref().expect("it has no end of its own").topic;
        let answered_by = settings.room_timeout.one() + settings.timeout.one() + PATIENCE_BESIDE;
        let patience = settings.patience.map_or(answered_by, DurationRange::one);
        for of_job in 1..=settings.callers.one() {
            let caller = CallerSettings {
                number: run.before.callers + of_job,
                seed: run.seed,
                service: self.service.clone(),
                front_ends: front_ends.clone(),
                requests: settings.requests.one(),
                pause: settings.pause.one(),
                keyed: u32::try_from(settings.keyed.low).unwrap_or(0),
                patience,
                finished: finished.clone(),
            };
            let config = run.config.clone();
            nodes.push(Node::numbered(roles::CALLER, caller.number, move |host| {
                run_caller_node(host, config.clone(), caller.clone())
            }));
        }
        nodes.push(client(run, plan.clone()));
        nodes
    }
}

impl JobUnderTest for ServiceJob {
    type Settings = ServiceSettings;

    fn name(&self) -> &str {
        self.service.name()
    }

    fn program(&self, _: &FailedAttempts) -> Program {
        self.service.program().clone()
    }

    fn has_writer(&self) -> bool {
        false
    }

    fn front_ends(&self, settings: &ServiceSettings) -> NumberRange {
        settings.front_ends
    }

    fn callers(&self, settings: &ServiceSettings) -> NumberRange {
        settings.callers
    }

    /// A program may give operators another parallelism than the settings do.
    fn slots(&self, settings: &ServiceSettings) -> NumberRange {
        let needed = |parallelism: u64| {
            let parallelism = u32::try_from(parallelism).expect("read as 16 at most");
            let of = JobSettings { parallelism, ..JobSettings::default() };
            let job = self.graph(JobId(0), &self.topics(1), Delivery::default(), &of);
            u64::from(job.required_slots())
        };
        let NumberRange { low, high } = settings.parallelism;
        NumberRange { low: needed(low), high: needed(high) }
    }

    fn after_draw(&self, settings: ServiceSettings, seed: u64) -> ServiceSettings {
        let exactly_once = settings.exactly_once.decided(seed, "exactly once");
        ServiceSettings { exactly_once, ..settings }
    }

    fn mistakes(&self, settings: &ServiceSettings) -> Vec<(&'static str, String)> {
        let (interval, timeout) = (settings.checkpoint_interval.high, settings.timeout.low);
        let never = settings.exactly_once.high > 0 && interval >= timeout;
        let told = format!(
            "`exactly-once`: a response comes with a checkpoint, every {interval:?}, and a request waits {timeout:?} for it"
        );
        never.then_some(("exactly-once", told)).into_iter().collect()
    }

    fn check_input(&self, _: &ServiceSettings, _: &[Bytes]) -> Result<(), String> {
        Err("a service reads no text: its callers ask it".to_string())
    }

    fn setup(&self, settings: &ServiceSettings, run: &JobRun<'_>) -> JobSetup {
        let [requests, responses] = settings.retention();
        let topics = self.topics(run.number).kept(requests, responses);
        let delivery = settings.delivery();
        let id = job_of_seed(run.seed);
        let first = run.before.callers + 1;
        let callers = first..first + settings.callers.one();
        let plan = JobPlan {
            job: self.graph(id, &topics, delivery, &settings.job_settings()),
            topics: topics.clone(),
            inputs: settings.parallelism.one(),
            outputs: settings.front_ends.one(),
            cancel_after: None,
            cancel_at: Some(AllPutOut {
                topic: format!("{}-finished", topics.input),
                records: settings.callers.one().into(),
            }),
            course: JobCourse::default(),
            submission: run.submission,
        };
        let oracle = ByTheLog::new(self.service.clone(), delivery);
        let order = LinearizableByPath::new(self.service.clone(), callers.clone());
        let mut besides: Vec<Box<dyn Invariant<Model>>> = vec![Box::new(order)];
        if delivery == Delivery::AtLeastOnce {
            besides.push(Box::new(HandledIsAnswered::new(&topics.input)));
        }
        let name = self.service.name().to_string();
        JobSetup {
            id,
            nodes: self.nodes(settings, run, &plan),
            plan,
            oracle: Box::new(ExactlyOnce::new(id, topics.clone(), Box::new(oracle))),
            besides,
            callers: callers.clone(),
            input_topic: topics.input,
            expected_status: vec![JobStatus::Canceled],
            restarts: settings.restarts.one(),
            fails_on_purpose: false,
            checkpoint_timeout: settings.checkpoint_timeout.one(),
            output: {
                let callers = callers.clone();
                Box::new(move |model| output(model, &name, &callers))
            },
            explain: Box::new(move |model, _| {
                let left = callers.len() - model.callers_finished.range(callers.clone()).count();
                let told = format!(
                    "{left} of {} callers have not been answered all they asked",
                    callers.len()
                );
                (left > 0).then_some(told).into_iter().collect()
            }),
        }
    }
}

/// What callers were told.
fn output(model: &Model, name: &str, callers: &Range<u32>) -> Output {
    let finished = model.callers_finished.range(callers.clone()).count();
    let summary = format!("{name}: {finished} of {} callers were told all", callers.len());
    Output { end: vec![summary.clone()], summary, compared: None, lines: Vec::new() }
}
