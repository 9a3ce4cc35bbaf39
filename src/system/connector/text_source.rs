//! Reads the lines of a text that lies in the object store, in parts of [`TEXT_PART_BYTES`].

use crate::{
    host::Instant,
    system::{
        dataflow::{Failure, OperatorContext, Result, Source, SourceStep, Waits, split_lists},
        ids::CheckpointId,
        service::object_store::{ObjectStore, ObjectStoreRefusal},
    },
};
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// Bytes in each part of a text but the last.
pub const TEXT_PART_BYTES: usize = 1024 * 1024;
/// A longer line fails the task.
pub const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a [`TextSource`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSourceParameters {
    /// The name of the text; see [`upload_text`].
    pub text: String,
    /// Its length in bytes.
    pub length: u64,
    /// Lines in one step at most.
    pub lines_max: u32,
    /// Between two steps pass so many milliseconds, for who wants a text to last.
    pub pause_ms: u64,
}

impl TextSourceParameters {
    /// All of a text of that length, in steps of up to 256 lines without a pause.
    pub fn new(text: &str, length: u64) -> Self {
        TextSourceParameters { text: text.to_string(), length, lines_max: 256, pause_ms: 0 }
    }
}

/// The object of a part.
fn part_name(text: &str, part: u64) -> String {
    format!("{text}/part-{part:08}")
}

/// Stores a text under a name that no other text has.
///
/// # Errors
/// What the object store refuses.
pub async fn upload_text(
    objects: &dyn ObjectStore,
    name: &str,
    text: &Bytes,
) -> Result<TextSourceParameters, ObjectStoreRefusal> {
    for (part, start) in (0..text.len()).step_by(TEXT_PART_BYTES).enumerate() {
        let bytes = text.slice(start..text.len().min(start + TEXT_PART_BYTES));
        objects.put_until_acknowledged(&part_name(name, part as u64), bytes).await?;
    }
    Ok(TextSourceParameters::new(name, text.len() as u64))
}

/// The source. A subtask reads the lines that begin in its share of the bytes; where the job has been given another
/// parallelism, in what is left of several shares, or of none.
#[derive(Clone)]
pub struct TextSource {
    objects: Option<Arc<dyn ObjectStore>>,
    parameters: TextSourceParameters,
    /// What is to be read, the first one being read; each until it has no line left.
    shares: VecDeque<TextShare>,
    part: Option<(u64, Bytes)>,
    not_before: Option<Instant>,
}

/// Bytes of the text whose lines a subtask reads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct TextShare {
    /// Where the next line begins.
    position: u64,
    /// No line that begins here or behind is read.
    end: u64,
    /// The line at `position` may be the rest of one that begins in the share before.
    at_start: bool,
}

impl TextSource {
    /// A source that is not open yet.
    pub fn new(parameters: TextSourceParameters) -> Self {
        TextSource {
            objects: None,
            parameters,
            shares: VecDeque::new(),
            part: None,
            not_before: None,
        }
    }

    fn objects(&self) -> Result<Arc<dyn ObjectStore>> {
        self.objects.clone().ok_or_else(|| Failure::new("the source is not open"))
    }

    /// What the part that holds this byte has from there on.
    async fn rest_of_part(&mut self, at: u64) -> Result<Bytes> {
        let size = TEXT_PART_BYTES as u64;
        let number = at / size;
        if self.part.as_ref().is_none_or(|(known, _)| *known != number) {
            let name = part_name(&self.parameters.text, number);
            self.part = Some((number, self.objects()?.get_until_acknowledged(&name).await?));
        }
        let (_, bytes) = self.part.as_ref().expect("it was just read");
        let from = usize::try_from(at % size).expect("below the size of a part");
        if from >= bytes.len() {
            return Err(Failure(format!(
                "the text {} is shorter than it was",
                self.parameters.text
            )));
        }
        Ok(bytes.slice(from..))
    }

    /// The line that begins at a byte, without its end, and where the next one begins.
    async fn line_at(&mut self, begin: u64) -> Result<(Bytes, u64)> {
        let mut line = BytesMut::new();
        let mut at = begin;
        while at < self.parameters.length {
            let rest = self.rest_of_part(at).await?;
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let next = at + end as u64 + 1;
                if line.is_empty() {
                    return Ok((rest.slice(..end), next));
                }
                line.extend_from_slice(&rest[..end]);
                return Ok((line.freeze(), next));
            }
            line.extend_from_slice(&rest);
            at += rest.len() as u64;
            if at - begin > LINE_BYTES_MAX {
                return Err(Failure(format!("the line at byte {begin} is too long")));
            }
        }
        Ok((line.freeze(), at))
    }

    async fn step(&mut self) -> Result<SourceStep<Bytes>> {
        if let Some(not_before) = self.not_before {
            self.objects()?.host().sleep_until(not_before).await;
        }
        let lines_max = self.parameters.lines_max.max(1) as usize;
        let mut lines = Vec::new();
        while lines.is_empty()
            && let Some(mut share) = self.shares.front().copied()
        {
            if share.at_start {
                // The byte before tells whether a line begins here.
                let (_, next) = self.line_at(share.position - 1).await?;
                (share.position, share.at_start) = (next, false);
            }
            while share.position < share.end && lines.len() < lines_max {
                let (line, next) = self.line_at(share.position).await?;
                lines.push(line);
                share.position = next;
            }
            match share.position < share.end {
                true => self.shares[0] = share,
                false => drop(self.shares.pop_front()),
            }
        }
        if self.parameters.pause_ms > 0 {
            let pause = Duration::from_millis(self.parameters.pause_ms);
            self.not_before = Some(self.objects()?.host().now() + pause);
        }
        Ok(if lines.is_empty() { SourceStep::End } else { SourceStep::Records(lines) })
    }
}

impl Source for TextSource {
    type Out = Bytes;

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        let share = |subtask: u32| {
            let bytes = u128::from(self.parameters.length) * u128::from(subtask);
            u64::try_from(bytes / u128::from(context.parallelism)).expect("at most the length")
        };
        let (position, end) = (share(context.subtask), share(context.subtask + 1));
        self.objects = Some(context.services.objects.clone());
        async move {
            self.shares = match restored {
                Some(kept) => postcard::from_bytes(&kept)?,
                None => VecDeque::from([TextShare { position, end, at_start: position > 0 }]),
            };
            Ok(())
        }
        .boxed()
    }

    fn next(&mut self) -> Waits<'_, SourceStep<Bytes>> {
        self.step().boxed()
    }

    fn snapshot(&mut self, _: CheckpointId, _: usize) -> Result<Bytes> {
        Ok(Bytes::from(postcard::to_allocvec(&self.shares)?))
    }

    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        split_lists::<TextShare>(states, context)
    }
}
