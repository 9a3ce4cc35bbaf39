//! Functions with state by key and timers.

use super::{
    data::{Data, Key, decode, encode, encode_into},
    failure::Result,
    keyed_state::{
        KeptState, KeyedState, List, ListState, Map, MapState, Reducing, ReducingState, Slot,
        States, Value, ValueState, joined,
    },
    operator::{Managed, OperatorContext, Waits, WrittenFile, at_once, ready},
    stage::{Collector, Downstream, Scope, Stage},
    time::{Timestamp, WatermarkStatus},
};
use crate::system::{
    graph::{KeyGroupRange, OperatorState, RestoredState},
    ids::CheckpointId,
    sabotage,
};
use bytes::Bytes;
use futures::FutureExt;
use serde::{Deserialize, Serialize};

/// A function with a state of its own for each key, and with timers. Each subtask works with a clone.
pub trait Process<K, T>: Clone + Send + 'static {
    /// What is kept of a key; made by `default` when a key comes first.
    type State: Data + Default;
    /// What it emits.
    type Out: Data;

    /// Handles a record of the context's key.
    ///
    /// # Errors
    /// Fails the task.
    fn process(
        &mut self,
        value: T,
        context: &mut KeyContext<'_, K, Self::State>,
        out: &mut Collector<'_, Self::Out>,
    ) -> Result<()>;

    /// Begins. Does nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, context: &OperatorContext) -> Result<()> {
        let _ = context;
        Ok(())
    }

    /// Declares the states by key that it works with besides [`State`](Self::State): each has a name, and is read and
    /// written by itself ([`KeyContext::value`] and its like). None by default. Called once [`open`](Self::open) is done.
    fn states(&mut self, states: &mut States) {
        let _ = states;
    }

    /// A timer of the context's key has come. Does nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut KeyContext<'_, K, Self::State>,
        out: &mut Collector<'_, Self::Out>,
    ) -> Result<()> {
        let _ = (timer, context, out);
        Ok(())
    }
}

/// By which time a timer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The watermark has reached it.
    Event(Timestamp),
    /// The time of day has.
    Processing(Timestamp),
}

/// What a function knows of the key for which it is called.
pub struct KeyContext<'a, K, S> {
    slot: Slot<'a, K, S>,
    time: Option<Timestamp>,
    watermark: Timestamp,
    now: Timestamp,
    is_cleared: bool,
}

impl<K: Key, S: Data + Default> KeyContext<'_, K, S> {
    /// The key.
    pub fn key(&self) -> &K {
        self.slot.key()
    }

    /// What is kept of the key.
    pub fn state(&mut self) -> &mut S {
        self.is_cleared = false;
        self.slot.state()
    }

    /// What is kept of the key under the name of a value.
    ///
    /// # Errors
    /// Fails the task: the state was not declared, or the key can't be encoded.
    pub fn value<'c, T, E>(
        &'c mut self,
        state: &'c ValueState<T, E>,
    ) -> Result<Value<'c, ValueState<T, E>>> {
        let now = self.now;
        state.open(|declared| self.slot.entries(declared, now))
    }

    /// What is kept of the key under the name of a list.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn list<'c, T, E>(
        &'c mut self,
        state: &'c ListState<T, E>,
    ) -> Result<List<'c, ListState<T, E>>> {
        let now = self.now;
        state.open(|declared| self.slot.entries(declared, now))
    }

    /// What is kept of the key under the name of a map.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn map<'c, L, V, E, F>(
        &'c mut self,
        state: &'c MapState<L, V, E, F>,
    ) -> Result<Map<'c, MapState<L, V, E, F>>> {
        let now = self.now;
        state.open(|declared| self.slot.entries(declared, now))
    }

    /// What is kept of the key under the name of a reduced value.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn reducing<'c, T, R, E>(
        &'c mut self,
        state: &'c ReducingState<T, R, E>,
    ) -> Result<Reducing<'c, ReducingState<T, R, E>>> {
        let now = self.now;
        state.open(|declared| self.slot.entries(declared, now))
    }

    /// Forgets the [`state`](Self::state) of the key; its timers stay, and what is kept under names.
    pub fn clear(&mut self) {
        *self.slot.state() = S::default();
        self.is_cleared = true;
    }

    /// The event time of the record, or of the timer; `None` where the stream has none.
    pub fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// No record as early as this comes any more.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The time of day, when the batch began that the record belongs to.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets a timer of the key; one that is set already is the same. One of event time that is not later than the
    /// watermark comes with the next one.
    ///
    /// # Errors
    /// When the key can't be encoded.
    pub fn set_timer(&mut self, timer: Timer) -> Result<()> {
        let (is_event, time) = timer.parts();
        self.slot.set_timer(is_event, time)
    }

    /// Takes a timer of the key back, if it is set.
    ///
    /// # Errors
    /// When the key can't be encoded.
    pub fn delete_timer(&mut self, timer: Timer) -> Result<()> {
        let (is_event, time) = timer.parts();
        self.slot.delete_timer(is_event, time)
    }
}

