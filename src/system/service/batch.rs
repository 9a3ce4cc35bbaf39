//! The loop of every service's server: what waits is evaluated as one batch, written and synced, and
//! only then announced and answered. Requests wait meanwhile, so nothing unsynced is ever seen.

use super::{
    backlog::Backlog,
    durable::{Durable, DurableLog},
};
use crate::{
    host::{Cause, Event, Host, InjectedError, Instant, WallTime},
    system::{
        rpc::{Context, Reply, RpcEndpoint, RpcError},
        sabotage,
    },
};
use futures::{FutureExt, future::BoxFuture};
use serde::Serialize;
use std::error::Error;

/// Why a batch is not durable.
pub(super) type BatchError = Box<dyn Error + Send + Sync>;

/// Changes the state as one request wants, and says in the batch what that comes to.
type Request<E, S> = Box<dyn FnOnce(&mut E, &mut Batch<E, S>) + Send>;

type Answer<E> = Box<dyn FnOnce(&mut E, &Context<E>) + Send>;

/// What one batch of requests comes to.
pub(super) struct Batch<E: RpcEndpoint, S: Durable> {
    /// When it is evaluated.
    pub now: Instant,
    /// The same by the wall clock.
    pub wall: WallTime,
    /// What is to be written; the state has it already.
    pub records: Vec<S::Record>,
    host: Host,
    /// What is announced and answered in the end, each with the cause of its request.
    events: Vec<(Cause, Box<dyn Event>)>,
    answers: Vec<(Cause, Answer<E>)>,
}

impl<E: RpcEndpoint, S: Durable> Batch<E, S> {
    /// Announces an event once the batch is durable.
    pub fn announce(&mut self, event: impl Event + 'static) {
        self.events.push((self.host.cause(), Box::new(event)));
    }

    /// Does something once the batch is durable, such as answering.
    pub fn then(&mut self, then: impl FnOnce(&mut E, &Context<E>) + Send + 'static) {
        self.answers.push((self.host.cause(), Box::new(then)));
    }

    /// Answers once the batch is durable.
    pub fn answer<T: Serialize + Send + 'static>(&mut self, reply: Reply<T>, value: T) {
        self.then(move |_, _| reply.ok(value));
    }
}

/// What waits at a server, and the log that it waits for.
pub(super) struct BatchQueue<E: RpcEndpoint, S: Durable> {
    host: Host,
    /// `None` while a batch is being synced.
    log: Option<DurableLog<S>>,
    /// Each with the cause under which it came.
    backlog: Backlog<(Cause, Request<E, S>)>,
    /// When the server will look at the clock next.
    alarm: Option<Instant>,
}

impl<E: RpcEndpoint, S: Durable> BatchQueue<E, S> {
    /// The queue of a server that has recovered.
    pub fn new(host: &Host, log: DurableLog<S>) -> Self {
        BatchQueue { host: host.clone(), log: Some(log), backlog: Backlog::new(), alarm: None }
    }

    /// Whether no batch is being synced, so that the whole state is durable.
    pub fn is_idle(&self) -> bool {
        self.log.is_some()
    }
}

/// A server of the state `S`.
pub(super) trait BatchServer<S: Durable>: RpcEndpoint {
    /// Whose last words they are.
    const NAME: &'static str;

    /// Where its requests wait.
    fn queue(&mut self) -> &mut BatchQueue<Self, S>;

    /// The state; ahead of the disk while a batch is being synced.
    fn state(&self) -> &S;

