//! Bodies between hyper, which streams them, and us, who take and give them whole.

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::{
    convert::Infallible,
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll},
};

/// A body that is there.
pub struct WholeBody(Option<Bytes>);

impl WholeBody {
    /// The body of these bytes.
    pub fn new(bytes: Bytes) -> Self {
        WholeBody((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for WholeBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Why a body could not be had.
#[derive(Debug)]
pub enum BodyError {
    /// It is larger than that, or says that it will be.
    TooLarge,
    /// It broke off or was malformed.
    Broken(hyper::Error),
}

/// Reads a body to its end. One that announces more than `limit` bytes is not begun.
pub async fn collect(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge);
    }
    let (mut body, mut whole) = (pin!(body), BytesMut::new());
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        // Trailers are bounded by hyper as heads are, and mean nothing here.
        if let Ok(data) = frame.map_err(BodyError::Broken)?.into_data() {
            if data.len() > limit - whole.len() {
                return Err(BodyError::TooLarge);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(whole.freeze())
}