impl Timer {
    fn parts(self) -> (bool, Timestamp) {
        match self {
            Timer::Event(time) => (true, time),
            Timer::Processing(time) => (false, time),
        }
    }
}

/// What is kept of a keyed operator besides its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The watermark that has come. After a restore it does not go back: what was late stays late.
    watermark: Timestamp,
    /// The watermark that those behind have been told.
    told: Timestamp,
}

/// What a snapshot has besides keys: how far it was, and which states there are; of a function that has none, nothing
/// is said of them.
fn split_own(own: &[u8]) -> Result<(Progress, Vec<KeptState>)> {
    match postcard::take_from_bytes(own)? {
        (progress, []) => Ok((progress, Vec::new())),
        (progress, states) => Ok((progress, decode(states)?)),
    }
}

/// What a keyed operator is and knows besides those behind it.
struct Keyed<K, T, P: Process<K, T>> {
    uid: String,
    function: P,
    state: KeyedState<K, P::State>,
    progress: Progress,
    /// What the disk has of the keys of records that come next.
    ahead: Vec<Vec<u8>>,
    /// Entries to be looked at, whether they have died.
    to_sweep: usize,
    /// The time of day up to which timers are due.
    due: Timestamp,
    /// That watermarks come, or don't: those behind hear of it behind the watermark that came before.
    untold: Option<WatermarkStatus>,
}

/// The stage of a [`Process`].
pub(super) struct ProcessStage<K, T, P: Process<K, T>, F> {
    keyed: Keyed<K, T, P>,
    key: F,
    next: Box<dyn Stage<P::Out>>,
}

