//! What goes over a channel: requests one way, buffers and events the other.
//!
//! Every frame is a little-endian `u32` length of what follows and what follows. A buffer or event is
//! one byte of type, the `u64` sequence number, the `u32` number of records and the payload; each
//! record is its `u32` length and its bytes.

use super::error::WireError;
use crate::{
    host::{StreamReader, mix},
    system::{
        dataflow::{BUFFER_BYTES_MAX, Timestamp, WatermarkStatus},
        ids::{CheckpointId, ResultPartitionId},
    },
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::io;

const LENGTH_BYTES: usize = 4;
const HEADER_BYTES: usize = LENGTH_BYTES + 1 + 8 + 4;

/// The longest frame to a consumer, without its length.
pub const RESPONSE_BYTES_MAX: usize = HEADER_BYTES - LENGTH_BYTES + BUFFER_BYTES_MAX;

/// The longest frame to a producer, without its length.
pub const REQUEST_BYTES_MAX: usize = 128;

/// What a consumer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Asks for a subpartition and grants the first credit; again after `NotFound`.
    Partition { partition: ResultPartitionId, subpartition: u32, credit: u32 },
    /// Grants so much more.
    Credit(u32),
    /// Wants nothing but to see this stream end with its process.
    Watch,
}

impl Request {
    pub fn encode(&self) -> Bytes {
        let body = postcard::to_stdvec(self).expect("plain numbers");
        debug_assert!(body.len() <= REQUEST_BYTES_MAX);
        let mut frame = BytesMut::with_capacity(LENGTH_BYTES + body.len());
        frame.put_u32_le(u32::try_from(body.len()).expect("a short request"));
        frame.put_slice(&body);
        frame.freeze()
    }

    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        postcard::from_bytes(body).map_err(|_| WireError::Malformed)
    }
}

/// In-band, in order with the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Records before it belong to the checkpoint, those behind do not.
    Barrier(CheckpointId),
    /// No barrier of that checkpoint comes.
    CancelBarrier(CheckpointId),
    /// No record as early as this comes any more.
    Watermark(Timestamp),
    /// Whether watermarks come from here on.
    WatermarkStatus(WatermarkStatus),
    /// No record comes any more.
    EndOfData,
    /// Nothing comes any more.
    EndOfPartition,
}

/// What a producer sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// The request is granted; buffers follow.
    Accepted,
    /// There is no such partition now.
    NotFound,
    /// The subpartition is read already, or the request makes no sense.
    Refused,
    /// Records or an event.
    Buffer(Buffer),
}

/// Records or an event, with its place in the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffer {
    /// Counts from 0 over the channel.
    pub sequence: u64,
    /// The payload's hash.
    pub hash: u64,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// So many encoded records.
    Records {
        count: u32,
        payload: Bytes,
    },
    Event(Event),
}

const DATA: u8 = 1;
const BARRIER: u8 = 2;
const CANCEL_BARRIER: u8 = 3;
const END_OF_DATA: u8 = 4;
const END_OF_PARTITION: u8 = 5;
const ACCEPTED: u8 = 6;
const NOT_FOUND: u8 = 7;
const REFUSED: u8 = 8;
const WATERMARK: u8 = 9;
const ACTIVE: u8 = 10;
const IDLE: u8 = 11;

/// The hash of a buffer's payload.
fn hash(payload: &[u8]) -> u64 {
    mix(u64::from(crc32fast::hash(payload)), payload.len() as u64)
}

fn finish(mut frame: BytesMut, kind: u8, sequence: u64, records: u32) -> (Bytes, u64) {
    let length = u32::try_from(frame.len() - LENGTH_BYTES).expect("a bounded frame");
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4] = kind;
    frame[5..13].copy_from_slice(&sequence.to_le_bytes());
    frame[13..17].copy_from_slice(&records.to_le_bytes());
    let hash = hash(&frame[HEADER_BYTES..]);
    (frame.freeze(), hash)
}

/// A frame of so many records, each its length and its bytes, and the payload's hash.
pub fn encode_records(records: u32, payload: &[u8], sequence: u64) -> (Bytes, u64) {
    let mut frame = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    frame.resize(HEADER_BYTES, 0);
    frame.put_slice(payload);
    finish(frame, DATA, sequence, records)
}

