//! A stream to a task executor that is kept open for nothing but its end.

use super::wire::Request;
use crate::host::{Host, NodeAddress};

/// Ready when a stream to the task executor that listens there has ended, or can't be had.
pub async fn until_connection_breaks(host: Host, data: NodeAddress) {
    let Ok(stream) = host.connect(&data).await else { return };
    let (mut reader, mut writer) = stream.split();
    if writer.write(Request::Watch.encode()).await.is_err() {
        return;
    }
    // Nothing is sent over it.
    while let Ok(Some(_)) = reader.read().await {}
}
