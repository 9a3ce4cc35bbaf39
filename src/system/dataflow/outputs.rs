//! What a chain has emitted to other tasks and nobody has taken yet: a value, which a snapshot can hold.

use super::{
    failure::Failure,
    time::{Timestamp, WatermarkStatus},
};
use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Bytes of encoded records in one buffer at most.
pub const BUFFER_BYTES_MAX: usize = 32 * 1024;
/// The bytes before each record.
pub const RECORD_HEADER_BYTES: usize = 4;
/// The longest encoded record: it fills a buffer.
pub const RECORD_BYTES_MAX: usize = BUFFER_BYTES_MAX - RECORD_HEADER_BYTES;
/// Bytes that one record or timer may emit beyond the room of those that read it. The task fails beyond it.
pub const OVERFLOW_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What waits for one channel, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Emitted {
    /// So many records, each its length and its bytes.
    Records(u32, Bytes),
    /// No record as early as this comes behind it.
    Watermark(Timestamp),
    /// Whether watermarks come behind it.
    Status(WatermarkStatus),
}

/// One channel of an output.
#[derive(Debug, Default)]
struct Channel {
    queue: VecDeque<Emitted>,
    /// Not in the queue yet.
    building: BytesMut,
    records: u32,
}

/// All that a chain has emitted to other tasks and nobody has taken yet, by output and channel.
#[derive(Debug, Default)]
pub struct Outputs {
    outputs: Vec<Vec<Channel>>,
    /// The newest watermark of each output.
    watermarks: Vec<Timestamp>,
    /// Entries of all queues.
    queued: usize,
    /// Bytes of all queues.
    bytes: usize,
}

impl Outputs {
    /// Empty ones, with so many channels each.
    pub fn new(channels: &[usize]) -> Self {
        let output = |channels: &usize| (0..*channels).map(|_| Channel::default()).collect();
        let watermarks = vec![Timestamp::MIN; channels.len()];
        Outputs { outputs: channels.iter().map(output).collect(), watermarks, queued: 0, bytes: 0 }
    }

    /// How many channels an output has.
    pub fn channels(&self, output: usize) -> usize {
        self.outputs[output].len()
    }

    /// Adds a record, which `encode` adds to what it is given.
    ///
    /// # Errors
    /// Those of `encode`; when the record is too long, or too much waits.
    pub fn append(
        &mut self,
        output: usize,
        channel: usize,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let part = &mut self.outputs[output][channel];
        if part.building.capacity() == 0 {
            part.building.reserve(BUFFER_BYTES_MAX);
        }
        let begin = part.building.len();
        part.building.put_u32_le(0);
        let encoded = encode(&mut part.building).and_then(|()| {
            let length = part.building.len() - begin - RECORD_HEADER_BYTES;
            match length > RECORD_BYTES_MAX {
                true => Err(Failure(format!("a record of {length} bytes is too long"))),
                false => Ok(u32::try_from(length).expect("a bounded record")),
            }
        });
        match encoded {
            Ok(length) => {
                let header = &mut part.building[begin..begin + RECORD_HEADER_BYTES];
                header.copy_from_slice(&length.to_le_bytes());
            }
            Err(failure) => {
                part.building.truncate(begin);
                return Err(failure);
            }
        }
        if part.building.len() > BUFFER_BYTES_MAX {
            self.begin_buffer_at(output, channel, begin)?;
        }
        self.outputs[output][channel].records += 1;
        Ok(())
    }

    /// Seals what was built of a channel but the record that begins there, for which there is no room.
    fn begin_buffer_at(&mut self, output: usize, channel: usize, at: usize) -> Result<(), Failure> {
        let record = self.outputs[output][channel].building.split_off(at);
        self.seal(output, channel);
        if self.bytes > OVERFLOW_BYTES_MAX {
            return Err(Failure(format!(
                "one record or timer has emitted more than {OVERFLOW_BYTES_MAX} bytes beyond the \
                 room of those that read it"
            )));
        }
        let building = &mut self.outputs[output][channel].building;
        *building = BytesMut::with_capacity(BUFFER_BYTES_MAX);
        building.put_slice(&record);
        Ok(())
    }

