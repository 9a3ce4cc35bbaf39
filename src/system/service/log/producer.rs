//! What is known of one producer's transactions.

use super::model::{LogRefusal, Outcome, TransactionId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ended transactions of a producer that are remembered.
const ENDED_MAX: usize = 1024;
/// Transactions of a producer that are open or prepared.
const UNENDED_MAX: usize = 256;

/// Generation and number of a transaction.
pub(super) type Epoch = (u64, u64);

/// Records by topic and partition.
pub(super) type Staged = BTreeMap<(String, u32), Vec<Bytes>>;

/// How far a transaction is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    Open(Staged),
    Prepared(Staged),
    Ended(Outcome),
}

impl Stage {
    pub fn is_ended(&self) -> bool {
        matches!(self, Stage::Ended(_))
    }
}

/// A producer with transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Producer {
    /// The current one; `None` before the first.
    pub generation: Option<u64>,
    transactions: BTreeMap<Epoch, Stage>,
    /// Ends up to here are forgotten.
    forgotten: Option<Epoch>,
}

impl Producer {
    /// How far a transaction is; `None` when nobody has heard of it.
    pub fn stage(&self, epoch: Epoch) -> Result<Option<&Stage>, LogRefusal> {
        match self.transactions.get(&epoch) {
            None if self.forgotten.is_some_and(|last| epoch <= last) => Err(LogRefusal::Unknown),
            stage => Ok(stage),
        }
    }

    /// The transactions that are open or prepared.
    pub fn unended(&self) -> impl Iterator<Item = Epoch> {
        let unended = self.transactions.iter().filter(|(_, stage)| !stage.is_ended());
        unended.map(|(epoch, _)| *epoch)
    }

    pub fn may_open(&self) -> bool {
        self.unended().count() < UNENDED_MAX
    }

    /// Stages records; opens the transaction on its first.
    pub fn write(&mut self, epoch: Epoch, topic: &str, partition: u32, records: &[Bytes]) {
        let open = || Stage::Open(Staged::new());
        if let Stage::Open(staged) = self.transactions.entry(epoch).or_insert_with(open) {
            let place = staged.entry((topic.to_string(), partition)).or_default();
            place.extend_from_slice(records);
        }
    }

    /// Lets a transaction take no more writes; one that nobody has heard of is empty.
    pub fn prepare(&mut self, epoch: Epoch) {
        let staged = match self.transactions.remove(&epoch) {
            Some(Stage::Open(staged) | Stage::Prepared(staged)) => staged,
            None => Staged::new(),
            Some(ended @ Stage::Ended(_)) => {
                self.transactions.insert(epoch, ended);
                return;
            }
        };
        self.transactions.insert(epoch, Stage::Prepared(staged));
    }

    /// Ends a transaction and remembers how; returns what it had staged.
    pub fn end(&mut self, epoch: Epoch, outcome: Outcome) -> Staged {
        let before = self.transactions.insert(epoch, Stage::Ended(outcome));
        self.forget();
        match before {
            Some(Stage::Open(staged) | Stage::Prepared(staged)) => staged,
            Some(Stage::Ended(_)) | None => Staged::new(),
        }
    }

    fn forget(&mut self) {
        while self.transactions.len() - self.unended().count() > ENDED_MAX {
            let ended = self.transactions.iter().find(|(_, stage)| stage.is_ended());
            let Some(oldest) = ended.map(|(epoch, _)| *epoch) else { return };
            self.transactions.remove(&oldest);
            self.forgotten = self.forgotten.max(Some(oldest));
        }
    }
}

impl TransactionId {
    pub(super) fn epoch(&self) -> Epoch {
        (self.generation, self.number)
    }
}