impl<K, T, P, F> ProcessStage<K, T, P, F>
where
    K: Key,
    P: Process<K, T>,
    F: Fn(&T) -> K,
{
    pub fn new(uid: &str, function: P, key: F, next: Box<dyn Stage<P::Out>>) -> Self {
        let state = KeyedState::new(KeyGroupRange { start: 0, end: 0 }, 1);
        let progress = Progress { watermark: Timestamp::MIN, told: Timestamp::MIN };
        let uid = uid.to_string();
        let (ahead, due) = (Vec::new(), Timestamp::MIN);
        let to_sweep = 0;
        let keyed = Keyed { uid, function, state, progress, ahead, to_sweep, due, untold: None };
        ProcessStage { keyed, key, next }
    }

    fn call(
        &mut self,
        key: K,
        time: Option<Timestamp>,
        scope: &mut Scope,
        call: impl FnOnce(
            &mut P,
            &mut KeyContext<'_, K, P::State>,
            &mut Collector<'_, P::Out>,
        ) -> Result<()>,
    ) {
        let Keyed { function, state, progress, .. } = &mut self.keyed;
        let slot = match state.slot(key) {
            Ok(slot) => slot,
            Err(failure) => return scope.fail(failure),
        };
        let mut context = KeyContext {
            slot,
            time,
            watermark: progress.watermark,
            now: scope.now(),
            is_cleared: size_of::<P::State>() == 0,
        };
        let mut out = Collector::new(&mut *self.next, time, scope);
        let called = call(function, &mut context, &mut out);
        let is_cleared = context.is_cleared;
        let kept = context.slot.keep(is_cleared);
        scope.note(called.and(kept));
    }

    /// Fires what is due, one by one, until the chain pauses; then tells those behind of the watermark.
    fn advance(&mut self, scope: &mut Scope) {
        let Progress { watermark, told } = self.keyed.progress;
        for (is_event, until) in [(true, watermark), (false, self.keyed.due)] {
            while !scope.is_paused() {
                let Some((time, key)) = self.keyed.state.next_due(is_event, until) else { break };
                scope.step();
                let timer = if is_event { Timer::Event(time) } else { Timer::Processing(time) };
                self.call(key, Some(time).filter(|_| is_event), scope, |function, context, out| {
                    function.on_timer(timer, context, out)
                });
            }
            let first = self.keyed.state.first_timer(is_event);
            if first.is_some_and(|first| first <= until) {
                return scope.leave_unfinished();
            }
        }
        if told < watermark {
            self.keyed.progress.told = watermark;
            self.next.watermark(watermark, scope);
        }
        if let Some(status) = self.keyed.untold.take() {
            self.next.watermark_status(status, scope);
        }
    }
}

impl<K, T, P, F> Stage<T> for ProcessStage<K, T, P, F>
where
    K: Key,
    T: Send,
    P: Process<K, T>,
    F: Fn(&T) -> K + Send,
{
    fn look_ahead(&mut self, value: &T) -> Result<()> {
        let Keyed { state, ahead, .. } = &mut self.keyed;
        state.look_ahead(&(self.key)(value), ahead)
    }

    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        let key = (self.key)(&value);
        self.call(key, time, scope, |function, context, out| function.process(value, context, out));
        let swept = self.keyed.sweep(scope.now());
        scope.note(swept);
    }
}

impl<K, T, P, F> Downstream for ProcessStage<K, T, P, F>
where
    K: Key,
    T: Send,
    P: Process<K, T>,
    F: Fn(&T) -> K + Send,
{
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.next);
    }

    fn wants_look_ahead(&self) -> bool {
        self.keyed.state.is_on_disk()
    }

    fn end_look_ahead(&mut self) -> Result<()> {
        let ahead = std::mem::take(&mut self.keyed.ahead);
        self.keyed.state.make_resident(&ahead)
    }

    fn watermark(&mut self, watermark: Timestamp, scope: &mut Scope) {
        let progress = &mut self.keyed.progress;
        progress.watermark = progress.watermark.max(watermark);
        self.advance(scope);
    }

    fn watermark_status(&mut self, status: WatermarkStatus, scope: &mut Scope) {
        self.keyed.untold = Some(status);
        self.advance(scope);
    }

    fn processing_time(&mut self, scope: &mut Scope) {
        self.keyed.due = scope.now();
        self.advance(scope);
        self.next.processing_time(scope);
    }

    fn resume(&mut self, scope: &mut Scope) {
        self.next.resume(scope);
        self.advance(scope);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        all.push(&mut self.keyed);
        self.next.add_managed(all);
    }
}

/// Entries that are looked at for each record, whether they have died. With two the dead are at most as many as came in
/// a time-to-live, about.
const SWEPT_FOR_A_RECORD: usize = 2;
/// As many are looked at in one go.
const SWEPT_AT_ONCE: usize = 512;

impl<K: Key, T: Send, P: Process<K, T>> Keyed<K, T, P> {
    /// What a snapshot has besides keys.
    fn own(&self) -> Result<Vec<u8>> {
        let mut own = encode(&self.progress)?;
        match self.state.states().to_keep() {
            [] => {}
            states => encode_into(&states, &mut own)?,
        }
        Ok(own)
    }