impl Event {
    /// The frame and its payload's hash.
    pub fn encode(self, sequence: u64) -> (Bytes, u64) {
        let mut frame = BytesMut::with_capacity(HEADER_BYTES + 8);
        frame.resize(HEADER_BYTES, 0);
        let kind = match self {
            Event::Barrier(checkpoint) => {
                frame.put_u64_le(checkpoint.0);
                BARRIER
            }
            Event::CancelBarrier(checkpoint) => {
                frame.put_u64_le(checkpoint.0);
                CANCEL_BARRIER
            }
            Event::Watermark(Timestamp(millis)) => {
                frame.put_i64_le(millis);
                WATERMARK
            }
            Event::WatermarkStatus(WatermarkStatus::Active) => ACTIVE,
            Event::WatermarkStatus(WatermarkStatus::Idle) => IDLE,
            Event::EndOfData => END_OF_DATA,
            Event::EndOfPartition => END_OF_PARTITION,
        };
        finish(frame, kind, sequence, 0)
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<Self, WireError> {
        let number = || -> Result<CheckpointId, WireError> {
            let bytes = payload.try_into().map_err(|_| WireError::Malformed)?;
            Ok(CheckpointId(u64::from_le_bytes(bytes)))
        };
        match (kind, payload.len()) {
            (WATERMARK, _) => {
                let bytes = payload.try_into().map_err(|_| WireError::Malformed)?;
                Ok(Event::Watermark(Timestamp(i64::from_le_bytes(bytes))))
            }
            (BARRIER, _) => number().map(Event::Barrier),
            (CANCEL_BARRIER, _) => number().map(Event::CancelBarrier),
            (ACTIVE, 0) => Ok(Event::WatermarkStatus(WatermarkStatus::Active)),
            (IDLE, 0) => Ok(Event::WatermarkStatus(WatermarkStatus::Idle)),
            (END_OF_DATA, 0) => Ok(Event::EndOfData),
            (END_OF_PARTITION, 0) => Ok(Event::EndOfPartition),
            _ => Err(WireError::Malformed),
        }
    }
}

impl Response {
    /// The frame of an answer that is no buffer.
    pub fn encode_answer(&self) -> Bytes {
        let kind = match self {
            Response::Accepted => ACCEPTED,
            Response::NotFound => NOT_FOUND,
            Response::Refused | Response::Buffer(_) => REFUSED,
        };
        finish(BytesMut::zeroed(HEADER_BYTES), kind, 0, 0).0
    }

    /// Reads a frame without its length.
    pub fn decode(mut body: Bytes) -> Result<Self, WireError> {
        if body.len() < HEADER_BYTES - LENGTH_BYTES {
            return Err(WireError::Malformed);
        }
        if body.len() > RESPONSE_BYTES_MAX {
            return Err(WireError::TooLong(body.len()));
        }
        let (kind, sequence, count) = (body.get_u8(), body.get_u64_le(), body.get_u32_le());
        let hash = hash(&body);
        let buffer = |content| Response::Buffer(Buffer { sequence, hash, content });
        match (kind, count, body.len()) {
            (DATA, 1.., _) => Ok(buffer(Content::Records { count, payload: body })),
            (ACCEPTED, 0, 0) => Ok(Response::Accepted),
            (NOT_FOUND, 0, 0) => Ok(Response::NotFound),
            (REFUSED, 0, 0) => Ok(Response::Refused),
            (_, 0, _) => Event::decode(kind, &body).map(|event| buffer(Content::Event(event))),
            _ => Err(WireError::Malformed),
        }
    }
}

/// What a frame's reader may meet.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Wire(#[from] WireError),
}

/// Cuts a stream into frames.
pub struct FrameReader {
    reader: StreamReader,
    frames: Frames,
}

impl FrameReader {
    /// Frames may be so long, without their length.
    pub fn new(reader: StreamReader, frame_bytes_max: usize) -> Self {
        FrameReader { reader, frames: Frames { received: BytesMut::new(), frame_bytes_max } }
    }

