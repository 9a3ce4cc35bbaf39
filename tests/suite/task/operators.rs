//! What the jobs of these tests run.

use super::ms;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    host::{Instant, mix},
    system::{
        dataflow::{
            Aggregate, CoProcess, Collector, Failure, KeyContext, Operator, OperatorContext,
            OutputTag, Process, Program, Programs, Result, Sink, Source, SourceStep, Stream,
            StreamEnv, Timer, Timestamp, Waits, WatermarkStrategy, WindowAssigner, WindowContext,
            WindowFunction, at_once, ready,
        },
        ids::{CheckpointId, ExecutionVertexId},
    },
};

/// What the sinks hold, by subtask of the newest attempt, and what operators were told.
#[derive(Default)]
pub struct Seen {
    collected: Mutex<BTreeMap<ExecutionVertexId, Vec<u64>>>,
    log: Mutex<Vec<String>>,
}

impl Seen {
    pub fn of(&self, vertex: ExecutionVertexId) -> Vec<u64> {
        self.collected.lock().unwrap().get(&vertex).cloned().unwrap_or_default()
    }

    pub fn all(&self) -> Vec<u64> {
        let mut all: Vec<u64> =
            self.collected.lock().unwrap().values().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn write(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }
}

/// What a test runs.
#[derive(Clone, Serialize, Deserialize)]
pub enum Shape {
    /// Sources to passes to sinks, over channels all the way.
    ThreeStages { source: Numbers, pass: Pass, wide: [u32; 3] },
    /// Sources and passes in one chain, sinks in another, side by side.
    Forward { source: Numbers, pass: Pass, wide: u32 },
    /// Sources, counts by the last digit, told at the end, and a sink.
    Counts { source: Numbers, wide: [u32; 3] },
    /// A source, an operator that misbehaves, a sink.
    Bad { source: Numbers, how: String },
    /// Sources with event times, windows by key, and sinks, chained where they can be or nowhere.
    Windows { source: Numbers, assigner: Assigner, wide: [u32; 3], chained: bool },
    /// Odd numbers go to a side output; whether each of the two is read.
    Sides { source: Numbers, read: [bool; 2] },
    /// The same, read as texts.
    WrongSide { source: Numbers },
    /// Two sources with event times, and a timer for each number that takes a while.
    SlowTimers { source: Numbers },
    /// Two sources of different records, by the last digit of their numbers, that one function reads.
    Connected { source: Numbers, wide: u32 },
}

/// A kind of windows, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Assigner {
    Sliding { size: i64, slide: i64 },
    Session { gap: i64 },
}

impl Assigner {
    fn assigner(self) -> WindowAssigner {
        let ms = |millis: i64| ms(u64::try_from(millis).unwrap());
        match self {
            Assigner::Sliding { size, slide } if size == slide => {
                WindowAssigner::tumbling(ms(size))
            }
            Assigner::Sliding { size, slide } => WindowAssigner::sliding(ms(size), ms(slide)),
            Assigner::Session { gap } => WindowAssigner::session(ms(gap)),
        }
    }
}

/// From number to number of a source.
pub const TIME_PER_NUMBER: i64 = 10;

/// The event time of a number: each eight of a source are out of order.
pub fn event_time(number: u64) -> i64 {
    i64::try_from((number % 1_000_000) ^ 5).unwrap() * TIME_PER_NUMBER
}

pub fn window_key(number: u64) -> u64 {
    (number % 1_000_000) / 3 % 5
}

/// What a window comes to.
pub fn of_window(key: u64, (start, end): (i64, i64), sum: u64) -> u64 {
    let bounds = [start, end].map(|bound| u64::try_from(bound + 1_000_000).unwrap());
    mix(mix(mix(key, bounds[0]), bounds[1]), sum)
}

/// Everything that the tests name, as one program.
pub fn programs(seen: &Arc<Seen>) -> Programs {
    let seen = seen.clone();
    Programs::new()
        .with(Program::new("test", 1, move |env, shape: &Shape| describe(env, shape, &seen)))
}