    /// A record has come: removes some of what has died, when it is time.
    fn sweep(&mut self, now: Timestamp) -> Result<()> {
        if self.state.states().have_ttl() {
            self.to_sweep += SWEPT_FOR_A_RECORD;
            if self.to_sweep >= SWEPT_AT_ONCE {
                return self.state.sweep(now, std::mem::take(&mut self.to_sweep));
            }
        }
        Ok(())
    }

    /// Takes over the key groups of this subtask. Of subtasks of different watermarks the earliest counts: what is late
    /// for it was late for all.
    fn restore(&mut self, states: &[OperatorState], context: &OperatorContext) -> Result<()> {
        let progress = states.iter().map(|state| split_own(&state.own));
        let watermarks = progress.map(|own| Ok(own?.0.watermark));
        let watermarks = watermarks.collect::<Result<Vec<Timestamp>>>()?;
        let watermark = watermarks.into_iter().min().unwrap_or(Timestamp::MIN);
        // Nobody behind was told in this attempt.
        self.progress = Progress { watermark, told: Timestamp::MIN };
        let has_timers = self.state.first_timer(true).is_some();
        if has_timers && context.host.sabotaged(sabotage::TIMERS_LOST_AT_RESTORE) {
            while self.state.next_due(true, Timestamp::MAX).is_some() {}
        }
        Ok(())
    }
}

impl<K: Key, T: Send, P: Process<K, T>> Managed for Keyed<K, T, P> {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: RestoredState,
    ) -> Waits<'a, ()> {
        async move {
            self.function.open(context)?;
            let states = restored.into_states();
            let kept = states.iter().map(|state| Ok(split_own(&state.own)?.1));
            let mut declared = States::kept(joined(kept.collect::<Result<Vec<_>>>()?)?);
            self.function.states(&mut declared);
            declared.check()?;
            self.state = KeyedState::open(context, &states, declared).await?;
            self.restore(&states, context)
        }
        .boxed()
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, OperatorState> {
        let taken = self.state.snapshot(checkpoint).and_then(|keyed| {
            let own = Bytes::from(self.own()?);
            Ok(OperatorState { own, keyed, files: Vec::new() })
        });
        at_once(taken)
    }

    fn written(&mut self, checkpoint: CheckpointId) -> Result<Option<Vec<WrittenFile>>> {
        self.state.written(checkpoint)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.state.complete(checkpoint);
        ready(())
    }

    fn notify_checkpoint_aborted(&mut self, checkpoint: CheckpointId) {
        self.state.abort(checkpoint);
    }

    fn has_work(&self) -> bool {
        self.state.has_work()
    }

    fn tend(&mut self) -> Option<Waits<'_, ()>> {
        Some(self.state.tend()?.boxed())
    }

    fn close(&mut self) -> Waits<'_, ()> {
        self.state.remove_files();
        ready(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.state.first_timer(false)
    }
}

/// A state by key that a function makes of each record and what was kept: what [`reduce`] stands on.
///
/// [`reduce`]: super::KeyedStream::reduce
#[derive(Clone)]
pub(super) struct Reduce<R>(pub R);

impl<K, T, R> Process<K, T> for Reduce<R>
where
    K: Key,
    T: Data,
    R: Fn(T, T) -> T + Clone + Send + 'static,
{
    type State = Option<T>;
    type Out = T;

    fn process(
        &mut self,
        value: T,
        context: &mut KeyContext<'_, K, Option<T>>,
        out: &mut Collector<'_, T>,
    ) -> Result<()> {
        let kept = context.state();
        let reduced = match kept.take() {
            None => value,
            Some(before) => (self.0)(before, value),
        };
        *kept = Some(reduced.clone());
        out.emit(reduced);
        Ok(())
    }
}
