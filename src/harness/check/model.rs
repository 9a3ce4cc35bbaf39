//! The reference model: the state of a system as far as its events tell.

use crate::{harness::event::Moment, host::Event};
use std::{any::Any, fmt};

/// What several invariants, targets and goals need to know of the state of a system; it follows the
/// system's events. What stands on a service is known by its own log, what a process believes by what it
/// says.
pub trait Model: Default + fmt::Debug + Send + 'static {
    /// Takes an event in.
    fn observe(&mut self, at: Moment, event: &dyn Event);
}

/// A model as its type.
pub(in crate::harness) fn model_as<M: 'static>(model: &dyn AnyModel) -> &M {
    model.as_any().downcast_ref().expect("one system's checks, targets and model")
}

/// A model whatever its system.
pub trait AnyModel: fmt::Debug + Send {
    /// Takes an event in.
    fn observe(&mut self, at: Moment, event: &dyn Event);
    /// For the downcast of who knows the system.
    fn as_any(&self) -> &dyn Any;
}

impl<M: Model> AnyModel for M {
    fn observe(&mut self, at: Moment, event: &dyn Event) {
        Model::observe(self, at, event);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
