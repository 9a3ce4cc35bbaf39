//! What a program writes its job with: streams, and what is done with them.

use super::{
    data::{Data, Key},
    failure::Result,
    functions::{Converted, Each},
    head::InputHead,
    operator_fn::{Operator, OperatorStage},
    output_tag::OutputTag,
    plan::{
        AnyStage, Make, MakeHead, MakePort, MakeStage, Next, OutputPlace, Plan, PortPlace,
        Prototype, behind, untyped,
    },
    port::{Broadcast, ByKey, Forward, Port, Rebalance, Route},
    process::{Process, ProcessStage, Reduce},
    shape::shape_of,
    side_output::{AnySideOutput, SideOutput},
    sink::{Sink, SinkStage},
    source::{Source, SourceHead},
    stage::Collector,
};
use crate::system::graph::{
    ChainingStrategy, CheckpointSettings, Partitioner, RestartStrategy, StreamNodeId,
};
use std::{cell::RefCell, marker::PhantomData, ops::Deref, rc::Rc, sync::Arc};

/// What a program describes its job in: sources first, and then what is done with what they read.
///
/// Each operator has a name of its own in the job. Its state is found by it after a restore, so it must stay the same
/// from version to version.
pub struct StreamEnv {
    pub(super) plan: Rc<RefCell<Plan>>,
    parallelism: u32,
}

impl StreamEnv {
    /// One in which operators have so many subtasks if nothing else is said.
    pub fn new(parallelism: u32) -> Self {
        StreamEnv { plan: Rc::default(), parallelism }
    }

    /// The subtasks of an operator of which nothing else is said.
    pub fn parallelism(&self) -> u32 {
        self.parallelism
    }

    /// Sets them, for the sources that are added from here on and what is behind them.
    pub fn set_parallelism(&mut self, parallelism: u32) -> &mut Self {
        self.parallelism = parallelism;
        self
    }

    /// Says when checkpoints are taken.
    pub fn checkpoints(&mut self, settings: CheckpointSettings) -> &mut Self {
        self.plan.borrow_mut().checkpoints = settings;
        self
    }

    /// Says what is done when a task fails; by default it starts again after a second, however often.
    pub fn restarts(&mut self, strategy: RestartStrategy) -> &mut Self {
        self.plan.borrow_mut().restarts = Some(strategy);
        self
    }

    /// Lets each operator be a vertex of its own.
    pub fn disable_chaining(&mut self) -> &mut Self {
        self.plan.borrow_mut().graph.set_chaining(false);
        self
    }

    /// Reads from outside. Each subtask works with a clone of the source.
    pub fn source<S: Source>(&mut self, name: &str, source: S) -> Stream<S::Out> {
        let (uid, source) = (name.to_string(), Prototype::new(source));
        let head: MakeHead = Arc::new(move |next| {
            Box::new(SourceHead::new(&uid, source.copy(), behind::<S::Out>(next)))
        });
        let shapes = (String::new(), shape_of::<S::Out>());
        let make = Make::Source(head);
        let node = self.plan.borrow_mut().add(name, "source", self.parallelism, make, shapes);
        Stream::of(&self.plan, node, self.parallelism)
    }
}

/// How what a stream holds gets to the subtasks of whoever reads it next.
#[derive(Clone)]
enum To {
    /// To the same subtask, or to each in turn where there are not as many.
    Next,
    /// To each in turn.
    Rebalance,
    /// To all.
    Broadcast,
    /// To the one that owns the key.
    Key(MakePort),
}

/// An output, and how its records become those of the stream.
#[derive(Clone)]
struct Origin {
    output: OutputPlace,
    convert: Option<Convert>,
}

/// Puts a conversion before a stage.
type Convert = Arc<dyn Fn(AnyStage) -> AnyStage + Send + Sync>;

impl Origin {
    fn of(output: OutputPlace) -> Self {
        Origin { output, convert: None }
    }

    /// The end of a chain that emits there.
    fn port(&self, port: MakePort) -> MakePort {
        match self.convert.clone() {
            None => port,
            Some(convert) => Arc::new(move |place| convert(port(place))),
        }
    }
}

/// Records of one type on their way from operators to whoever reads them.
pub struct Stream<T> {
    plan: Rc<RefCell<Plan>>,
    /// The outputs of the operators that emit them.
    from: Vec<Origin>,
    /// The subtasks of the operator that reads them next.
    parallelism: u32,
    to: To,
    /// Whoever reads them next is not chained to what is before it.
    begins_chain: bool,
    of: PhantomData<fn(T)>,
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        Stream {
            plan: self.plan.clone(),
            from: self.from.clone(),
            parallelism: self.parallelism,
            to: self.to.clone(),
            begins_chain: self.begins_chain,
            of: PhantomData,
        }
    }
}

fn port<T: Data, R: Route<T> + 'static>(
    route: impl Fn(&PortPlace) -> R + Send + Sync + 'static,
) -> MakePort {
    Arc::new(move |place| untyped::<T>(Port::<T, R>::new(place.output, route(&place))))
}

