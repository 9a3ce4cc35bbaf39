//! What crosses the network, as bytes: they may be lost, repeated, late or damaged on the way.

use bytes::{BufMut, Bytes, BytesMut};
use wavetank::host::{Kind, mix};

/// An add; `list --messages` shows its kind, and faults of links can pick it out.
pub const ADD: Kind = Kind::new("Tally.add");
/// Its answer.
pub const ADDED: Kind = Kind::new("Tally.added");

/// An add or its answer: whose, and which of its adds. On disk a record has the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Add {
    /// The client.
    pub client: u64,
    /// Which of its adds, from 1.
    pub number: u64,
}

impl Add {
    /// Its length in bytes.
    pub const BYTES: usize = 24;

    /// With a checksum: what was damaged is not to be taken for something else.
    pub fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(Self::BYTES);
        bytes.put_u64(self.client);
        bytes.put_u64(self.number);
        bytes.put_u64(self.checksum());
        bytes.freeze()
    }

    /// `None` when it is damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let add = Add { client: word(0)?, number: word(8)? };
        (bytes.len() == Self::BYTES && word(16)? == add.checksum()).then_some(add)
    }

    fn checksum(self) -> u64 {
        mix(mix(self.client, self.number), 0x7a11)
    }
}
