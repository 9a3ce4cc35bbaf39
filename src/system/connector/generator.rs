//! Makes records at a steady rate.

use crate::{
    host::{Host, Instant, mix},
    system::{
        dataflow::{Failure, OperatorContext, Result, Source, SourceStep, Waits, split_lists},
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

/// The records of one subtask of the job as it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Series {
    subtask: u32,
    next: u64,
}

/// The source. A subtask makes a series of records; where the job has been given another parallelism, several or none.
#[derive(Clone)]
pub struct GeneratorSource {
    parameters: GeneratorParameters,
    host: Option<Host>,
    series: Vec<Series>,
    /// Which one made records last.
    last: usize,
    /// When the records of this life began, and how many each series had by then.
    began: Option<(Instant, Vec<u64>)>,
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
        Ok(GeneratorSource { parameters, host: None, series: Vec::new(), last: 0, began: None })
    }

    /// The first record of a series that is not due yet.
    fn due(&self, host: &Host, series: usize) -> u64 {
        if self.parameters.per_second == 0 {
            return u64::MAX;
        }
        let (began, first) = self.began.as_ref().expect("set when it was opened");
        let passed = host.now().saturating_since(*began).as_millis();
        let made = passed * u128::from(self.parameters.per_second) / 1000;
        first[series].saturating_add(u64::try_from(made).unwrap_or(u64::MAX))
    }

    /// The next series, in turns, of which records are due.
    fn next_due(&self, host: &Host) -> Option<(usize, u64)> {
        let count = self.series.len();
        let turns = (1..=count).map(|turn| (self.last + turn) % count);
        let mut due = turns.map(|series| {
            let until = self.due(host, series).min(self.parameters.records);
            (series, until)
        });
        due.find(|(series, until)| self.series[*series].next < *until)
    }

    fn has_more(&self) -> bool {
        self.series.iter().any(|series| series.next < self.parameters.records)
    }

    async fn step(&mut self) -> Result<SourceStep<Bytes>> {
        let host = self.host.clone().ok_or_else(|| Failure::new("the generator is not open"))?;
        let (number, until) = loop {
            match self.next_due(&host) {
                Some(found) => break found,
                None if self.has_more() => host.sleep(STEP).await,
                None => return Ok(SourceStep::End),
            }
        };
        self.last = number;
        let Series { subtask, next } = self.series[number];
        let until = until.min(next.saturating_add(STEP_RECORDS));
        let record = |number| Bytes::from(self.parameters.record(subtask, number));
        let made = (next..until).map(record).collect();
        self.series[number].next = until;
        Ok(SourceStep::Records(made))
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
            self.series = match restored {
                Some(kept) => postcard::from_bytes(&kept)?,
                None => vec![Series { subtask: context.subtask, next: 0 }],
            };
            let next = self.series.iter().map(|series| series.next).collect();
            self.began = Some((context.host.now(), next));
            self.host = Some(context.host.clone());
            Ok(())
        }
        .boxed()
    }

    fn next(&mut self) -> Waits<'_, SourceStep<Bytes>> {
        self.step().boxed()
    }

    fn rewinds(&self) -> bool {
        true
    }

    fn snapshot(&mut self, _: CheckpointId, left: usize) -> Result<Bytes> {
        let mut series = self.series.clone();
        if let Some(last) = series.get_mut(self.last) {
            last.next -= left as u64;
        }
        Ok(Bytes::from(postcard::to_allocvec(&series)?))
    }

    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        split_lists::<Series>(states, context)
    }
}
