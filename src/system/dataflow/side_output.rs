//! Side outputs: what an operator emits besides its own stream, to whoever reads that.
//!
//! They hang on what stands behind the operator: whoever emits asks for them by name, so an operator without any is
//! made as if there were none at all.

use super::{
    operator::Managed,
    stage::{Downstream, Scope, Stage},
    time::Timestamp,
};
use std::any::Any;

/// Those that read a side output, whatever its type.
pub(super) trait AnySideOutput: Downstream {
    fn id(&self) -> &str;

    /// A `Box<dyn Stage<_>>`.
    fn stage(&mut self) -> &mut (dyn Any + Send);
}

/// Those that read a side output.
pub(super) struct SideOutput<T> {
    id: String,
    stage: Box<dyn Stage<T>>,
}

impl<T> SideOutput<T> {
    pub fn new(id: &str, stage: Box<dyn Stage<T>>) -> Self {
        SideOutput { id: id.to_string(), stage }
    }
}

impl<T> Downstream for SideOutput<T> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.stage);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        self.stage.add_managed(all);
    }
}

impl<T: 'static> AnySideOutput for SideOutput<T> {
    fn id(&self) -> &str {
        &self.id
    }

    fn stage(&mut self) -> &mut (dyn Any + Send) {
        &mut self.stage
    }
}

/// What stands behind an operator that has side outputs.
pub(super) struct WithSideOutputs<T> {
    main: Box<dyn Stage<T>>,
    sides: Vec<Box<dyn AnySideOutput>>,
}

impl<T> WithSideOutputs<T> {
    pub fn new(main: Box<dyn Stage<T>>, sides: Vec<Box<dyn AnySideOutput>>) -> Self {
        WithSideOutputs { main, sides }
    }
}

impl<T> Downstream for WithSideOutputs<T> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.main);
        self.sides.iter_mut().for_each(|side| call(&mut **side));
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        self.main.add_managed(all);
        self.sides.iter_mut().for_each(|side| side.add_managed(all));
    }
}

impl<T> Stage<T> for WithSideOutputs<T> {
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        self.main.process(value, time, scope);
    }

    fn side_output(&mut self, id: &str) -> Option<&mut (dyn Any + Send)> {
        let side = self.sides.iter_mut().find(|side| side.id() == id)?;
        Some(side.stage())
    }
}
