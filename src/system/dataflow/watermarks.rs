//! Event time: what time a record has, and how far the records of a stream have come.
//!
//! The operator keeps the latest time that it has seen, also over a restore, and tells every [`AUTO_WATERMARK_INTERVAL`]
//! how far records have come, at the pace of the time of day: it sets a timer whenever there is news. With an idleness
//! time-out it tells that no record comes for now, so that nobody waits for this stream.
//!
//! Idleness is counted in ticks, each of which counts as one at most however long it took: a task that could read
//! nothing for a while, since those behind it had no room, was not idle for as long (FLINK-35886).

use super::{
    data::{Data, decode, encode},
    operator::{Managed, OperatorContext, Waits, at_once},
    plan::{behind, untyped},
    stage::{Downstream, Scope, Stage},
    stream::Stream,
    time::{Timestamp, WatermarkStatus},
};
use crate::{
    host::Switches,
    system::{
        graph::{OperatorState, RestoredState},
        ids::CheckpointId,
        sabotage,
    },
};
use bytes::Bytes;
use std::{marker::PhantomData, sync::Arc, time::Duration};

/// From watermark to watermark, at least: Flink's default.
const AUTO_WATERMARK_INTERVAL: Duration = Duration::from_millis(200);
/// How many ticks without a record make a stream idle.
const IDLE_TICKS: u32 = 8;
/// No tick is shorter.
const IDLE_TICK_MIN: Duration = Duration::from_millis(1);

type TimestampAssigner<T> = Arc<dyn Fn(&T) -> Timestamp + Send + Sync>;

/// Where records have their event time from, and how far behind the latest one others may be.
#[derive(Clone)]
pub struct WatermarkStrategy<T> {
    assigner: TimestampAssigner<T>,
    out_of_orderness: Duration,
    idleness: Option<Duration>,
}

impl<T> WatermarkStrategy<T> {
    /// Records of a subtask come in the order of their times, of which several may be the same.
    pub fn for_monotonous_timestamps(
        assigner: impl Fn(&T) -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self::for_bounded_out_of_orderness(Duration::ZERO, assigner)
    }

    /// A record of a subtask is at most so much earlier, in whole milliseconds, than the latest one before it. One that
    /// is earlier still is late.
    pub fn for_bounded_out_of_orderness(
        most: Duration,
        assigner: impl Fn(&T) -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        WatermarkStrategy { assigner: Arc::new(assigner), out_of_orderness: most, idleness: None }
    }

    /// A subtask is idle after so long without a record, by the time of day: nobody waits for its watermarks until it
    /// has one again. Never by default.
    #[must_use]
    pub fn with_idleness(self, timeout: Duration) -> Self {
        WatermarkStrategy { idleness: Some(timeout), ..self }
    }
}

impl<T: Data> Stream<T> {
    /// The same records with the event times and watermarks of a strategy; those that they had are forgotten, but for
    /// the end. A stream that reads a source is read in the order of the source.
    pub fn assign_timestamps_and_watermarks(
        &self,
        name: &str,
        strategy: WatermarkStrategy<T>,
    ) -> Stream<T> {
        let uid = name.to_string();
        self.then::<T>(name, "timestamps", move |next| {
            untyped::<T>(TimestampsStage::new(&uid, strategy.clone(), behind::<T>(next)))
        })
    }
}

/// How far a subtask's records have come.
struct Progress {
    uid: String,
    /// The latest time of a record.
    latest: Timestamp,
    told: Timestamp,
    out_of_orderness: Duration,
    /// When the next watermark may be told.
    next_watermark: Timestamp,
    idleness: Option<Idleness>,
}

/// How long no record has come.
struct Idleness {
    tick: Duration,
    next_tick: Timestamp,
    /// Without a record; at [`IDLE_TICKS`] it is idle.
    ticks: u32,
    switches: Switches,
}

impl Idleness {
    fn new(timeout: Duration) -> Self {
        let tick = (timeout / IDLE_TICKS).max(IDLE_TICK_MIN);
        Idleness { tick, next_tick: Timestamp::MIN, ticks: 0, switches: Switches::default() }
    }

