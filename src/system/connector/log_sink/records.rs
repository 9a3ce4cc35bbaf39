//! What the sinks of topics gather before they write it.

use crate::system::dataflow::Result;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Records that wait to be written at most; also flushed at each barrier.
const BATCH_RECORDS: usize = 512;
/// Bytes of records that wait to be written at most, give or take one record.
const BATCH_BYTES: usize = 512 * 1024;

/// How a value becomes a record of a topic.
pub type Encode<T> = fn(&T) -> Result<Bytes>;
/// To which partition a value goes.
pub type ToPartition<T> = fn(&T) -> u32;

/// Values as records, by partition.
pub(super) struct Records<T> {
    encode: Encode<T>,
    /// `None`: all to that of the subtask's number.
    pub to_partition: Option<ToPartition<T>>,
    batch: BTreeMap<u32, Vec<Bytes>>,
    count: usize,
    bytes: usize,
}

impl<T> Clone for Records<T> {
    fn clone(&self) -> Self {
        Records { batch: self.batch.clone(), ..*self }
    }
}

impl<T> Records<T> {
    /// None yet.
    pub fn new(encode: Encode<T>) -> Self {
        Records { encode, to_partition: None, batch: BTreeMap::new(), count: 0, bytes: 0 }
    }

    /// One more, of a subtask.
    ///
    /// # Errors
    /// When it can't be encoded.
    pub fn add(&mut self, value: &T, subtask: u32) -> Result<()> {
        let record = (self.encode)(value)?;
        let partition = self.to_partition.map_or(subtask, |of| of(value));
        self.count += 1;
        self.bytes += record.len();
        self.batch.entry(partition).or_default().push(record);
        Ok(())
    }

    /// Whether there are enough to be written.
    pub fn is_full(&self) -> bool {
        self.count >= BATCH_RECORDS || self.bytes >= BATCH_BYTES
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// All of them, which are here no longer.
    pub fn take(&mut self) -> BTreeMap<u32, Vec<Bytes>> {
        (self.count, self.bytes) = (0, 0);
        std::mem::take(&mut self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &u32) -> Result<Bytes> {
        Ok(Bytes::from(value.to_string()))
    }

    #[test]
    fn values_go_to_the_partition_of_their_subtask_or_choose() {
        let mut records = Records::new(text);
        for value in [7, 8] {
            records.add(&value, 3).unwrap();
        }
        assert_eq!(records.take(), BTreeMap::from([(3, vec!["7".into(), "8".into()])]));
        records.to_partition = Some(|value| value % 2);
        for value in [7, 8, 9] {
            records.add(&value, 3).unwrap();
        }
        let expected = BTreeMap::from([(0, vec!["8".into()]), (1, vec!["7".into(), "9".into()])]);
        assert_eq!(records.take(), expected);
        assert!(records.is_empty() && records.take().is_empty());
    }

    #[test]
    fn it_is_full_by_number_or_by_bytes() {
        let mut records = Records::new(text);
        for value in 0..BATCH_RECORDS as u32 {
            assert!(!records.is_full());
            records.add(&value, 0).unwrap();
        }
        assert!(records.is_full());
        records.take();
        let mut records = Records::new(|_: &u32| Ok(Bytes::from(vec![0; BATCH_BYTES])));
        records.add(&1, 0).unwrap();
        assert!(records.is_full());
    }
}
