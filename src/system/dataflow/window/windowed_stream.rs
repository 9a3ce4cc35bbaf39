//! What can be done with the windows of a stream by key.

use super::{
    super::{
        data::{Data, Key},
        output_tag::OutputTag,
        stream::{KeyedStream, Stream},
    },
    Aggregate, WindowAssigner, WindowFunction,
    functions::{Collecting, EmitResult, Reducing},
    operator::WindowOperator,
};
use std::time::Duration;

/// Records by key, in windows of event time: each record needs one.
pub struct WindowedStream<'a, K, T, F> {
    keyed: &'a KeyedStream<K, T, F>,
    assigner: WindowAssigner,
    lateness: Duration,
    late: Option<OutputTag<T>>,
}

impl<K, T, F> KeyedStream<K, T, F>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    /// The records of each key in windows. By default none is allowed to be late, and late ones are dropped.
    pub fn window(&self, assigner: WindowAssigner) -> WindowedStream<'_, K, T, F> {
        WindowedStream { keyed: self, assigner, lateness: Duration::ZERO, late: None }
    }
}

impl<K, T, F> WindowedStream<'_, K, T, F>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    /// A window is kept for so long behind its end, in whole milliseconds of event time, and fires again for each
    /// record that comes meanwhile.
    #[must_use]
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        WindowedStream { lateness, ..self }
    }

    /// Records whose windows are gone go to this side output of what is made of the windows.
    #[must_use]
    pub fn side_output_late_data(self, tag: &OutputTag<T>) -> Self {
        WindowedStream { late: Some(tag.clone()), ..self }
    }

    /// One record out of those of each window that fires: what a function makes of two, and of that and the next.
    pub fn reduce<R>(&self, name: &str, function: R) -> Stream<T>
    where
        R: Fn(T, T) -> T + Clone + Send + 'static,
    {
        self.aggregate(name, Reducing(function))
    }

    /// One value out of the records of each window that fires.
    pub fn aggregate<A: Aggregate<T>>(&self, name: &str, aggregate: A) -> Stream<A::Out> {
        self.aggregate_with(name, aggregate, EmitResult)
    }

    /// What a function makes of all records of each window that fires, in the order in which they came.
    pub fn process<W: WindowFunction<K, Vec<T>>>(&self, name: &str, function: W) -> Stream<W::Out> {
        self.aggregate_with(name, Collecting::new(), function)
    }

    /// What a function makes of the value to which the records of each window that fires come.
    pub fn aggregate_with<A, W>(&self, name: &str, aggregate: A, function: W) -> Stream<W::Out>
    where
        A: Aggregate<T>,
        W: WindowFunction<K, A::Out>,
    {
        let WindowedStream { keyed, assigner, lateness, late } = self;
        let (assigner, lateness, late) = (*assigner, *lateness, late.clone());
        let operator =
            WindowOperator { assigner, lateness, late, aggregate, function, context: None };
        keyed.process_as(name, "window", operator)
    }
}
