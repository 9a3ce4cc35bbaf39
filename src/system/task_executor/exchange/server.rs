//! The server of a task executor's partitions: a stream for each remote reader.

use super::{
    limits::CHANNEL_CREDIT,
    partitions::{Reader, Refusal, ResultPartitionManager},
    wire::{FrameReader, REQUEST_BYTES_MAX, Request, Response},
};
use crate::host::{Host, Stream, StreamListener, StreamWriter};
use futures::{
    FutureExt,
    future::{Either, select},
    pin_mut, select_biased,
    stream::{FuturesUnordered, StreamExt},
};
use std::{sync::Arc, time::Duration};

/// Streams at once; more are broken at once.
const CONNECTIONS_MAX: usize = 16 * 1024;

/// How long a stream may stay without a request, and how long it may stay open after its end.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// What one consumer may have lent at most.
const CREDIT_MAX: u32 = 1024;

const _: () = assert!(CHANNEL_CREDIT <= CREDIT_MAX);

/// How long it waits after the listener failed, which live means a lack of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Serves until it is dropped.
pub(super) async fn serve(
    host: Host,
    mut listener: StreamListener,
    partitions: Arc<ResultPartitionManager>,
) {
    let mut connections = FuturesUnordered::new();
    loop {
        let accepted = {
            let accept = listener.accept().fuse();
            pin_mut!(accept);
            select_biased! {
                accepted = accept => Some(accepted),
                _ = connections.select_next_some() => None,
            }
        };
        match accepted {
            None => {}
            Some(Ok(stream)) if connections.len() < CONNECTIONS_MAX => {
                connections.push(connection(host.clone(), stream, partitions.clone()));
            }
            Some(Ok(stream)) => drop(stream),
            Some(Err(error)) => {
                tracing::warn!(%error, "a consumer could not be accepted");
                host.sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn connection(host: Host, stream: Stream, partitions: Arc<ResultPartitionManager>) {
    let (reader, mut writer) = stream.split();
    let mut requests = FrameReader::new(reader, REQUEST_BYTES_MAX);
    let Some(part) = granted(&host, &mut requests, &mut writer, &partitions).await else {
        // Orderly, so that a refusal just written arrives.
        writer.close();
        return;
    };
    let done = {
        let (send, receive) = (send(&part, &mut writer), take_credit(&part, &mut requests));
        pin_mut!(send, receive);
        match select(send, receive).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => false,
        }
    };
    if done {
        writer.close();
        // Credit that is under way would break the stream before its end has arrived.
        let drained = async { while let Ok(Some(_)) = requests.next().await {} };
        let _ = host.timeout(IDLE_MAX, drained).await;
    }
}

/// Waits for a request that can be granted, and says so.
async fn granted(
    host: &Host,
    requests: &mut FrameReader,
    writer: &mut StreamWriter,
    partitions: &Arc<ResultPartitionManager>,
) -> Option<Reader> {
    loop {
        let frame = host.timeout(IDLE_MAX, requests.next()).await.ok()?.ok()??;
        let (partition, subpartition, credit) = match Request::decode(&frame) {
            Ok(Request::Partition { partition, subpartition, credit }) => {
                (partition, subpartition, credit)
            }
            Ok(Request::Watch) => {
                // Until the peer goes away, or says anything.
                let _ = requests.next().await;
                return None;
            }
            _ => return None,
        };
        let read = match credit {
            0..=CREDIT_MAX => partitions.read(partition, subpartition, credit),
            _ => Err(Refusal::Refused),
        };
        let (answer, reader) = match read {
            Ok(reader) => (Response::Accepted, Some(reader)),
            Err(Refusal::NotFound) => (Response::NotFound, None),
            Err(Refusal::Refused) => (Response::Refused, None),
        };
        writer.write(answer.encode_answer()).await.ok()?;
        match answer {
            Response::NotFound => {}
            _ => return reader,
        }
    }
}

/// Writes buffers for as long as there is credit; whether the end of the partition was written.
async fn send(part: &Reader, writer: &mut StreamWriter) -> bool {
    while let Some(queued) = part.next().await {
        if writer.write(queued.frame).await.is_err() {
            return false;
        }
        if queued.is_last {
            return true;
        }
    }
    false
}

/// Takes credit until the consumer goes away or says what makes no sense.
async fn take_credit(part: &Reader, requests: &mut FrameReader) {
    while let Ok(Some(frame)) = requests.next().await {
        match Request::decode(&frame) {
            Ok(Request::Credit(credit)) if part.add_credit(credit, CREDIT_MAX) => {}
            _ => return,
        }
    }
}
