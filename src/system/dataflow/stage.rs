//! A chain of operators as one typed call each: an operator owns those behind it and calls them.
//!
//! Nothing in a chain waits. What is emitted beyond the room of those that read it is kept by the task's outputs,
//! and the chain [pauses](Scope::is_paused) before the next record or timer; between two of them all that it holds is
//! a value. What has to be waited for, such as a sink's writing, is awaited by the task between batches.

use super::{
    data::encode_record,
    failure::Failure,
    operator::Managed,
    output_tag::OutputTag,
    outputs::Outputs,
    time::{Timestamp, WatermarkStatus},
};
use bytes::BytesMut;
use serde::Serialize;
use std::{any::Any, time::Duration};

/// What a chain may do without a pause: records and timers.
pub const STEPS_MAX: u32 = 4096;
/// The same where what is emitted is sent at once: records that came together go on together, but wait for few others.
const STEPS_MAX_AT_ONCE: u32 = 32;

/// What a chain works with while it is called.
pub struct Scope {
    /// What it emits to other tasks.
    pub outputs: Outputs,
    /// The time of day when the batch began.
    now: Timestamp,
    steps: u32,
    steps_max: u32,
    failure: Option<Failure>,
    is_paused: bool,
    /// Somebody stopped before all was done, and wants to be [resumed](Downstream::resume).
    is_unfinished: bool,
    /// How long what was done keeps the task from what comes next.
    debt: Duration,
}

impl Scope {
    /// One whose outputs have so many channels each.
    pub fn new(channels: &[usize]) -> Self {
        Scope {
            outputs: Outputs::new(channels),
            now: Timestamp::MIN,
            steps: 0,
            steps_max: STEPS_MAX,
            failure: None,
            is_paused: false,
            is_unfinished: false,
            debt: Duration::ZERO,
        }
    }

    /// The chain pauses from here on after few records or timers, so that what was emitted can be sent.
    pub fn send_at_once(&mut self) {
        self.steps_max = STEPS_MAX_AT_ONCE;
    }

    /// A batch begins at this time of day.
    pub fn begin(&mut self, now: Timestamp) {
        self.now = now;
        self.steps = 0;
        self.is_unfinished = false;
        self.is_paused = self.outputs.has_queued();
    }

    /// What the batch came to: whether somebody wants to be [resumed](Downstream::resume).
    ///
    /// # Errors
    /// Why the task fails.
    pub fn end(&mut self) -> Result<bool, Failure> {
        match self.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(self.is_unfinished),
        }
    }

    /// The time of day when the batch began.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether the chain must do nothing more in this batch: a buffer is to be handed on, a sink wants to write, mail may
    /// wait, or something failed.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Lets the chain pause before the next record or timer.
    pub fn pause(&mut self) {
        self.is_paused = true;
    }

    /// Notes that somebody stopped before all was done.
    pub(super) fn leave_unfinished(&mut self) {
        self.is_unfinished = true;
    }

    /// What was done takes so long: the chain pauses, and its task rests for as long before the next record.
    pub(super) fn owe(&mut self, time: Duration) {
        self.debt += time;
        self.is_paused = true;
    }

    /// How long the task must rest before the next record.
    pub fn take_debt(&mut self) -> Duration {
        std::mem::take(&mut self.debt)
    }

    /// Counts a record or a timer.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        if self.steps >= self.steps_max {
            self.is_paused = true;
        }
    }

    /// The task fails; the first word counts.
    pub fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.is_paused = true;
    }

    /// Takes what came of a user's function.
    pub(super) fn note(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.fail(failure);
        }
    }

    /// Sends a record to a channel of an output.
    pub(super) fn send<T: Serialize>(
        &mut self,
        output: usize,
        value: &T,
        time: Option<Timestamp>,
        channel: usize,
    ) {
        let encode = |into: &mut BytesMut| encode_record(value, time, into);
        let sent = self.outputs.append(output, channel, encode);
        self.note(sent);
        self.is_paused |= self.outputs.has_queued();
    }

    pub(super) fn send_watermark(&mut self, output: usize, watermark: Timestamp) {
        self.outputs.watermark(output, watermark);
        self.is_paused = true;
    }

    pub(super) fn send_status(&mut self, output: usize, status: WatermarkStatus) {
        self.outputs.status(output, status);
        self.is_paused = true;
    }
}

/// Hands what a function makes to whoever reads it. What is emitted has the time of what the function was called for.
pub struct Collector<'a, T> {
    next: &'a mut dyn Stage<T>,
    time: Option<Timestamp>,
    scope: &'a mut Scope,
}

impl<'a, T> Collector<'a, T> {
    pub(super) fn new(
        next: &'a mut dyn Stage<T>,
        time: Option<Timestamp>,
        scope: &'a mut Scope,
    ) -> Self {
        Collector { next, time, scope }
    }

