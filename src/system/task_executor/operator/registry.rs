//! Operators, sources and key selectors by name.

use super::{
    api::{Operator, Source},
    error::{TaskError, caught},
    record::Record,
};
use crate::system::graph::{JobGraph, OperatorSpec, Partitioner};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc};

/// The key of a record.
pub type KeySelector = Arc<dyn Fn(&Record) -> Result<Bytes, TaskError> + Send + Sync>;

type OperatorFactory = Arc<dyn Fn(&[u8]) -> Result<Box<dyn Operator>, TaskError> + Send + Sync>;
type SourceFactory = Arc<dyn Fn(&[u8]) -> Result<Box<dyn Source>, TaskError> + Send + Sync>;

#[derive(Clone)]
enum Factory {
    Operator(OperatorFactory),
    Source(SourceFactory),
}

/// Everything that jobs may name. The same on every node.
///
/// Factories only decode parameters: they are also run to see whether the parameters are sound.
#[derive(Clone, Default)]
pub struct OperatorRegistry {
    factories: BTreeMap<String, Factory>,
    selectors: BTreeMap<String, KeySelector>,
}

impl OperatorRegistry {
    /// Nothing is registered.
    pub fn new() -> Self {
        OperatorRegistry::default()
    }

    /// Registers an operator.
    ///
    /// # Panics
    /// When the name is taken; so for the other two.
    pub fn operator(
        mut self,
        name: &str,
        factory: impl Fn(&[u8]) -> Result<Box<dyn Operator>, TaskError> + Send + Sync + 'static,
    ) -> Self {
        self.add(name, Factory::Operator(Arc::new(factory)));
        self
    }

    /// Registers a source.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn source(
        mut self,
        name: &str,
        factory: impl Fn(&[u8]) -> Result<Box<dyn Source>, TaskError> + Send + Sync + 'static,
    ) -> Self {
        self.add(name, Factory::Source(Arc::new(factory)));
        self
    }

    /// Registers a key selector.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn key_selector(
        mut self,
        name: &str,
        selector: impl Fn(&Record) -> Result<Bytes, TaskError> + Send + Sync + 'static,
    ) -> Self {
        let taken = self.selectors.insert(name.to_string(), Arc::new(selector));
        assert!(taken.is_none(), "the key selector {name:?} is registered twice");
        self
    }

    fn add(&mut self, name: &str, factory: Factory) {
        let taken = self.factories.insert(name.to_string(), factory);
        assert!(taken.is_none(), "{name:?} is registered twice");
    }

    /// Whether the name is registered and its factory takes the parameters.
    ///
    /// # Errors
    /// [`TaskError::Unknown`], or what the factory says.
    pub fn knows(&self, spec: &OperatorSpec) -> Result<(), TaskError> {
        match self.factories.get(&spec.name) {
            Some(Factory::Operator(_)) => self.make_operator(spec).map(drop),
            Some(Factory::Source(_)) => self.make_source(spec).map(drop),
            None => Err(unknown("operator", &spec.name)),
        }
    }

    /// Whether tasks of the job can be made: as [`knows`](Self::knows) for each operator; sources
    /// stand just where nothing is read, and the key selectors are there.
    ///
    /// # Errors
    /// The first thing that is missing.
    pub fn accepts(&self, job: &JobGraph) -> Result<(), TaskError> {
        for vertex in &job.vertices {
            for (place, spec) in vertex.operators.iter().enumerate() {
                if place == 0 && vertex.inputs.is_empty() {
                    self.make_source(spec).map(drop)?;
                } else {
                    self.make_operator(spec).map(drop)?;
                }
            }
            for edge in &vertex.inputs {
                if let Partitioner::Hash { selector } = &edge.partitioner {
                    self.find_key_selector(selector)?;
                }
            }
        }
        Ok(())
    }

    pub(in crate::system::task_executor) fn make_operator(
        &self,
        spec: &OperatorSpec,
    ) -> Result<Box<dyn Operator>, TaskError> {
        match self.factories.get(&spec.name) {
            Some(Factory::Operator(factory)) => {
                caught(|| factory(&spec.parameters)).map_err(|error| refused(spec, &error))
            }
            _ => Err(unknown("operator", &spec.name)),
        }
    }

    pub(in crate::system::task_executor) fn make_source(
        &self,
        spec: &OperatorSpec,
    ) -> Result<Box<dyn Source>, TaskError> {
        match self.factories.get(&spec.name) {
            Some(Factory::Source(factory)) => {
                caught(|| factory(&spec.parameters)).map_err(|error| refused(spec, &error))
            }
            _ => Err(unknown("source", &spec.name)),
        }
    }

    pub(in crate::system::task_executor) fn find_key_selector(
        &self,
        name: &str,
    ) -> Result<KeySelector, TaskError> {
        self.selectors.get(name).cloned().ok_or_else(|| unknown("key selector", name))
    }
}

fn unknown(what: &'static str, name: &str) -> TaskError {
    TaskError::Unknown { what, name: name.to_string() }
}

fn refused(spec: &OperatorSpec, error: &TaskError) -> TaskError {
    TaskError::Parameters { name: spec.name.clone(), reason: error.to_string() }
}
