//! What is made of the records of a window.

use super::{
    super::{data::Data, failure::Result, stage::Collector, time::Timestamp},
    Window,
};
use std::marker::PhantomData;

/// Makes one value of the records of a window, record by record. Each subtask works with a clone.
pub trait Aggregate<T>: Clone + Send + 'static {
    /// What is kept of the records so far; made by `default` for a new window.
    type Accumulator: Data + Default;
    /// What it comes to.
    type Out: Data;

    /// Adds a record.
    ///
    /// # Errors
    /// Fails the task.
    fn add(&self, accumulator: &mut Self::Accumulator, value: T) -> Result<()>;

    /// Adds what is kept of another window that has become one with this.
    ///
    /// # Errors
    /// Fails the task.
    fn merge(&self, accumulator: &mut Self::Accumulator, other: Self::Accumulator) -> Result<()>;

    /// What the records so far come to.
    ///
    /// # Errors
    /// Fails the task.
    fn result(&self, accumulator: Self::Accumulator) -> Result<Self::Out>;
}

/// What a function knows of the window for which it is called.
#[derive(Clone, Copy, Debug)]
pub struct WindowContext<'a, K> {
    /// The key.
    pub key: &'a K,
    /// The window.
    pub window: Window,
    /// No record as early as this comes any more.
    pub watermark: Timestamp,
}

/// Is called for each window that fires, with what its records come to; as often as it fires. Each subtask works with a
/// clone.
pub trait WindowFunction<K, I>: Clone + Send + 'static {
    /// What it emits, at the window's last instant if nothing else is said.
    type Out: Data;

    /// The window fires.
    ///
    /// # Errors
    /// Fails the task.
    fn process(
        &mut self,
        context: &WindowContext<'_, K>,
        input: I,
        out: &mut Collector<'_, Self::Out>,
    ) -> Result<()>;
}

/// Emits what the records come to.
#[derive(Clone)]
pub(super) struct EmitResult;

impl<K, I: Data> WindowFunction<K, I> for EmitResult {
    type Out = I;

    fn process(
        &mut self,
        _: &WindowContext<'_, K>,
        input: I,
        out: &mut Collector<'_, I>,
    ) -> Result<()> {
        out.emit(input);
        Ok(())
    }
}

/// Makes one record of two.
#[derive(Clone)]
pub(super) struct Reducing<R>(pub R);

impl<T, R> Aggregate<T> for Reducing<R>
where
    T: Data,
    R: Fn(T, T) -> T + Clone + Send + 'static,
{
    type Accumulator = Option<T>;
    /// A window has a record at least.
    type Out = T;

    fn add(&self, accumulator: &mut Option<T>, value: T) -> Result<()> {
        *accumulator = Some(match accumulator.take() {
            None => value,
            Some(before) => (self.0)(before, value),
        });
        Ok(())
    }

    fn merge(&self, accumulator: &mut Option<T>, other: Option<T>) -> Result<()> {
        other.map_or(Ok(()), |other| self.add(accumulator, other))
    }

    fn result(&self, accumulator: Option<T>) -> Result<T> {
        accumulator.ok_or_else(|| super::super::failure::Failure::new("a window without a record"))
    }
}

/// Keeps all records, in the order in which they came; those of windows that became one stand behind each other.
#[derive(Clone)]
pub(super) struct Collecting<T>(PhantomData<fn(T)>);

impl<T> Collecting<T> {
    pub fn new() -> Self {
        Collecting(PhantomData)
    }
}

impl<T: Data> Aggregate<T> for Collecting<T> {
    type Accumulator = Vec<T>;
    type Out = Vec<T>;

    fn add(&self, accumulator: &mut Vec<T>, value: T) -> Result<()> {
        accumulator.push(value);
        Ok(())
    }

    fn merge(&self, accumulator: &mut Vec<T>, other: Vec<T>) -> Result<()> {
        accumulator.extend(other);
        Ok(())
    }

    fn result(&self, accumulator: Vec<T>) -> Result<Vec<T>> {
        Ok(accumulator)
    }
}