    fn is_idle(&self) -> bool {
        self.ticks >= IDLE_TICKS
    }

    /// A record has come; whether it was idle before.
    fn record(&mut self, now: Timestamp) -> bool {
        let was_idle = self.is_idle();
        self.ticks = 0;
        self.next_tick = now.after(self.tick);
        was_idle
    }

    /// The time of day is told; whether it becomes idle.
    fn at(&mut self, now: Timestamp) -> bool {
        if self.is_idle() || now < self.next_tick {
            return false;
        }
        self.ticks += 1;
        let tick = i64::try_from(self.tick.as_millis()).unwrap_or(i64::MAX).max(1);
        let missed = now.0.saturating_sub(self.next_tick.0) / tick;
        if missed > 0 && self.switches.on(sabotage::IDLE_BY_WALL_TIME) {
            self.ticks = self.ticks.saturating_add(u32::try_from(missed).unwrap_or(u32::MAX));
        }
        self.next_tick = now.after(self.tick);
        self.is_idle()
    }
}

impl Progress {
    /// No record as early as this comes any more.
    fn watermark(&self) -> Timestamp {
        match self.latest {
            Timestamp::MIN => Timestamp::MIN,
            latest => latest.before(self.out_of_orderness).before(Duration::from_millis(1)),
        }
    }

    /// The watermark, if it is news and its time has come. The time of day may have been set back meanwhile.
    fn due(&mut self, now: Timestamp) -> Option<Timestamp> {
        let may_wait = self.next_watermark.before(AUTO_WATERMARK_INTERVAL) <= now;
        if now < self.next_watermark && may_wait { None } else { self.news(now) }
    }

    /// The watermark, if it is news.
    fn news(&mut self, now: Timestamp) -> Option<Timestamp> {
        let watermark = self.watermark();
        (watermark > self.told).then(|| {
            self.next_watermark = now.after(AUTO_WATERMARK_INTERVAL);
            self.told = watermark;
            watermark
        })
    }
}

/// The stage of a strategy.
struct TimestampsStage<T> {
    progress: Progress,
    assigner: TimestampAssigner<T>,
    next: Box<dyn Stage<T>>,
    of: PhantomData<fn(T)>,
}

impl<T> TimestampsStage<T> {
    fn new(uid: &str, strategy: WatermarkStrategy<T>, next: Box<dyn Stage<T>>) -> Self {
        let WatermarkStrategy { assigner, out_of_orderness, idleness } = strategy;
        let progress = Progress {
            uid: uid.to_string(),
            latest: Timestamp::MIN,
            told: Timestamp::MIN,
            out_of_orderness,
            next_watermark: Timestamp::MIN,
            idleness: idleness.map(Idleness::new),
        };
        TimestampsStage { progress, assigner, next, of: PhantomData }
    }

    fn tell(&mut self, scope: &mut Scope) {
        if let Some(watermark) = self.progress.due(scope.now()) {
            self.next.watermark(watermark, scope);
        }
    }

    fn wake(&mut self, scope: &mut Scope) {
        if let Some(idleness) = &mut self.progress.idleness
            && idleness.record(scope.now())
        {
            self.next.watermark_status(WatermarkStatus::Active, scope);
        }
    }
}

impl<T: Data> Stage<T> for TimestampsStage<T> {
    fn process(&mut self, value: T, _: Option<Timestamp>, scope: &mut Scope) {
        self.wake(scope);
        let time = (self.assigner)(&value);
        self.next.process(value, Some(time), scope);
        if time > self.progress.latest {
            self.progress.latest = time;
            self.tell(scope);
        }
    }
}