    /// Adds a watermark for all channels of an output, behind all records so far. One that is no later than one before
    /// is left out: after a restore those before an operator may begin with an earlier one than a snapshot held.
    pub fn watermark(&mut self, output: usize, watermark: Timestamp) {
        if self.watermarks[output] < watermark {
            self.watermarks[output] = watermark;
            self.tell(output, &Emitted::Watermark(watermark));
        }
    }

    /// The same of whether watermarks come.
    pub fn status(&mut self, output: usize, status: WatermarkStatus) {
        self.tell(output, &Emitted::Status(status));
    }

    fn tell(&mut self, output: usize, told: &Emitted) {
        for channel in 0..self.channels(output) {
            self.seal(output, channel);
            let part = &mut self.outputs[output][channel];
            match (part.queue.back_mut(), told) {
                // One that nobody has taken yet says less.
                (Some(before @ Emitted::Watermark(_)), Emitted::Watermark(_))
                | (Some(before @ Emitted::Status(_)), Emitted::Status(_)) => *before = told.clone(),
                _ => {
                    part.queue.push_back(told.clone());
                    self.queued += 1;
                }
            }
        }
    }

    /// Whether something waits to be taken.
    pub fn has_queued(&self) -> bool {
        self.queued > 0
    }

    /// Whether nothing was emitted that is not taken.
    pub fn is_empty(&self) -> bool {
        self.queued == 0 && self.outputs.iter().flatten().all(|part| part.records == 0)
    }

    /// Whether something waits for a channel.
    pub fn has_queued_for(&self, output: usize, channel: usize) -> bool {
        !self.outputs[output][channel].queue.is_empty()
    }

    /// Takes the first that waits for a channel.
    pub fn take(&mut self, output: usize, channel: usize) -> Option<Emitted> {
        let taken = self.outputs[output][channel].queue.pop_front()?;
        self.queued -= 1;
        if let Emitted::Records(_, records) = &taken {
            self.bytes -= records.len();
        }
        Some(taken)
    }

    /// Puts what is being built for a channel into its queue, full or not.
    pub fn seal(&mut self, output: usize, channel: usize) {
        let part = &mut self.outputs[output][channel];
        if part.records > 0 {
            let records = std::mem::take(&mut part.records);
            let sealed = part.building.split().freeze();
            self.bytes += sealed.len();
            self.queued += 1;
            part.queue.push_back(Emitted::Records(records, sealed));
        }
    }

    /// Whether something is being built for a channel.
    pub fn is_building(&self, output: usize, channel: usize) -> bool {
        self.outputs[output][channel].records > 0
    }

    /// Takes over what a snapshot kept.
    ///
    /// # Errors
    /// When it is of other outputs.
    pub fn restore(&mut self, kept: Vec<(u32, u32, Emitted)>) -> Result<(), Failure> {
        for (output, channel, emitted) in kept {
            // Every task begins as an active one.
            if matches!(emitted, Emitted::Status(_)) {
                continue;
            }
            if let (Emitted::Watermark(kept), Some(newest)) =
                (&emitted, self.watermarks.get_mut(output as usize))
            {
                *newest = *kept.max(newest);
            }
            let output = self.outputs.get_mut(output as usize);
            let part = output.and_then(|output| output.get_mut(channel as usize));
            let part = part.ok_or_else(|| Failure::new("what was emitted is of other outputs"))?;
            if let Emitted::Records(_, records) = &emitted {
                self.bytes += records.len();
            }
            self.queued += 1;
            part.queue.push_back(emitted);
        }
        Ok(())
    }

