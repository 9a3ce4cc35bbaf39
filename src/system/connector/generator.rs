//! Makes records at a steady rate.

use crate::{
    host::{Host, Instant, mix},
    system::{
        dataflow::{Failure, OperatorContext, Result, Source, SourceStep, Waits},
        ids::CheckpointId,
    },
};
use bytes::Bytes;
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a [`GeneratorSource`] makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorParameters {
    /// Records of each subtask.
    pub records: u64,
    /// Records of each subtask in a second of its node's clock; 0 makes them at once.
    pub per_second: u64,
    /// The records are drawn from so many words, `word-0` and on.
    pub words: u64,
    /// Of the draws.
    pub seed: u64,
}

impl GeneratorParameters {
    /// A subtask's record of a number, from 0.
    pub fn record(&self, subtask: u32, number: u64) -> String {
        let drawn = mix(mix(self.seed, u64::from(subtask)), number);
        format!("word-{}", drawn % self.words)
    }
}

/// Records in one step at most.
const STEP_RECORDS: u64 = 512;
/// Records of this span are made together.
const STEP: Duration = Duration::from_millis(50);

/// The source.
#[derive(Clone)]
pub struct GeneratorSource {
    parameters: GeneratorParameters,
    host: Option<Host>,
    subtask: u32,
    next: u64,
    /// When the records of this life began, and with which.
    began: Option<(Instant, u64)>,
}

impl GeneratorSource {
    /// A source that is not open yet.
    ///
    /// # Errors
    /// When there is no word to draw.
    pub fn new(parameters: GeneratorParameters) -> Result<Self> {
        if parameters.words == 0 {
            return Err(Failure::new("a generator needs a word"));
        }
        Ok(GeneratorSource { parameters, host: None, subtask: 0, next: 0, began: None })
    }

    /// The first record that is not due yet.
    fn due(&self, host: &Host) -> u64 {
        let (began, first) = self.began.expect("set when it was opened");
        let passed = host.now().saturating_since(began).as_millis();
        let made = passed * u128::from(self.parameters.per_second) / 1000;
        first.saturating_add(u64::try_from(made).unwrap_or(u64::MAX))
    }

    async fn step(&mut self) -> Result<SourceStep<Bytes>> {
        let host = self.host.clone().ok_or_else(|| Failure::new("the generator is not open"))?;
        let end = self.parameters.records;
        while self.parameters.per_second > 0 && self.next < end && self.due(&host) <= self.next {
            host.sleep(STEP).await;
        }
        let due = if self.parameters.per_second > 0 { self.due(&host) } else { u64::MAX };
        let until = due.min(end).min(self.next.saturating_add(STEP_RECORDS));
        let made = (self.next..until)
            .map(|number| Bytes::from(self.parameters.record(self.subtask, number)))
            .collect::<Vec<_>>();
        self.next = self.next.max(until);
        Ok(if made.is_empty() { SourceStep::End } else { SourceStep::Records(made) })
    }
}

impl Source for GeneratorSource {
    type Out = Bytes;

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        async move {
            if let Some(kept) = restored {
                self.next = postcard::from_bytes(&kept)?;
            }
            self.subtask = context.subtask;
            self.began = Some((context.host.now(), self.next));
            self.host = Some(context.host.clone());
            Ok(())
        }
        .boxed()
    }

    fn next(&mut self) -> Waits<'_, SourceStep<Bytes>> {
        self.step().boxed()
    }

    fn snapshot(&mut self, _: CheckpointId, _: usize) -> Result<Bytes> {
        Ok(Bytes::from(postcard::to_allocvec(&self.next)?))
    }
}
