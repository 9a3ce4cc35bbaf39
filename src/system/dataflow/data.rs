//! What a stream is made of, and how it is written.

use super::{failure::Failure, time::Timestamp};
use bytes::BufMut;
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};
use std::hash::Hash;

/// What a stream may consist of, or a state be: whatever serde can write and read.
pub trait Data: Serialize + DeserializeOwned + Clone + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Clone + Send + 'static> Data for T {}

/// What keys are: they are compared, and spread by their encoding.
pub trait Key: Data + Eq + Hash {}

impl<K: Data + Eq + Hash> Key for K {}

/// Where an encoding is added, slice by slice.
struct Append<'a, B>(&'a mut B);

impl<B: BufMut> Flavor for Append<'_, B> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.put_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.put_u8(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Adds a value's encoding.
pub(super) fn encode_into<T: Serialize>(value: &T, into: &mut impl BufMut) -> Result<(), Failure> {
    Ok(postcard::serialize_with_flavor(value, Append(into))?)
}

/// A value's encoding.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    Ok(postcard::to_allocvec(value)?)
}

/// Reads a value, and nothing but it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    match postcard::take_from_bytes(bytes)? {
        (value, []) => Ok(value),
        (_, left) => Err(Failure(format!("{} bytes are left behind a value", left.len()))),
    }
}

/// A record has no time.
const TIMELESS: u8 = 0;
/// Its time follows, 8 bytes, little-endian.
const TIMED: u8 = 1;

/// Writes a record: its time, if it has one, and its value.
pub(super) fn encode_record<T: Serialize>(
    value: &T,
    time: Option<Timestamp>,
    into: &mut impl BufMut,
) -> Result<(), Failure> {
    match time {
        None => into.put_u8(TIMELESS),
        Some(Timestamp(millis)) => {
            into.put_u8(TIMED);
            into.put_i64_le(millis);
        }
    }
    encode_into(value, into)
}

/// Reads a record.
pub(super) fn decode_record<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<(T, Option<Timestamp>), Failure> {
    match bytes {
        [TIMELESS, value @ ..] => Ok((decode(value)?, None)),
        [TIMED, rest @ ..] => {
            let (time, value) = rest.split_first_chunk().ok_or_else(|| cut(bytes))?;
            Ok((decode(value)?, Some(Timestamp(i64::from_le_bytes(*time)))))
        }
        _ => Err(cut(bytes)),
    }
}

fn cut(bytes: &[u8]) -> Failure {
    Failure(format!("a record of {} bytes is none of this stream", bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, text: String, time: Option<i64>) {
            let (value, time) = ((number, text), time.map(Timestamp));
            let mut written = Vec::new();
            encode_record(&value, time, &mut written).unwrap();
            prop_assert_eq!(decode_record::<(u64, String)>(&written), Ok((value, time)));
        }

        #[test]
        fn junk_is_refused_and_never_more(junk: Vec<u8>) {
            let _ = decode_record::<(u64, String)>(&junk);
            let _ = decode::<Vec<String>>(&junk);
        }
    }

    #[test]
    fn a_record_of_another_type_is_refused() {
        let mut written = Vec::new();
        encode_record(&(7_u64, "a"), None, &mut written).unwrap();
        assert!(decode_record::<u64>(&written).is_err(), "something is left");
        assert!(decode_record::<(u64, String, u64)>(&written).is_err(), "something lacks");
        assert!(decode_record::<u64>(&[2, 7]).is_err());
        assert!(decode_record::<u64>(&[]).is_err());
        assert!(decode_record::<u64>(&[TIMED, 1, 2]).is_err());
    }
}