impl<T> Stream<T> {
    /// What an operator of so many subtasks emits.
    fn of(plan: &Rc<RefCell<Plan>>, node: StreamNodeId, parallelism: u32) -> Self {
        Stream {
            plan: plan.clone(),
            from: vec![Origin::of(OutputPlace { node, side: None })],
            parallelism,
            to: To::Next,
            begins_chain: false,
            of: PhantomData,
        }
    }
}

impl<T: Data> Stream<T> {
    /// What is behind this has so many subtasks.
    #[must_use]
    pub fn parallelism(self, parallelism: u32) -> Self {
        Stream { parallelism, ..self }
    }

    /// Each record goes to the next subtask in turn.
    #[must_use]
    pub fn rebalance(self) -> Self {
        Stream { to: To::Rebalance, ..self }
    }

    /// Each record goes to every subtask.
    #[must_use]
    pub fn broadcast(self) -> Self {
        Stream { to: To::Broadcast, ..self }
    }

    /// What is behind this begins a chain: it runs in tasks of its own.
    #[must_use]
    pub fn begin_chain(self) -> Self {
        Stream { begins_chain: true, ..self }
    }

    /// The records of both, in no order among each other.
    ///
    /// # Panics
    /// When they are of two jobs.
    #[must_use]
    pub fn union(mut self, other: Stream<T>) -> Self {
        assert!(Rc::ptr_eq(&self.plan, &other.plan), "streams of two jobs");
        self.from.extend(other.from);
        self
    }

    /// The same records as others, converted before they are sent anywhere; no operator is added.
    pub(super) fn converted<U: Data>(&self, convert: fn(T) -> U) -> Stream<U> {
        let of_origin = |origin: &Origin| {
            let before = origin.convert.clone();
            let convert: Convert = Arc::new(move |stage| {
                let next = behind::<U>(Next::of(vec![stage]));
                let stage = untyped::<T>(Converted::new(convert, next));
                match &before {
                    None => stage,
                    Some(before) => before(stage),
                }
            });
            Origin { convert: Some(convert), ..*origin }
        };
        let from = self.from.iter().map(of_origin).collect();
        let (plan, parallelism) = (self.plan.clone(), self.parallelism);
        let begins_chain = self.begins_chain;
        Stream { plan, from, parallelism, to: To::Next, begins_chain, of: PhantomData }
    }

    /// Adds an operator that reads this.
    pub(super) fn then<U: Data>(
        &self,
        name: &str,
        kind: &str,
        stage: impl Fn(Next) -> AnyStage + Send + Sync + 'static,
    ) -> Stream<U> {
        let stage: MakeStage = Arc::new(stage);
        let begun = stage.clone();
        let head: MakeHead = Arc::new(move |next| {
            Box::new(InputHead::new(behind::<T>(Next::of(vec![begun(next)]))))
        });
        let shapes = (shape_of::<T>(), shape_of::<U>());
        let mut plan = self.plan.borrow_mut();
        let node = plan.add(name, kind, self.parallelism, Make::Operator(stage, head), shapes);
        if self.begins_chain {
            plan.graph.node_mut(node).chaining = ChainingStrategy::Head;
        }
        for from in &self.from {
            let parallelism = plan.graph.nodes()[from.output.node.0].parallelism;
            let (partitioner, port) = self.edge(parallelism);
            plan.connect(from.output, node, partitioner, from.port(port));
        }
        drop(plan);
        Stream::of(&self.plan, node, self.parallelism)
    }

    /// How the records get from so many subtasks to the next ones.
    fn edge(&self, parallelism: u32) -> (Partitioner, MakePort) {
        match &self.to {
            To::Next if parallelism == self.parallelism => {
                (Partitioner::Forward, port::<T, _>(|_| Forward))
            }
            To::Next | To::Rebalance => (
                Partitioner::Rebalance,
                port::<T, _>(|place| Rebalance::new(place.subtask as usize)),
            ),
            To::Broadcast => (Partitioner::Broadcast, port::<T, _>(|_| Broadcast)),
            To::Key(port) => (Partitioner::Hash, port.clone()),
        }
    }