fn describe(env: &mut StreamEnv, shape: &Shape, seen: &Arc<Seen>) -> Result<()> {
    let numbers = |env: &mut StreamEnv, parameters: &Numbers, wide| {
        let parameters = parameters.clone();
        let source = NumberSource { parameters, context: None, position: 0, due: None };
        env.set_parallelism(wide).source("source", source)
    };
    let collect = CollectSink { seen: seen.clone(), vertex: None };
    let passing = |parameters: &Pass| PassOperator {
        parameters: parameters.clone(),
        context: None,
        seen: seen.clone(),
    };
    match shape {
        Shape::ThreeStages { source, pass, wide } => numbers(env, source, wide[0])
            .rebalance()
            .parallelism(wide[1])
            .apply("pass", passing(pass))
            .key_by(|number| number % 10)
            .parallelism(wide[2])
            .sink("sink", collect),
        Shape::Forward { source, pass, wide } => numbers(env, source, *wide)
            .apply("pass", passing(pass))
            .begin_chain()
            .sink("sink", collect),
        Shape::Counts { source, wide } => numbers(env, source, wide[0])
            .key_by(|number| number % 10)
            .parallelism(wide[1])
            .process("count", CountAtEnd)
            .rebalance()
            .parallelism(wide[2])
            .sink("sink", collect),
        Shape::Bad { source, how } => numbers(env, source, 1)
            .rebalance()
            .apply("bad", BadOperator { how: how.clone() })
            .rebalance()
            .sink("sink", collect),
        Shape::Windows { source, assigner, wide, chained } => {
            if !chained {
                env.disable_chaining();
            }
            windows(&numbers(env, source, wide[0]), *assigner, *wide).sink("sink", collect);
        }
        Shape::Sides { source, read } => {
            let odd = OutputTag::<(u64, u64)>::new("odd");
            let parted = part(&numbers(env, source, 1), &odd);
            if read[0] {
                parted.sink("sink", collect.clone());
            }
            if read[1] {
                let added = parted.side_output(&odd).map("add", |(number, added)| number + added);
                added.sink("side-sink", collect);
            }
        }
        Shape::WrongSide { source } => {
            let parted = part(&numbers(env, source, 1), &OutputTag::new("odd"));
            let lengths = parted.side_output(&OutputTag::<String>::new("odd"));
            lengths.map("length", |text| text.len() as u64).sink("sink", collect);
        }
        Shape::SlowTimers { source } => {
            let timed = with_event_time(&numbers(env, source, 2)).key_by(|number| number % 10);
            timed.process("timers", SlowTimers).sink("sink", collect);
        }
        Shape::Connected { source, wide } => {
            let parameters = source.clone();
            let first = NumberSource { parameters, context: None, position: 0, due: None };
            let second = first.clone();
            let texts = env.source("second", second).map("text", |number| number.to_string());
            let texts = texts.key_by(|text| u64::from(text.as_bytes()[text.len() - 1] - b'0'));
            let numbers = env.source("first", first).key_by(|number| number % 10);
            let both = numbers.parallelism(*wide).connect(&texts).process("both", CountBoth);
            both.rebalance().parallelism(1).sink("sink", collect);
        }
    }
    Ok(())
}

fn part(numbers: &Stream<u64>, odd: &OutputTag<(u64, u64)>) -> Stream<u64> {
    let odd = odd.clone();
    numbers.flat_map("part", move |number, out: &mut Collector<'_, u64>| match number % 2 {
        0 => out.emit(number),
        _ => out.emit_to(&odd, (number, 1_000_000_000_000)),
    })
}

fn with_event_time(numbers: &Stream<u64>) -> Stream<u64> {
    let strategy = WatermarkStrategy::for_bounded_out_of_orderness(
        Duration::from_millis(8 * 10),
        |number: &u64| Timestamp(event_time(*number)),
    );
    numbers.assign_timestamps_and_watermarks("event-time", strategy)
}

fn windows(numbers: &Stream<u64>, assigner: Assigner, wide: [u32; 3]) -> Stream<u64> {
    let keyed = with_event_time(numbers).key_by(|number| window_key(*number)).parallelism(wide[1]);
    let sums = keyed.window(assigner.assigner()).aggregate_with("windows", Sum, TellWindow);
    sums.parallelism(wide[2])
}

/// Emits each number at its time, which takes a while; no record comes before what is due.
#[derive(Clone)]
struct SlowTimers;

impl Process<u64, u64> for SlowTimers {
    type State = BTreeMap<i64, Vec<u64>>;
    type Out = u64;

    fn process(
        &mut self,
        number: u64,
        context: &mut KeyContext<'_, u64, BTreeMap<i64, Vec<u64>>>,
        _: &mut Collector<'_, u64>,
    ) -> Result<()> {
        let Timestamp(watermark) = context.watermark();
        let first = context.state().first_key_value().map(|(at, _)| *at);
        assert!(first.is_none_or(|first| first > watermark), "{first:?} was due at {watermark}");
        context.state().entry(event_time(number)).or_default().push(number);
        context.set_timer(Timer::Event(Timestamp(event_time(number))))
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut KeyContext<'_, u64, BTreeMap<i64, Vec<u64>>>,
        out: &mut Collector<'_, u64>,
    ) -> Result<()> {
        let Timer::Event(Timestamp(at)) = timer else { panic!("{timer:?} was not set") };
        let numbers = context.state().remove(&at).expect("its timer was set with them");
        out.takes(ms(10));
        numbers.into_iter().for_each(|number| out.emit(number));
        Ok(())
    }
}