    /// All that waits, to be kept: the place of each, in order. What is being built waits too from here on.
    pub fn snapshot(&mut self) -> Vec<(u32, u32, Emitted)> {
        let mut all = Vec::new();
        for output in 0..self.outputs.len() {
            for channel in 0..self.outputs[output].len() {
                self.seal(output, channel);
                let place = |number: usize| u32::try_from(number).expect("few channels");
                let queue = self.outputs[output][channel].queue.iter();
                all.extend(queue.map(|one| (place(output), place(channel), one.clone())));
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(bytes: &[u8]) -> impl FnOnce(&mut BytesMut) -> Result<(), Failure> {
        |into| {
            into.put_slice(bytes);
            Ok(())
        }
    }

    fn all(outputs: &mut Outputs, channel: usize) -> Vec<Emitted> {
        std::iter::from_fn(|| outputs.take(0, channel)).collect()
    }

    #[test]
    fn a_full_buffer_waits_and_the_next_one_is_begun() {
        let mut outputs = Outputs::new(&[2]);
        let kib = [7; 1020];
        for _ in 0..32 {
            outputs.append(0, 1, record(&kib)).unwrap();
        }
        assert!(!outputs.has_queued(), "it fits");
        outputs.append(0, 1, record(&kib)).unwrap();
        assert!(outputs.has_queued() && !outputs.has_queued_for(0, 0));
        let taken = all(&mut outputs, 1);
        assert!(matches!(&taken[..], [Emitted::Records(32, b)] if b.len() == 32 * 1024));
        assert!(!outputs.has_queued() && !outputs.is_empty(), "one is being built");
        outputs.seal(0, 1);
        assert!(matches!(all(&mut outputs, 1)[..], [Emitted::Records(1, _)]));
        assert!(outputs.is_empty());
    }

    #[test]
    fn watermarks_stand_behind_records_and_only_the_newest_in_a_row() {
        let mut outputs = Outputs::new(&[1]);
        outputs.append(0, 0, record(b"a")).unwrap();
        outputs.watermark(0, Timestamp(1));
        outputs.watermark(0, Timestamp(2));
        outputs.append(0, 0, record(b"b")).unwrap();
        outputs.watermark(0, Timestamp(3));
        outputs.status(0, WatermarkStatus::Active);
        outputs.status(0, WatermarkStatus::Idle);
        outputs.watermark(0, Timestamp(4));
        let kinds: Vec<_> = all(&mut outputs, 0)
            .into_iter()
            .map(|one| match one {
                Emitted::Records(count, _) => i64::from(count) * 100,
                Emitted::Watermark(Timestamp(at)) => at,
                Emitted::Status(status) => -i64::from(status == WatermarkStatus::Idle),
            })
            .collect();
        assert_eq!(kinds, [100, 2, 100, 3, -1, 4]);
        assert!(outputs.is_empty());
    }

    #[test]
    fn after_a_restore_all_are_active_and_no_watermark_goes_back() {
        let mut outputs = Outputs::new(&[1]);
        outputs.watermark(0, Timestamp(5));
        outputs.status(0, WatermarkStatus::Idle);
        let kept = outputs.snapshot();
        let mut restored = Outputs::new(&[1]);
        restored.restore(kept).unwrap();
        restored.watermark(0, Timestamp(3));
        restored.append(0, 0, record(b"a")).unwrap();
        restored.watermark(0, Timestamp(6));
        let told = all(&mut restored, 0);
        let [Emitted::Watermark(first), Emitted::Records(1, _), Emitted::Watermark(last)] =
            told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((first, last), (Timestamp(5), Timestamp(6)));
    }

    #[test]
    fn what_is_too_long_or_too_much_is_refused() {
        let mut outputs = Outputs::new(&[1]);
        assert!(outputs.append(0, 0, record(&vec![0; RECORD_BYTES_MAX + 1])).is_err());
        let longest = vec![0; RECORD_BYTES_MAX];
        let fit = (0..).take_while(|_| outputs.append(0, 0, record(&longest)).is_ok()).count();
        assert_eq!(fit, OVERFLOW_BYTES_MAX / BUFFER_BYTES_MAX + 1);
    }
}