    /// What a function makes of each record: as many of another type as it emits.
    pub fn flat_map<U, F>(&self, name: &str, function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(T, &mut Collector<'_, U>) + Clone + Send + Sync + 'static,
    {
        let uid = name.to_string();
        self.then::<U>(name, "flat map", move |next| {
            untyped::<T>(Each::new(&uid, function.clone(), behind::<U>(next)))
        })
    }

    /// The same with a function that may fail, and with it its task.
    pub fn try_flat_map<U, F>(&self, name: &str, mut function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(T, &mut Collector<'_, U>) -> Result<()> + Clone + Send + Sync + 'static,
    {
        self.flat_map(name, move |value, out: &mut Collector<'_, U>| {
            if let Err(failure) = function(value, out) {
                out.fail(failure);
            }
        })
    }

    /// What a function makes of each record, one by one.
    pub fn map<U, F>(&self, name: &str, mut function: F) -> Stream<U>
    where
        U: Data,
        F: FnMut(T) -> U + Clone + Send + Sync + 'static,
    {
        self.flat_map(name, move |value, out: &mut Collector<'_, U>| out.emit(function(value)))
    }

    /// What an operator makes of each record. Each subtask works with a clone.
    pub fn apply<O: Operator<T>>(&self, name: &str, operator: O) -> Stream<O::Out> {
        let (uid, operator) = (name.to_string(), Prototype::new(operator));
        self.then::<O::Out>(name, "operator", move |next| {
            untyped::<T>(OperatorStage::new(&uid, operator.copy(), behind::<O::Out>(next)))
        })
    }

    /// The records that a function wants.
    pub fn filter<F>(&self, name: &str, mut wanted: F) -> Stream<T>
    where
        F: FnMut(&T) -> bool + Clone + Send + Sync + 'static,
    {
        self.flat_map(name, move |value, out: &mut Collector<'_, T>| {
            if wanted(&value) {
                out.emit(value);
            }
        })
    }

    /// The same records by key: those of one key go to one subtask, in the order in which they come from each.
    pub fn key_by<K, F>(&self, key: F) -> KeyedStream<K, T, F>
    where
        K: Key,
        F: Fn(&T) -> K + Clone + Send + Sync + 'static,
    {
        let by = key.clone();
        let port = port::<T, _>(move |place| {
            ByKey::new(by.clone(), place.channels, place.max_parallelism)
        });
        let stream = Stream { to: To::Key(port), ..self.clone() };
        KeyedStream { stream, key, of: PhantomData }
    }

    /// What the operators that emit this emit to a side output. Each of its records has the time of what the operator
    /// was called for.
    pub fn side_output<U: Data>(&self, tag: &OutputTag<U>) -> Stream<U> {
        let mut plan = self.plan.borrow_mut();
        let of_node = |from: &Origin| {
            let id = tag.id().to_string();
            let make = move |next| -> Box<dyn AnySideOutput> {
                Box::new(SideOutput::new(&id, behind::<U>(next)))
            };
            Origin::of(plan.side_output(from.output.node, tag.id(), Arc::new(make)))
        };
        let from = self.from.iter().map(of_node).collect();
        let (plan, parallelism) = (self.plan.clone(), self.parallelism);
        Stream { plan, from, parallelism, to: To::Next, begins_chain: false, of: PhantomData }
    }

    /// Takes the records out of the cluster. Each subtask works with a clone of the sink.
    pub fn sink<S: Sink<T>>(&self, name: &str, sink: S) {
        let (uid, sink) = (name.to_string(), Prototype::new(sink));
        self.then::<()>(name, "sink", move |_| {
            untyped::<T>(SinkStage::<T, S>::new(&uid, sink.copy()))
        });
    }
}

/// Records by key.
pub struct KeyedStream<K, T, F> {
    stream: Stream<T>,
    key: F,
    of: PhantomData<fn(K)>,
}

/// What can be done with any stream: records of one key still go to one subtask.
impl<K, T, F> Deref for KeyedStream<K, T, F> {
    type Target = Stream<T>;

    fn deref(&self) -> &Stream<T> {
        &self.stream
    }
}

impl<K, T, F> KeyedStream<K, T, F>
where
    K: Key,
    T: Data,
    F: Fn(&T) -> K + Clone + Send + Sync + 'static,
{
    /// The key of a record.
    pub(super) fn key(&self) -> &F {
        &self.key
    }

    /// What is behind this has so many subtasks.
    #[must_use]
    pub fn parallelism(self, parallelism: u32) -> Self {
        KeyedStream { stream: self.stream.parallelism(parallelism), ..self }
    }

    /// What a function makes of each record, its key and what it keeps of the key. Each subtask works with a clone.
    pub fn process<P: Process<K, T>>(&self, name: &str, function: P) -> Stream<P::Out> {
        self.process_as(name, "process", function)
    }

    /// The same, of a kind of operators.
    pub(super) fn process_as<P: Process<K, T>>(
        &self,
        name: &str,
        kind: &str,
        function: P,
    ) -> Stream<P::Out> {
        let (uid, key) = (name.to_string(), self.key.clone());
        let function = Prototype::new(function);
        self.stream.then::<P::Out>(name, kind, move |next| {
            let next = behind::<P::Out>(next);
            untyped::<T>(ProcessStage::<K, T, P, F>::new(&uid, function.copy(), key.clone(), next))
        })
    }

    /// The first record of a key, then what a function makes of what it made before and the next one.
    pub fn reduce<R>(&self, name: &str, function: R) -> Stream<T>
    where
        R: Fn(T, T) -> T + Clone + Send + 'static,
    {
        self.process(name, Reduce(function))
    }
}