impl<T: Data> Downstream for TimestampsStage<T> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.next);
    }

    fn watermark(&mut self, watermark: Timestamp, scope: &mut Scope) {
        // What those before it say of another time means nothing here, but for the end.
        if watermark == Timestamp::MAX {
            self.wake(scope);
            self.progress.told = watermark;
            self.next.watermark(watermark, scope);
        }
    }

    fn watermark_status(&mut self, _: WatermarkStatus, _: &mut Scope) {}

    fn processing_time(&mut self, scope: &mut Scope) {
        self.tell(scope);
        if let Some(idleness) = &mut self.progress.idleness
            && self.progress.told < Timestamp::MAX
            && idleness.at(scope.now())
        {
            // While it is idle nobody listens to its watermarks.
            if let Some(watermark) = self.progress.news(scope.now()) {
                self.next.watermark(watermark, scope);
            }
            self.next.watermark_status(WatermarkStatus::Idle, scope);
        }
        self.next.processing_time(scope);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        all.push(&mut self.progress);
        self.next.add_managed(all);
    }
}

impl Managed for Progress {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: RestoredState,
    ) -> Waits<'a, ()> {
        let now = context.host.wall().as_millis();
        let now = Timestamp(i64::try_from(now).unwrap_or(i64::MAX));
        if let Some(idleness) = &mut self.idleness {
            idleness.switches = context.host.switches();
            idleness.record(now);
        }
        let states = restored.into_states();
        // Which of the former subtasks read what comes here is not known: it may be the one that was furthest behind.
        let latest = states.iter().map(|state| decode(&state.own));
        let latest = latest.collect::<Result<Vec<Timestamp>, _>>();
        at_once(latest.map(|all| self.latest = all.into_iter().min().unwrap_or(Timestamp::MIN)))
    }

    fn snapshot(&mut self, _: CheckpointId) -> Waits<'_, OperatorState> {
        let own = encode(&self.latest).map(Bytes::from);
        at_once(own.map(|own| OperatorState { own, ..OperatorState::default() }))
    }

    fn next_timer(&self) -> Option<Timestamp> {
        let watermark = (self.watermark() > self.told).then_some(self.next_watermark);
        let has_ended = self.told == Timestamp::MAX;
        let idleness = self.idleness.as_ref().filter(|one| !one.is_idle() && !has_ended);
        let tick = idleness.map(|idleness| idleness.next_tick);
        watermark.into_iter().chain(tick).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    type Log = Arc<Mutex<Vec<String>>>;

    struct Seen(Log);

    impl Downstream for Seen {
        fn watermark(&mut self, watermark: Timestamp, _: &mut Scope) {
            self.0.lock().unwrap().push(format!("watermark {}", watermark.0));
        }

        fn watermark_status(&mut self, status: WatermarkStatus, _: &mut Scope) {
            self.0.lock().unwrap().push(format!("{status:?}"));
        }

        fn add_managed<'a>(&'a mut self, _: &mut Vec<&'a mut dyn Managed>) {}
    }

    impl Stage<i64> for Seen {
        fn process(&mut self, value: i64, time: Option<Timestamp>, _: &mut Scope) {
            assert_eq!(time, Some(Timestamp(value)));
            self.0.lock().unwrap().push(value.to_string());
        }
    }

    struct Stream {
        stage: TimestampsStage<i64>,
        log: Log,
        scope: Scope,
    }

    fn stream(strategy: WatermarkStrategy<i64>) -> Stream {
        let log = Log::default();
        let stage = TimestampsStage::new("times", strategy, Box::new(Seen(log.clone())));
        Stream { stage, log, scope: Scope::new(&[]) }
    }

    fn bounded(most: u64) -> WatermarkStrategy<i64> {
        let most = Duration::from_millis(most);
        WatermarkStrategy::for_bounded_out_of_orderness(most, |value| Timestamp(*value))
    }

    impl Stream {
        /// What is told as records come at a time of day.
        fn records(&mut self, now: i64, values: &[i64]) -> Vec<String> {
            self.scope.begin(Timestamp(now));
            values.iter().for_each(|value| self.stage.process(*value, None, &mut self.scope));
            std::mem::take(&mut self.log.lock().unwrap())
        }

        /// What is told as a timer fires.
        fn timer(&mut self) -> (i64, Vec<String>) {
            let Timestamp(now) = self.stage.progress.next_timer().expect("a timer is set");
            (now, self.time(now))
        }

        fn time(&mut self, now: i64) -> Vec<String> {
            self.scope.begin(Timestamp(now));
            self.stage.processing_time(&mut self.scope);
            std::mem::take(&mut self.log.lock().unwrap())
        }
    }

    #[test]
    fn watermarks_are_as_far_behind_as_records_may_be_and_keep_their_distance() {
        let mut stream = stream(bounded(10));
        assert_eq!(stream.records(1000, &[50, 45]), ["50", "watermark 39", "45"]);
        assert_eq!(stream.records(1001, &[60, 55, 62]), ["60", "55", "62"]);
        assert_eq!(stream.timer(), (1200, vec!["watermark 51".to_string()]));
        assert_eq!(stream.stage.progress.next_timer(), None, "there is no news");
        assert_eq!(stream.records(1300, &[61]), ["61"], "none goes back");
        assert_eq!(stream.records(1500, &[63]), ["63", "watermark 52"]);
    }

    #[test]
    fn records_in_order_are_followed_at_once_and_a_clock_that_goes_back_stops_nothing() {
        let strategy = WatermarkStrategy::for_monotonous_timestamps(|value| Timestamp(*value));
        let mut stream = stream(strategy);
        assert_eq!(stream.records(1000, &[5, 5]), ["5", "watermark 4", "5"]);
        assert_eq!(stream.records(100, &[7]), ["7", "watermark 6"]);
        assert_eq!(stream.records(250, &[8]), ["8"]);
    }

    #[test]
    fn the_end_is_handed_on_and_any_other_watermark_is_not() {
        let mut stream = stream(bounded(0));
        stream.stage.watermark(Timestamp(7), &mut stream.scope);
        stream.stage.watermark_status(WatermarkStatus::Idle, &mut stream.scope);
        assert_eq!(stream.time(0), Vec::<String>::new());
        stream.stage.watermark(Timestamp::MAX, &mut stream.scope);
        assert_eq!(stream.time(1), [format!("watermark {}", i64::MAX)]);
        assert_eq!(stream.stage.progress.next_timer(), None);
    }

    #[test]
    fn a_stream_without_records_is_idle_until_one_comes_or_it_ends() {
        let mut stream = stream(bounded(0).with_idleness(Duration::from_millis(80)));
        assert_eq!(stream.records(1000, &[1]), ["1", "watermark 0"]);
        for tick in 1..8 {
            assert_eq!(stream.timer(), (1000 + tick * 10, vec![]));
        }
        assert_eq!(stream.timer(), (1080, vec!["Idle".to_string()]));
        assert_eq!(stream.stage.progress.next_timer(), None, "it has said so");
        assert_eq!(stream.records(2000, &[2]), ["Active", "2", "watermark 1"]);
        (0..8).for_each(|_| drop(stream.timer()));
        stream.stage.watermark(Timestamp::MAX, &mut stream.scope);
        assert_eq!(stream.time(3000), ["Active".to_string(), format!("watermark {}", i64::MAX)]);
    }

    #[test]
    fn what_is_known_is_told_before_the_idleness() {
        let mut stream = stream(bounded(0).with_idleness(Duration::from_millis(80)));
        assert_eq!(stream.records(1000, &[1, 5]), ["1", "watermark 0", "5"]);
        (1..8).for_each(|_| assert_eq!(stream.timer().1, Vec::<String>::new()));
        assert_eq!(stream.timer(), (1080, vec!["watermark 4".to_string(), "Idle".to_string()]));
    }

    #[test]
    fn time_in_which_nothing_could_be_read_is_not_idleness() {
        let mut stream = stream(bounded(0).with_idleness(Duration::from_millis(80)));
        stream.records(1000, &[1]);
        // Those behind it had no room for seconds: one tick at most.
        assert_eq!(stream.time(9000), Vec::<String>::new());
        assert_eq!(stream.records(9001, &[2]), ["2", "watermark 1"]);
    }
}