    /// Makes a batch durable, and then the state of which it is the last if a snapshot is due.
    fn write(
        &mut self,
        log: DurableLog<S>,
        records: Vec<S::Record>,
        snapshot: Option<S>,
    ) -> BoxFuture<'static, Result<DurableLog<S>, BatchError>> {
        async move { Ok(log.commit(records, snapshot).await?) }.boxed()
    }

    /// Answers those who wait for a change or a time. The whole state is durable.
    fn answer_waiting(&mut self, _: &Context<Self>) {}

    /// When there is something to do without a request.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has come; what changes the state is done by [`submit`](Self::submit).
    fn deadline_came(&mut self, _: Instant) {}

    /// Takes a request that is answered with what it comes to. Its payload is so many `bytes`.
    fn ask<T: Serialize + Send + 'static>(
        &mut self,
        context: &mut Context<Self>,
        bytes: usize,
        reply: Reply<T>,
        evaluate: impl FnOnce(&mut Self, &mut Batch<Self, S>) -> T + Send + 'static,
    ) {
        self.ask_by(context, bytes, reply, move |server, batch, reply| {
            let outcome = evaluate(server, batch);
            batch.answer(reply, outcome);
        });
    }

    /// Takes a request that answers by itself; refuses it when too much waits.
    fn ask_by<T: Serialize + Send + 'static>(
        &mut self,
        context: &mut Context<Self>,
        bytes: usize,
        reply: Reply<T>,
        evaluate: impl FnOnce(&mut Self, &mut Batch<Self, S>, Reply<T>) + Send + 'static,
    ) {
        if !self.queue().backlog.has_room(bytes) {
            return reply.fail(RpcError::NotRunning("too much waits".to_string()));
        }
        let reply = match context.host().injected_error(reply.call()) {
            None => reply,
            Some(InjectedError::NotApplied) => return reply.fail(RpcError::Internal),
            Some(InjectedError::Applied) => reply.but(RpcError::Internal),
        };
        self.submit(bytes, move |server, batch| evaluate(server, batch, reply));
        if self.queue().is_idle() {
            self.process(context);
        }
    }

    /// Lets work on the state wait for its turn.
    fn submit(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&mut Self, &mut Batch<Self, S>) + Send + 'static,
    ) {
        let queue = self.queue();
        let cause = queue.host.cause();
        queue.backlog.push((cause, Box::new(work)), bytes);
    }

    /// Takes all that waits as one batch.
    fn process(&mut self, context: &mut Context<Self>) {
        let host = context.host().clone();
        let (now, wall, records) = (host.now(), host.wall(), Vec::new());
        let (events, answers) = (Vec::new(), Vec::new());
        let mut batch = Batch { now, wall, records, host: host.clone(), events, answers };
        for (cause, request) in self.queue().backlog.take() {
            host.with_cause(cause, || request(self, &mut batch));
        }
        let Batch { records, events, answers, .. } = batch;
        if records.is_empty() {
            self.give(answers, context);
            return self.set_alarm(context);
        }
        let log = self.queue().log.take().expect("a batch is taken only when none is being synced");
        let snapshot = log.wants_snapshot().then(|| self.state().clone());
        let work = self.write(log, records, snapshot);
        context.spawn_then(work, move |server, context, done| match done {
            Ok(log) => {
                server.queue().log = Some(log);
                for (cause, event) in events {
                    context.host().with_cause(cause, || context.host().announce(event.as_ref()));
                }
                server.give(answers, context);
                server.answer_waiting(context);
                server.process(context);
            }
            Err(_) if context.host().sabotaged(sabotage::FAILED_SERVER_STAYS) => {}
            Err(error) => context.host().exit(&format!("{}: {error}", Self::NAME)),
        });
    }

    /// Gives the answers of a batch.
    fn give(&mut self, answers: Vec<(Cause, Answer<Self>)>, context: &Context<Self>) {
        for (cause, answer) in answers {
            context.host().with_cause(cause, || answer(self, context));
        }
    }

    /// Makes sure that the server wakes at its deadline.
    fn set_alarm(&mut self, context: &Context<Self>) {
        let Some(next) = self.deadline() else { return };
        if self.queue().alarm.is_some_and(|alarm| alarm <= next) {
            return;
        }
        self.queue().alarm = Some(next);
        let delay = next.saturating_since(context.host().now());
        context.schedule(delay, move |server, context| {
            if server.queue().alarm != Some(next) {
                return;
            }
            server.queue().alarm = None;
            server.deadline_came(context.host().now());
            // While a batch is being synced the state is ahead of the disk; what waits is looked at
            // after it.
            if server.queue().is_idle() {
                server.answer_waiting(context);
                server.process(context);
            }
        });
    }
}
