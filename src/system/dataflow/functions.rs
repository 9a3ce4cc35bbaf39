//! The stages of plain functions: each record by itself, without state.

use super::{
    operator::{Managed, OperatorContext, Waits, ready},
    stage::{Collector, Downstream, Scope, Stage},
    time::Timestamp,
};
use crate::system::{
    graph::{OperatorState, RestoredState},
    ids::CheckpointId,
};
use std::marker::PhantomData;

/// An operator of which nothing is kept.
pub(super) struct Stateless {
    uid: String,
}

impl Stateless {
    pub fn new(uid: &str) -> Self {
        Stateless { uid: uid.to_string() }
    }
}

impl Managed for Stateless {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn open<'a>(&'a mut self, _: &'a OperatorContext, _: RestoredState) -> Waits<'a, ()> {
        ready(())
    }

    fn snapshot(&mut self, _: CheckpointId) -> Waits<'_, OperatorState> {
        ready(OperatorState::default())
    }
}

/// Calls a function for each record, which hands on what it likes.
pub(super) struct Each<T, U, F> {
    uid: Stateless,
    function: F,
    next: Box<dyn Stage<U>>,
    of: PhantomData<fn(T)>,
}

impl<T, U, F> Each<T, U, F> {
    pub fn new(uid: &str, function: F, next: Box<dyn Stage<U>>) -> Self {
        Each { uid: Stateless::new(uid), function, next, of: PhantomData }
    }
}

impl<T, U, F: Send> Downstream for Each<T, U, F> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.next);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        all.push(&mut self.uid);
        self.next.add_managed(all);
    }
}

impl<T, U, F> Stage<T> for Each<T, U, F>
where
    F: FnMut(T, &mut Collector<'_, U>) + Send,
{
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        (self.function)(value, &mut Collector::new(&mut *self.next, time, scope));
    }
}

/// Hands on each record as another one. Nothing of it is kept, and nobody knows it as an operator.
pub(super) struct Converted<T, U> {
    convert: fn(T) -> U,
    next: Box<dyn Stage<U>>,
}

impl<T, U> Converted<T, U> {
    pub fn new(convert: fn(T) -> U, next: Box<dyn Stage<U>>) -> Self {
        Converted { convert, next }
    }
}

impl<T, U> Downstream for Converted<T, U> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.next);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        self.next.add_managed(all);
    }
}

impl<T, U> Stage<T> for Converted<T, U> {
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        self.next.process((self.convert)(value), time, scope);
    }
}
