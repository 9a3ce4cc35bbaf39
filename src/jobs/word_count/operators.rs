//! The functions of the word count.

use crate::{
    jobs::common::SlowSubtask,
    system::dataflow::{Collector, KeyContext, OperatorContext, Process, Result, Text},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the job emits for each occurrence of a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The word.
    pub word: Text,
    /// How often it has occurred, this time included.
    pub count: u64,
}

/// Words into running counts, kept by key.
#[derive(Clone, Debug, Default)]
pub struct Count {
    slow: Option<SlowSubtask>,
    /// What each word takes in this subtask.
    takes: Duration,
}

impl Count {
    /// One of which a subtask may be slow.
    pub fn with_slow_subtask(slow: Option<SlowSubtask>) -> Self {
        Count { slow, takes: Duration::ZERO }
    }
}

impl Process<Text, Text> for Count {
    type State = u64;
    type Out = Counted;

    fn open(&mut self, context: &OperatorContext) -> Result<()> {
        let slow = self.slow.filter(|slow| slow.subtask == context.subtask);
        self.takes = slow.map_or(Duration::ZERO, |slow| slow.by);
        Ok(())
    }

    fn process(
        &mut self,
        word: Text,
        context: &mut KeyContext<'_, Text, u64>,
        out: &mut Collector<'_, Counted>,
    ) -> Result<()> {
        *context.state() += 1;
        if !self.takes.is_zero() {
            out.takes(self.takes);
        }
        out.emit(Counted { word, count: *context.state() });
        Ok(())
    }
}
