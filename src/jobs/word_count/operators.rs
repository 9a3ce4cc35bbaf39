//! The operators of the word count.

use super::words;
use crate::system::{
    graph::OperatorState,
    ids::CheckpointId,
    task_executor::{
        KeyedState, Operator, OperatorContext, OperatorRegistry, Output, Record, TaskError,
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};

/// The registered name of the operator that splits lines into words.
pub const SPLIT: &str = "split-words";
/// The registered name of the operator that counts words.
pub const COUNT: &str = "count-words";
/// The registered name of the key selector that takes the whole record.
pub const WHOLE_RECORD: &str = "whole-record";

/// Registers them.
pub(super) fn register(registry: OperatorRegistry) -> OperatorRegistry {
    registry
        .operator(SPLIT, |_| Ok(Box::new(SplitWords)))
        .operator(COUNT, |_| Ok(Box::new(CountWords { counts: None })))
        .key_selector(WHOLE_RECORD, |record| Ok(record.0.clone()))
}

/// What the job emits for each occurrence of a word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The word.
    pub word: String,
    /// How often it has occurred, this time included.
    pub count: u64,
}

/// Lines into words.
struct SplitWords;

impl Operator for SplitWords {
    fn open(
        &mut self,
        _: OperatorContext,
        _: Option<OperatorState>,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        async { Ok(()) }.boxed()
    }

    fn process<'a>(
        &'a mut self,
        record: Record,
        output: &'a mut Output,
    ) -> BoxFuture<'a, Result<(), TaskError>> {
        async move {
            for word in words(&record.0) {
                output.emit(Record(record.0.slice_ref(word))).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        async { Ok(OperatorState::default()) }.boxed()
    }
}

/// Words into running counts, kept by key.
struct CountWords {
    counts: Option<KeyedState>,
}

impl CountWords {
    async fn count(&mut self, word: Bytes, output: &mut Output) -> Result<(), TaskError> {
        let counts = self.counts.as_ref();
        let counts = counts.ok_or_else(|| TaskError::User("not open".to_string()))?;
        let before = match counts.get(&word).await? {
            None => 0,
            Some(kept) => postcard::from_bytes(&kept).map_err(bad)?,
        };
        let count: u64 = before + 1;
        let kept = postcard::to_allocvec(&count).map_err(bad)?;
        counts.put(word.clone(), Bytes::from(kept)).await?;
        let word = String::from_utf8(word.to_vec()).map_err(bad)?;
        let counted = postcard::to_allocvec(&Counted { word, count }).map_err(bad)?;
        output.emit(Record(Bytes::from(counted))).await
    }
}

fn bad(error: impl std::fmt::Display) -> TaskError {
    TaskError::User(error.to_string())
}

impl Operator for CountWords {
    fn open(
        &mut self,
        context: OperatorContext,
        _: Option<OperatorState>,
    ) -> BoxFuture<'_, Result<(), TaskError>> {
        self.counts = Some(context.keyed);
        async { Ok(()) }.boxed()
    }

    fn process<'a>(
        &'a mut self,
        record: Record,
        output: &'a mut Output,
    ) -> BoxFuture<'a, Result<(), TaskError>> {
        self.count(record.0, output).boxed()
    }

    fn snapshot(&mut self, _: CheckpointId) -> BoxFuture<'_, Result<OperatorState, TaskError>> {
        async { Ok(OperatorState::default()) }.boxed()
    }
}
