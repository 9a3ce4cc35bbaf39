//! Two streams of different types that one function reads, with one state for each key.
//!
//! Records go over the channels as one of two, so a task sees one stream; the function is told which it is.

use super::{
    data::{Data, Key},
    failure::Result,
    keyed_state::States,
    operator::OperatorContext,
    process::{KeyContext, Process, Timer},
    stage::Collector,
    stream::{KeyedStream, Stream},
};
use serde::{Deserialize, Serialize};

/// A record of one stream or of the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Either<A, B> {
    First(A),
    Second(B),
}

/// A function of two streams with a state of its own for each key, and with timers. Each subtask works with a clone.
pub trait CoProcess<K, A, B>: Clone + Send + 'static {
    /// What is kept of a key; made by `default` when a key comes first.
    type State: Data + Default;
    /// What it emits.
    type Out: Data;

    /// Handles a record of the first stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process_first(
        &mut self,
        value: A,
        context: &mut KeyContext<'_, K, Self::State>,
        out: &mut Collector<'_, Self::Out>,
    ) -> Result<()>;

    /// Handles a record of the second stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process_second(
        &mut self,
        value: B,
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

    /// Declares the states by key that it works with besides [`State`](Self::State). None by default.
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

/// Two streams by the same keys, for a function of both.
pub struct ConnectedStreams<'a, K, A, B, F, G> {
    first: &'a KeyedStream<K, A, F>,
    second: &'a KeyedStream<K, B, G>,
}

impl<K, A, F> KeyedStream<K, A, F>
where
    K: Key,
    A: Data,
    F: Fn(&A) -> K + Clone + Send + Sync + 'static,
{
    /// This and another stream by the same keys. What is behind them has as many subtasks as what is behind this, and
    /// its watermark is the least of both.
    pub fn connect<'a, B, G>(
        &'a self,
        other: &'a KeyedStream<K, B, G>,
    ) -> ConnectedStreams<'a, K, A, B, F, G> {
        ConnectedStreams { first: self, second: other }
    }
}

impl<K, A, B, F, G> ConnectedStreams<'_, K, A, B, F, G>
where
    K: Key,
    A: Data,
    B: Data,
    F: Fn(&A) -> K + Clone + Send + Sync + 'static,
    G: Fn(&B) -> K + Clone + Send + Sync + 'static,
{
    /// What a function makes of each record of either stream, its key and what it keeps of the key.
    ///
    /// # Panics
    /// When the streams are of two jobs.
    pub fn process<P: CoProcess<K, A, B>>(&self, name: &str, function: P) -> Stream<P::Out> {
        let (first, second) = (self.first.key().clone(), self.second.key().clone());
        let of_first: Stream<Either<A, B>> = self.first.converted(Either::First);
        let both = of_first.union(self.second.converted(Either::Second));
        let keyed = both.key_by(move |record| match record {
            Either::First(record) => first(record),
            Either::Second(record) => second(record),
        });
        keyed.process_as(name, "co-process", OfBoth(function))
    }
}

/// A function of two streams as one of either's records.
#[derive(Clone)]
struct OfBoth<P>(P);

impl<K, A, B, P: CoProcess<K, A, B>> Process<K, Either<A, B>> for OfBoth<P> {
    type State = P::State;
    type Out = P::Out;

    fn process(
        &mut self,
        value: Either<A, B>,
        context: &mut KeyContext<'_, K, P::State>,
        out: &mut Collector<'_, P::Out>,
    ) -> Result<()> {
        match value {
            Either::First(value) => self.0.process_first(value, context, out),
            Either::Second(value) => self.0.process_second(value, context, out),
        }
    }

    fn open(&mut self, context: &OperatorContext) -> Result<()> {
        self.0.open(context)
    }

    fn states(&mut self, states: &mut States) {
        self.0.states(states);
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut KeyContext<'_, K, P::State>,
        out: &mut Collector<'_, P::Out>,
    ) -> Result<()> {
        self.0.on_timer(timer, context, out)
    }
}
