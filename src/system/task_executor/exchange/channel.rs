//! The consumer's side of a channel: it asks for its subpartition, fills the inbox and grants credit.

use super::{
    environment::ShuffleEnvironment,
    error::ChannelError,
    inbox::Inbox,
    limits::CHANNEL_CREDIT,
    partitions::{Reader, Refusal},
    wire::{FrameError, FrameReader, RESPONSE_BYTES_MAX, Request, Response},
};
use crate::{
    host::{Host, Instant, StreamWriter},
    system::{graph::InputChannelDeployment, task_executor::TaskError},
};
use futures::{
    FutureExt,
    future::{Either, select},
    pin_mut, select_biased,
    stream::{FuturesUnordered, StreamExt},
};
use std::{convert::Infallible, time::Duration};

/// How a consumer asks anew for a partition that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionRequestBackoff {
    /// Before the second request.
    pub initial: Duration,
    /// Between two requests at most; each pause is twice the one before.
    pub max: Duration,
    /// From the first request until it gives up.
    pub total: Duration,
}

impl Default for PartitionRequestBackoff {
    /// 100 ms, doubling to 1 s, for 20 s.
    fn default() -> Self {
        PartitionRequestBackoff {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(1),
            total: Duration::from_secs(20),
        }
    }
}

/// What the channels of one task work with.
#[derive(Clone)]
pub(in crate::system::task_executor) struct ChannelEnvironment {
    pub host: Host,
    pub exchange: ShuffleEnvironment,
    pub backoff: PartitionRequestBackoff,
}

/// Fills the inbox until a channel is lost. Once all are read to their end it waits for ever.
pub(in crate::system::task_executor) async fn drive_channels(
    source: ChannelEnvironment,
    inbox: &Inbox,
    channels: Vec<InputChannelDeployment>,
) -> TaskError {
    let mut running = FuturesUnordered::new();
    for (place, channel) in channels.into_iter().enumerate() {
        let source = source.clone();
        running.push(async move {
            let local = channel.location == *source.exchange.address();
            let result = match local {
                true => local_channel(&source, inbox, place, &channel).await,
                false => remote_channel(&source, inbox, place, &channel).await,
            };
            result.map_err(|reason| inbox.error(place, reason))
        });
    }
    while let Some(ended) = running.next().await {
        if let Err(error) = ended {
            return error;
        }
    }
    std::future::pending().await
}

/// When to ask again.
struct Retry {
    pause: Duration,
    max: Duration,
    until: Instant,
}

impl Retry {
    fn new(source: &ChannelEnvironment) -> Self {
        let PartitionRequestBackoff { initial, max, total } = source.backoff;
        Retry { pause: initial, max, until: source.host.now() + total }
    }

    async fn pause(&mut self, host: &Host) -> Result<(), ChannelError> {
        if host.now() + self.pause > self.until {
            return Err(ChannelError::PartitionNotFound);
        }
        host.sleep(self.pause).await;
        self.pause = (self.pause * 2).min(self.max);
        Ok(())
    }
}

async fn local_channel(
    source: &ChannelEnvironment,
    inbox: &Inbox,
    place: usize,
    channel: &InputChannelDeployment,
) -> Result<(), ChannelError> {
    let mut retry = Retry::new(source);
    let partitions = &source.exchange.partitions;
    let reader = loop {
        match partitions.read(channel.partition, channel.subpartition, CHANNEL_CREDIT) {
            Ok(reader) => break reader,
            Err(Refusal::NotFound) => retry.pause(&source.host).await?,
            Err(Refusal::Refused) => return Err(ChannelError::Refused),
        }
    };
    inbox.connected(place);
    let (fill, grant) = (fill_locally(&reader, inbox, place), grant_locally(&reader, inbox, place));
    pin_mut!(fill, grant);
    match select(fill, grant).await {
        Either::Left((filled, _)) => filled,
        Either::Right((never, _)) => match never {},
    }
}

async fn fill_locally(reader: &Reader, inbox: &Inbox, place: usize) -> Result<(), ChannelError> {
    while let Some(queued) = reader.next().await {
        // Without its length, as it comes from a stream.
        if inbox.receive(place, queued.frame.slice(4..))? {
            return Ok(());
        }
    }
    Err(ChannelError::EndedEarly)
}

async fn grant_locally(reader: &Reader, inbox: &Inbox, place: usize) -> Infallible {
    loop {
        let credit = inbox.credit(place).await;
        assert!(reader.add_credit(credit, CHANNEL_CREDIT), "no more than was used");
    }
}

async fn remote_channel(
    source: &ChannelEnvironment,
    inbox: &Inbox,
    place: usize,
    channel: &InputChannelDeployment,
) -> Result<(), ChannelError> {
    let stream = source.host.connect(&channel.location).await;
    let stream = stream.map_err(|error| ChannelError::Connect(error.kind()))?;
    let (reader, mut writer) = stream.split();
    let mut frames = FrameReader::new(reader, RESPONSE_BYTES_MAX);
    request(source, channel, &mut frames, &mut writer).await?;
    inbox.connected(place);
    let filled = {
        let fill = fill(&mut frames, inbox, place).fuse();
        let grant = grant(&mut writer, inbox, place).fuse();
        pin_mut!(fill, grant);
        loop {
            select_biased! {
                filled = fill => break filled,
                // A broken stream is the reader's to report, after what had arrived before.
                () = grant => {}
            }
        }
    };
    writer.close();
    filled
}

/// Asks until the request is granted.
async fn request(
    source: &ChannelEnvironment,
    channel: &InputChannelDeployment,
    frames: &mut FrameReader,
    writer: &mut StreamWriter,
) -> Result<(), ChannelError> {
    let InputChannelDeployment { partition, subpartition, .. } = *channel;
    let request = Request::Partition { partition, subpartition, credit: CHANNEL_CREDIT }.encode();
    let mut retry = Retry::new(source);
    loop {
        let written = writer.write(request.clone()).await;
        written.map_err(|error| ChannelError::Broken(error.kind()))?;
        match Response::decode(next_frame(frames).await?)? {
            Response::Accepted => return Ok(()),
            Response::NotFound => retry.pause(&source.host).await?,
            Response::Refused => return Err(ChannelError::Refused),
            Response::Buffer(_) => return Err(ChannelError::OutOfTurn),
        }
    }
}

async fn next_frame(frames: &mut FrameReader) -> Result<bytes::Bytes, ChannelError> {
    match frames.next().await {
        Ok(Some(frame)) => Ok(frame),
        Ok(None) => Err(ChannelError::EndedEarly),
        Err(FrameError::Io(error)) => Err(ChannelError::Broken(error.kind())),
        Err(FrameError::Wire(error)) => Err(error.into()),
    }
}

async fn fill(frames: &mut FrameReader, inbox: &Inbox, place: usize) -> Result<(), ChannelError> {
    while !inbox.receive(place, next_frame(frames).await?)? {}
    Ok(())
}

/// Grants credit until the stream is broken.
async fn grant(writer: &mut StreamWriter, inbox: &Inbox, place: usize) {
    loop {
        let credit = inbox.credit(place).await;
        if writer.write(Request::Credit(credit).encode()).await.is_err() {
            return;
        }
    }
}