#[derive(Clone)]
struct Sum;

impl Aggregate<u64> for Sum {
    type Accumulator = u64;
    type Out = u64;

    fn add(&self, sum: &mut u64, number: u64) -> Result<()> {
        // With nothing left out, not even the number 0.
        *sum += number + 1;
        Ok(())
    }

    fn merge(&self, sum: &mut u64, other: u64) -> Result<()> {
        *sum += other;
        Ok(())
    }

    fn result(&self, sum: u64) -> Result<u64> {
        Ok(sum)
    }
}

#[derive(Clone)]
struct TellWindow;

impl WindowFunction<u64, u64> for TellWindow {
    type Out = u64;

    fn process(
        &mut self,
        context: &WindowContext<'_, u64>,
        sum: u64,
        out: &mut Collector<'_, u64>,
    ) -> Result<()> {
        let window = context.window;
        assert!(window.max_timestamp() <= context.watermark, "it fires when it is over");
        out.emit(of_window(*context.key, (window.start.0, window.end.0), sum));
        Ok(())
    }
}

/// Hands out `subtask * 1_000_000 + 0..count`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Numbers {
    pub count: u64,
    pub batch: u64,
    pub pause_ms: u64,
}

#[derive(Clone)]
struct NumberSource {
    parameters: Numbers,
    context: Option<OperatorContext>,
    position: u64,
    due: Option<Instant>,
}

impl Source for NumberSource {
    type Out = u64;

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        self.context = Some(context.clone());
        let position = restored.map_or(Ok(0), |kept| Ok(postcard::from_bytes(&kept)?));
        at_once(position.map(|position| self.position = position))
    }

    fn next(&mut self) -> Waits<'_, SourceStep<u64>> {
        Box::pin(async {
            let context = self.context.as_ref().unwrap();
            let Numbers { count, batch, pause_ms } = self.parameters;
            if self.position == count {
                return Ok(SourceStep::End);
            }
            let due = *self.due.get_or_insert(context.host.now() + ms(pause_ms));
            context.host.sleep_until(due).await;
            self.due = None;
            let end = (self.position + batch).min(count);
            let offset = u64::from(context.subtask) * 1_000_000;
            let records = (self.position..end).map(|number| offset + number).collect();
            self.position = end;
            Ok(SourceStep::Records(records))
        })
    }

    fn snapshot(&mut self, _: CheckpointId, _: usize) -> Result<Bytes> {
        Ok(Bytes::from(postcard::to_stdvec(&self.position)?))
    }
}

/// Hands on what it gets, so many times, with so much waiting.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pass {
    pub copies: u32,
    pub wait_ms: u64,
}

#[derive(Clone)]
struct PassOperator {
    parameters: Pass,
    context: Option<OperatorContext>,
    seen: Arc<Seen>,
}

impl Operator<u64> for PassOperator {
    type Out = u64;

    fn open<'a>(&'a mut self, context: &'a OperatorContext, _: Option<Bytes>) -> Waits<'a, ()> {
        self.context = Some(context.clone());
        ready(())
    }

    fn process(&mut self, number: u64, out: &mut Collector<'_, u64>) -> Result<()> {
        if self.parameters.wait_ms > 0 {
            out.takes(ms(self.parameters.wait_ms));
        }
        (0..self.parameters.copies).for_each(|_| out.emit(number));
        Ok(())
    }

    fn finish(&mut self, _: &mut Collector<'_, u64>) -> Result<()> {
        self.seen.write(format!("finish {:?}", self.context.as_ref().unwrap().attempt));
        Ok(())
    }
}

/// Counts records, and emits the counts at the end.
#[derive(Clone)]
struct CountAtEnd;

impl Process<u64, u64> for CountAtEnd {
    type State = u64;
    type Out = u64;

    fn process(
        &mut self,
        _: u64,
        context: &mut KeyContext<'_, u64, u64>,
        _: &mut Collector<'_, u64>,
    ) -> Result<()> {
        *context.state() += 1;
        context.set_timer(Timer::Event(Timestamp::MAX))
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut KeyContext<'_, u64, u64>,
        out: &mut Collector<'_, u64>,
    ) -> Result<()> {
        assert_eq!(timer, Timer::Event(Timestamp::MAX));
        let digit = *context.key();
        out.emit(digit * 1_000_000 + *context.state());
        Ok(())
    }
}