    /// Hands on a value. It never waits: what has no room behind it is kept.
    pub fn emit(&mut self, value: T) {
        self.next.process(value, self.time, self.scope);
    }

    /// What the function does takes so long: the task handles nothing else meanwhile, as if the function had held it
    /// up.
    pub fn takes(&mut self, time: Duration) {
        self.scope.owe(time);
    }

    /// The task fails with these words; nothing more is handled.
    pub fn fail(&mut self, failure: Failure) {
        self.scope.fail(failure);
    }

    /// The same as `emit`, at another time of event time.
    pub fn emit_at(&mut self, value: T, time: Timestamp) {
        self.next.process(value, Some(time), self.scope);
    }

    /// Hands a value to whoever reads a side output. What nobody reads is dropped.
    pub fn emit_to<U: 'static>(&mut self, tag: &OutputTag<U>, value: U) {
        let Some(stage) = self.next.side_output(tag.id()) else { return };
        match stage.downcast_mut::<Box<dyn Stage<U>>>() {
            Some(stage) => stage.process(value, self.time, self.scope),
            None => self
                .scope
                .fail(Failure(format!("the side output {:?} is read as another type", tag.id()))),
        }
    }

    /// The same with another time of event time for all that is emitted.
    pub(super) fn at(&mut self, time: Timestamp) -> Collector<'_, T> {
        Collector { next: &mut *self.next, time: Some(time), scope: &mut *self.scope }
    }
}

/// What an operator hears besides records; those behind it hear it after it. No call waits.
pub trait Downstream: Send {
    /// Calls each of those that read what this emits; nobody by default.
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        let _ = call;
    }

    /// No record comes any more that is as early as this or earlier. Watermarks only grow.
    fn watermark(&mut self, watermark: Timestamp, scope: &mut Scope) {
        self.for_each_reader(&mut |reader| reader.watermark(watermark, scope));
    }

    /// Whether watermarks come from here on.
    fn watermark_status(&mut self, status: WatermarkStatus, scope: &mut Scope) {
        self.for_each_reader(&mut |reader| reader.watermark_status(status, scope));
    }

    /// It is so late by the clock as the scope says.
    fn processing_time(&mut self, scope: &mut Scope) {
        self.for_each_reader(&mut |reader| reader.processing_time(scope));
    }

    /// Goes on with what was left undone when the chain paused.
    fn resume(&mut self, scope: &mut Scope) {
        self.for_each_reader(&mut |reader| reader.resume(scope));
    }

    /// No record comes any more; every timer of event time has fired.
    fn finish(&mut self, scope: &mut Scope) {
        self.for_each_reader(&mut |reader| reader.finish(scope));
    }

    /// Whether it wants to look ahead.
    fn wants_look_ahead(&self) -> bool {
        false
    }

    /// All records of a batch were looked at.
    ///
    /// # Errors
    /// Fails the task.
    fn end_look_ahead(&mut self) -> Result<(), Failure> {
        Ok(())
    }

    /// Sends an encoded record once more to an output, of which a former subtask had emitted it: to whatever channel it
    /// belongs to now.
    fn send_again(&mut self, output: usize, record: &[u8], scope: &mut Scope) {
        self.for_each_reader(&mut |reader| reader.send_again(output, record, scope));
    }

    /// Adds the operators, this one first.
    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>);
}

/// An operator with all that is behind it.
pub trait Stage<T>: Downstream {
    /// Handles a record.
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope);

    /// Sees a record that it handles soon, to bring into memory what it needs for that.
    ///
    /// # Errors
    /// Fails the task.
    fn look_ahead(&mut self, value: &T) -> Result<(), Failure> {
        let _ = value;
        Ok(())
    }

    /// A `Box<dyn Stage<_>>` of those that read a side output of the operator before this; nobody by default.
    fn side_output(&mut self, tag: &str) -> Option<&mut (dyn Any + Send)> {
        let _ = tag;
        None
    }
}

/// Whoever reads nothing of what comes.
pub(super) struct Nowhere;

impl Downstream for Nowhere {
    fn add_managed<'a>(&'a mut self, _: &mut Vec<&'a mut dyn Managed>) {}
}

impl<T> Stage<T> for Nowhere {
    fn process(&mut self, _: T, _: Option<Timestamp>, _: &mut Scope) {}
}

/// Several that read the same.
pub(super) struct Several<T>(pub Vec<Box<dyn Stage<T>>>);

impl<T> Downstream for Several<T> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        self.0.iter_mut().for_each(|next| call(&mut **next));
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        self.0.iter_mut().for_each(|next| next.add_managed(all));
    }
}

impl<T: Clone> Stage<T> for Several<T> {
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        if let Some((last, others)) = self.0.split_last_mut() {
            others.iter_mut().for_each(|next| next.process(value.clone(), time, scope));
            last.process(value, time, scope);
        }
    }
}
