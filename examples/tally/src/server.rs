//! The server: counts each add once, on its disk, and answers.

use crate::{
    PORT, TallyEvent,
    message::{ADDED, Add},
};
use std::{collections::BTreeMap, io};
use wavetank::host::{Host, Inbound, MessageReceiver, MessageSender, OpenMode};

/// Runs the server. Everything outside goes through `host`, so the same function runs in simulation and live.
pub async fn run_server(host: Host) {
    // A process that can't go on says why and ends; whoever started it starts it again.
    match serve(&host).await {
        Ok(()) => {}
        Err(error) => host.exit(&format!("tally server: {error}")),
    }
}

async fn serve(host: &Host) -> io::Result<()> {
    let (sender, mut receiver): (MessageSender, MessageReceiver) = host.bind(PORT).await?;
    let file = host.disk().open("adds", OpenMode::Create).await?;
    // The file's name must be durable too.
    host.disk().sync_dir("").await?;
    let mut last = BTreeMap::<u64, u64>::new();
    let held = file.read_at(0, usize::try_from(file.len().await?).unwrap_or(usize::MAX)).await?;
    let whole: Vec<Add> = held.chunks(Add::BYTES).map_while(Add::decode).collect();
    // A power cut may have torn the last record.
    file.truncate((whole.len() * Add::BYTES) as u64).await?;
    last.extend(whole.iter().map(|add| (add.client, add.number)));
    let found = last.iter().map(|(client, number)| (*client, *number)).collect();
    host.announce(&TallyEvent::Recovered { last: found });
    loop {
        let Inbound::Frame { from, frame } = receiver.recv().await else { continue };
        let Some(add) = Add::decode(&frame) else { continue };
        let known = last.entry(add.client).or_default();
        // A property in a line: over many runs this must be true at some time, else no sweep tests it.
        wavetank::sometimes!(host, "add-comes-again", add.number <= *known);
        // One that comes again was counted already, and its answer was lost.
        if add.number > *known {
            file.append(add.encode()).await?;
            *known = add.number;
            host.announce(&TallyEvent::Counted { client: add.client, number: add.number });
        }
        // The planted bug: the answer goes out before the record is durable. To mend it, move the sync in front
        // of the answer. `cargo run -- explore` finds it; `cargo run -- replay failures/...` shows it again.
        sender.send(&from, ADDED, 0, add.encode())?;
        file.sync().await?;
    }
}
