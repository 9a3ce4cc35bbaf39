//! A source that the arguments of a job choose.

use super::{
    generator::{GeneratorParameters, GeneratorSource},
    log_source::{LogSource, LogSourceParameters},
    text_source::{TextSource, TextSourceParameters},
};
use crate::system::{
    dataflow::{OperatorContext, Result, Source, SourceStep, Waits},
    ids::CheckpointId,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// From where a job reads its records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A topic of the log service.
    Log(LogSourceParameters),
    /// A text in the object store.
    Text(TextSourceParameters),
    /// A generator.
    Generator(GeneratorParameters),
}

impl Input {
    /// The source.
    ///
    /// # Errors
    /// When there is nothing to read.
    pub fn source(&self) -> Result<InputSource> {
        Ok(match self.clone() {
            Input::Log(parameters) => InputSource::Log(Box::new(LogSource::new(parameters)?)),
            Input::Text(parameters) => InputSource::Text(TextSource::new(parameters)),
            Input::Generator(parameters) => {
                InputSource::Generator(GeneratorSource::new(parameters)?)
            }
        })
    }
}

/// The source of an [`Input`].
#[derive(Clone)]
pub enum InputSource {
    /// Of a topic.
    Log(Box<LogSource>),
    /// Of a text.
    Text(TextSource),
    /// Of a generator.
    Generator(GeneratorSource),
}

macro_rules! each {
    ($input:expr, $source:ident => $call:expr) => {
        match $input {
            InputSource::Log($source) => $call,
            InputSource::Text($source) => $call,
            InputSource::Generator($source) => $call,
        }
    };
}

impl Source for InputSource {
    type Out = Bytes;

    fn next(&mut self) -> Waits<'_, SourceStep<Bytes>> {
        each!(self, source => source.next())
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        each!(self, source => source.open(context, restored))
    }

    fn rewinds(&self) -> bool {
        each!(self, source => source.rewinds())
    }

    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        each!(self, source => source.redistribute(states, context))
    }

    fn snapshot(&mut self, checkpoint: CheckpointId, left: usize) -> Result<Bytes> {
        each!(self, source => source.snapshot(checkpoint, left))
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        each!(self, source => source.notify_checkpoint_complete(checkpoint))
    }

    fn close(&mut self) -> Waits<'_, ()> {
        each!(self, source => source.close())
    }
}
