//! The names of requests.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A request of one life of a front end, and the response to it. As text `SLOT-INCARNATION-NUMBER`, the incarnation in
/// 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct EventId {
    /// The front end's place: the partition of the response topic that it reads.
    pub slot: u32,
    /// Drawn by each life of a front end, so that no id comes twice.
    pub incarnation: u64,
    /// Counts the requests of that life from 1.
    pub number: u64,
}

/// A text that is no event id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no event id: SLOT-INCARNATION-NUMBER, such as 0-00000000000000ff-17")]
pub struct ParseEventIdError(String);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}-{}", self.slot, self.incarnation, self.number)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}-{:04x}-{}", self.slot, self.incarnation >> 48, self.number)
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (slot, rest) = text.split_once('-')?;
            let (incarnation, number) = rest.split_once('-')?;
            let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
            let id =
                EventId { slot: slot.parse().ok()?, incarnation, number: number.parse().ok()? };
            // One text an id: it is compared as text, too.
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| ParseEventIdError(text.chars().take(100).collect()))
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for EventId {
    type Error = ParseEventIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_what_its_text_says() {
        let id = EventId { slot: 3, incarnation: 0xff, number: 17 };
        assert_eq!(id.to_string(), "3-00000000000000ff-17");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in
            ["", "3", "3-ff-17", "3-00000000000000FF-17", "03-00000000000000ff-17", "3-x-1"]
        {
            assert!(wrong.parse::<EventId>().is_err(), "{wrong}");
        }
    }
}
