//! Frames: a header with a checksum of its own, and a checked body.

use super::ids::FencingToken;
use crate::host::Host;
use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};

/// The version of frames and handshake; both sides must have the same.
pub const PROTOCOL_VERSION: u16 = 1;

/// The version that a process speaks.
pub fn version_of(host: &Host) -> u16 {
    PROTOCOL_VERSION + host.versions_ahead()
}

const MAGIC: u16 = 0x5754;
const HEADER_BYTES: usize = 40;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    /// A call that wants an answer.
    Ask = 1,
    /// A call that wants none.
    Tell = 2,
    /// An answer: the encoded value.
    Value = 3,
    /// An answer: an encoded [`RpcError`](super::RpcError).
    Error = 4,
    /// The body of the call arrived damaged.
    Damaged = 5,
}

/// A frame's header, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub frame_type: FrameType,
    /// The incarnation of the caller, also in an answer.
    pub incarnation: u64,
    /// The caller's number of the call.
    pub call: u64,
    /// The incarnation that a call is for, learned in the handshake; 0 in a handshake. In an answer
    /// it means nothing.
    pub recipient: u64,
}

/// What stands before the arguments in the body of a call.
#[derive(Debug, Serialize, Deserialize)]
pub struct Invocation<'a> {
    /// The endpoint's name.
    pub endpoint: &'a str,
    /// The method's place in the protocol's list.
    pub method: u16,
    /// The session in which the caller believes.
    pub token: Option<FencingToken>,
}

/// What is wrong with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Nothing in it can be trusted.
    Header,
    /// It is whole, and of another version of the protocol: what else it says can't be known.
    Version,
    /// The header holds, the body does not.
    Body(Header),
}

/// Starts a frame: room for the header, then the body is appended.
pub fn begin() -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + 96);
    frame.resize(HEADER_BYTES, 0);
    frame
}

/// Fills in the header over the finished body, as one who speaks that version.
pub fn finish(mut frame: Vec<u8>, header: Header, version: u16) -> Bytes {
    let body_length =
        u32::try_from(frame.len() - HEADER_BYTES).expect("bodies are limited to 8 MiB");
    let body_crc = crc32fast::hash(&frame[HEADER_BYTES..]);
    frame[0..2].copy_from_slice(&MAGIC.to_le_bytes());
    frame[2] = version.to_le_bytes()[0];
    frame[3] = header.frame_type as u8;
    frame[4..12].copy_from_slice(&header.incarnation.to_le_bytes());
    frame[12..20].copy_from_slice(&header.call.to_le_bytes());
    frame[20..28].copy_from_slice(&header.recipient.to_le_bytes());
    frame[28..32].copy_from_slice(&body_length.to_le_bytes());
    frame[32..36].copy_from_slice(&body_crc.to_le_bytes());
    let header_crc = crc32fast::hash(&frame[..HEADER_BYTES - 4]);
    frame[36..40].copy_from_slice(&header_crc.to_le_bytes());
    Bytes::from(frame)
}

/// Takes a frame apart, as one who speaks that version.
///
/// # Errors
/// [`FrameError`] says how much of it can be trusted.
pub fn open(frame: Bytes, spoken: u16) -> Result<(Header, Bytes), FrameError> {
    if frame.len() < HEADER_BYTES {
        return Err(FrameError::Header);
    }
    let mut fields = &frame[..HEADER_BYTES];
    let header_crc = crc32fast::hash(&frame[..HEADER_BYTES - 4]);
    let magic = fields.get_u16_le();
    let version = fields.get_u8();
    let frame_type = FrameType::from_byte(fields.get_u8());
    let (incarnation, call) = (fields.get_u64_le(), fields.get_u64_le());
    let recipient = fields.get_u64_le();
    let (body_length, body_crc) = (fields.get_u32_le() as usize, fields.get_u32_le());
    if magic != MAGIC || fields.get_u32_le() != header_crc {
        return Err(FrameError::Header);
    }
    if u16::from(version) != spoken {
        return Err(FrameError::Version);
    }
    let frame_type = frame_type.ok_or(FrameError::Header)?;
    let header = Header { frame_type, incarnation, call, recipient };
    let body = frame.slice(HEADER_BYTES..);
    if body.len() != body_length || crc32fast::hash(&body) != body_crc {
        return Err(FrameError::Body(header));
    }
    Ok((header, body))
}

impl FrameType {
    fn from_byte(byte: u8) -> Option<Self> {
        use FrameType::{Ask, Damaged, Error, Tell, Value};
        [Ask, Tell, Value, Error, Damaged].into_iter().find(|kind| *kind as u8 == byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header =
        Header { frame_type: FrameType::Ask, incarnation: 7, call: 9, recipient: 8 };

    fn frame(body: &[u8]) -> Bytes {
        let mut frame = begin();
        frame.extend_from_slice(body);
        finish(frame, HEADER, PROTOCOL_VERSION)
    }

    #[test]
    fn a_frame_opens_to_what_went_in() {
        assert_eq!(
            open(frame(b"body"), PROTOCOL_VERSION),
            Ok((HEADER, Bytes::from_static(b"body")))
        );
        assert_eq!(open(frame(b""), PROTOCOL_VERSION), Ok((HEADER, Bytes::new())));
    }

    #[test]
    fn a_frame_of_another_version_is_told_from_a_damaged_one() {
        let mut bytes = frame(b"body").to_vec();
        bytes[2] += 1;
        assert_eq!(open(Bytes::from(bytes.clone()), PROTOCOL_VERSION), Err(FrameError::Header));
        let header_crc = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&header_crc.to_le_bytes());
        assert_eq!(open(Bytes::from(bytes), PROTOCOL_VERSION), Err(FrameError::Version));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn one_flipped_bit_never_passes(body in prop::collection::vec(any::<u8>(), 0..100), place: u32) {
            let mut bytes = frame(&body).to_vec();
            let bit = place as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < HEADER_BYTES * 8 { FrameError::Header } else { FrameError::Body(HEADER) };
            prop_assert_eq!(open(Bytes::from(bytes), PROTOCOL_VERSION), Err(expected));
        }

        #[test]
        fn garbage_and_cut_frames_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..100), cut in 0..44usize) {
            prop_assert_eq!(open(Bytes::from(bytes), PROTOCOL_VERSION), Err(FrameError::Header));
            let whole = frame(b"body");
            prop_assert!(open(whole.slice(..cut.min(whole.len() - 1)), PROTOCOL_VERSION).is_err());
        }
    }
}
