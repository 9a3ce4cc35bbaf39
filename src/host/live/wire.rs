//! The bytes of a message connection: a preamble that names the sender, then frames.

use crate::host::{MESSAGE_BYTES_MAX, NodeAddress};
use bytes::{BufMut, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::codec::LengthDelimitedCodec;

/// The last byte is the version.
const MAGIC: [u8; 8] = *b"wavetnk\x01";

/// `host:port`; a host name has at most 253 bytes.
const ADDRESS_BYTES_MAX: usize = 512;

/// A length of four bytes, then so many bytes.
pub(super) fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MESSAGE_BYTES_MAX).new_codec()
}

/// Says where the sender's own message socket listens.
pub(super) fn put_preamble(buffer: &mut BytesMut, own: &NodeAddress) {
    let address = own.to_string();
    buffer.put_slice(&MAGIC);
    buffer.put_u16(u16::try_from(address.len()).expect("a host name that could be listened on"));
    buffer.put_slice(address.as_bytes());
}

/// Reads what `put_preamble` wrote; `InvalidData` when it is something else.
pub(super) async fn read_preamble(input: &mut (impl AsyncRead + Unpin)) -> io::Result<NodeAddress> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic).await.map_err(no_preamble)?;
    if magic != MAGIC {
        return Err(invalid("the other side speaks another protocol or version"));
    }
    let length = usize::from(input.read_u16().await.map_err(no_preamble)?);
    if length > ADDRESS_BYTES_MAX {
        return Err(invalid("the sender's address is too long"));
    }
    let mut address = vec![0; length];
    input.read_exact(&mut address).await.map_err(no_preamble)?;
    let address = str::from_utf8(&address).ok().and_then(|text| text.parse().ok());
    address.ok_or_else(|| invalid("the sender's address is no host:port"))
}

fn no_preamble(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => invalid("closed within the preamble"),
        _ => error,
    }
}

pub(super) fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