    /// The next frame without its length; `None` at an orderly end. Nothing is lost when the future is
    /// dropped.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.frames.next()? {
                return Ok(Some(frame));
            }
            match self.reader.read().await? {
                Some(bytes) => self.frames.push(bytes),
                None if self.frames.received.is_empty() => return Ok(None),
                None => return Err(WireError::Malformed.into()),
            }
        }
    }
}

/// Received bytes that are no whole frame yet: less than one frame and one read.
struct Frames {
    received: BytesMut,
    frame_bytes_max: usize,
}

impl Frames {
    fn push(&mut self, bytes: Bytes) {
        if self.received.is_empty() {
            // Taken over without a copy when nobody else holds it.
            self.received = BytesMut::from(bytes);
        } else {
            self.received.extend_from_slice(&bytes);
        }
    }

    fn next(&mut self) -> Result<Option<Bytes>, WireError> {
        let Some(mut length) = self.received.get(..LENGTH_BYTES) else { return Ok(None) };
        let length = length.get_u32_le() as usize;
        if length > self.frame_bytes_max {
            return Err(WireError::TooLong(length));
        }
        if self.received.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        self.received.advance(LENGTH_BYTES);
        Ok(Some(self.received.split_to(length).freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> Frames {
        Frames { received: BytesMut::new(), frame_bytes_max: RESPONSE_BYTES_MAX }
    }

    fn events() -> [Event; 7] {
        let checkpoint = CheckpointId(7);
        [
            Event::Barrier(checkpoint),
            Event::CancelBarrier(checkpoint),
            Event::Watermark(Timestamp(-5)),
            Event::WatermarkStatus(WatermarkStatus::Active),
            Event::WatermarkStatus(WatermarkStatus::Idle),
            Event::EndOfData,
            Event::EndOfPartition,
        ]
    }

    #[test]
    fn answers_and_events_come_back_as_they_went() {
        for answer in [Response::Accepted, Response::NotFound, Response::Refused] {
            assert_eq!(Response::decode(answer.encode_answer().slice(4..)), Ok(answer));
        }
        for (sequence, event) in (3..).zip(events()) {
            let (frame, hash) = event.encode(sequence);
            let buffer = Buffer { sequence, hash, content: Content::Event(event) };
            assert_eq!(Response::decode(frame.slice(4..)), Ok(Response::Buffer(buffer)));
        }
    }

    #[test]
    fn a_long_frame_is_refused_before_it_is_received() {
        let mut frames = frames();
        let length = u32::try_from(RESPONSE_BYTES_MAX + 1).unwrap();
        frames.push(Bytes::copy_from_slice(&length.to_le_bytes()));
        assert_eq!(frames.next(), Err(WireError::TooLong(RESPONSE_BYTES_MAX + 1)));
    }

    proptest! {
        #[test]
        fn buffers_come_back_however_the_stream_is_cut(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..500), 1..10),
            cuts in prop::collection::vec(1..200usize, 1..50),
        ) {
            let mut stream = BytesMut::new();
            for (sequence, payload) in (0..).zip(&payloads) {
                stream.extend_from_slice(&encode_records(7, payload, sequence).0);
            }
            let (mut frames, mut read, mut stream) = (frames(), Vec::<Vec<u8>>::new(), stream.freeze());
            for cut in cuts.iter().cycle() {
                if stream.is_empty() {
                    break;
                }
                frames.push(stream.split_to((*cut).min(stream.len())));
                while let Some(frame) = frames.next().unwrap() {
                    let Ok(Response::Buffer(buffer)) = Response::decode(frame) else { panic!() };
                    prop_assert_eq!(buffer.sequence, read.len() as u64);
                    let Content::Records { count: 7, payload } = buffer.content else { panic!() };
                    read.push(payload.to_vec());
                }
            }
            prop_assert_eq!(read, payloads);
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let body = Bytes::from(bytes);
            let _ = Response::decode(body.clone());
            let _ = Request::decode(&body);
            let mut frames = frames();
            frames.push(body);
            while let Ok(Some(_)) = frames.next() {}
        }
    }
}