/// Keeps what it gets; its state is all of it.
#[derive(Clone)]
struct CollectSink {
    seen: Arc<Seen>,
    vertex: Option<ExecutionVertexId>,
}

impl Sink<u64> for CollectSink {
    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        let begin = restored.map_or(Ok(Vec::new()), |kept| Ok(postcard::from_bytes(&kept)?));
        let vertex = context.attempt.vertex;
        self.vertex = Some(vertex);
        at_once(begin.map(|begin| {
            self.seen.collected.lock().unwrap().insert(vertex, begin);
        }))
    }

    fn write(&mut self, number: u64, _: Option<Timestamp>) -> Result<()> {
        let mut collected = self.seen.collected.lock().unwrap();
        collected.get_mut(&self.vertex.unwrap()).unwrap().push(number);
        Ok(())
    }

    fn snapshot(&mut self, _: CheckpointId) -> Waits<'_, Bytes> {
        ready(Bytes::from(postcard::to_stdvec(&self.seen.of(self.vertex.unwrap())).unwrap()))
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.seen.write(format!("confirm {checkpoint}"));
        ready(())
    }

    fn close(&mut self) -> Waits<'_, ()> {
        self.seen.write("close".to_string());
        ready(())
    }
}

/// Misbehaves in one of its calls: `panic open`, `fail confirm`, `hang close` and the like. A function that hangs
/// takes an hour.
#[derive(Clone)]
struct BadOperator {
    how: String,
}

impl BadOperator {
    fn misbehaves(&self, name: &str) -> Option<String> {
        self.how.strip_suffix(name).map(|how| how.trim().to_string())
    }

    fn call(&self, name: &str) -> Waits<'static, ()> {
        let (how, name) = (self.misbehaves(name), name.to_string());
        Box::pin(async move {
            match how.as_deref() {
                Some("panic") => panic!("in {name}"),
                Some("fail") => Err(Failure(format!("no {name}"))),
                Some("hang") => std::future::pending().await,
                _ => Ok(()),
            }
        })
    }

    fn function(&self, name: &str, out: &mut Collector<'_, u64>) -> Result<()> {
        match self.misbehaves(name).as_deref() {
            Some("panic") => panic!("in {name}"),
            Some("fail") => Err(Failure(format!("no {name}"))),
            Some("hang") => {
                out.takes(Duration::from_secs(3600));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Operator<u64> for BadOperator {
    type Out = u64;

    fn open<'a>(&'a mut self, _: &'a OperatorContext, _: Option<Bytes>) -> Waits<'a, ()> {
        self.call("open")
    }

    fn process(&mut self, number: u64, out: &mut Collector<'_, u64>) -> Result<()> {
        self.function("process", out)?;
        out.emit(number);
        Ok(())
    }

    fn finish(&mut self, out: &mut Collector<'_, u64>) -> Result<()> {
        self.function("finish", out)
    }

    fn snapshot(&mut self, _: CheckpointId) -> Waits<'_, Bytes> {
        let call = self.call("snapshot");
        Box::pin(async { call.await.map(|()| Bytes::new()) })
    }

    fn notify_checkpoint_complete(&mut self, _: CheckpointId) -> Waits<'_, ()> {
        self.call("confirm")
    }

    fn close(&mut self) -> Waits<'_, ()> {
        self.call("close")
    }
}

/// Counts the records of each of two streams, and emits both counts at the end.
#[derive(Clone)]
struct CountBoth;

impl CoProcess<u64, u64, String> for CountBoth {
    type State = (u64, u64);
    type Out = u64;

    fn process_first(
        &mut self,
        number: u64,
        context: &mut KeyContext<'_, u64, (u64, u64)>,
        _: &mut Collector<'_, u64>,
    ) -> Result<()> {
        assert_eq!(number % 10, *context.key());
        context.state().0 += 1;
        context.set_timer(Timer::Event(Timestamp::MAX))
    }

    fn process_second(
        &mut self,
        text: String,
        context: &mut KeyContext<'_, u64, (u64, u64)>,
        _: &mut Collector<'_, u64>,
    ) -> Result<()> {
        assert!(text.ends_with(&context.key().to_string()));
        context.state().1 += 1;
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: Timer,
        context: &mut KeyContext<'_, u64, (u64, u64)>,
        out: &mut Collector<'_, u64>,
    ) -> Result<()> {
        let (first, second) = *context.state();
        out.emit(*context.key() * 1_000_000 + first * 1_000 + second);
        Ok(())
    }
}
