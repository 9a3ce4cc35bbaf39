//! A client: sends each add until it is answered.

use crate::{
    PORT, TallyEvent,
    message::{ADD, Add},
};
use std::{io, time::Duration};
use wavetank::host::{Host, Inbound, NodeAddress};

/// How long an answer may take before the add is sent again.
const RESEND: Duration = Duration::from_millis(300);

/// What a client does.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its number.
    pub client: u64,
    /// The server's name.
    pub server: String,
    /// How many adds it has.
    pub adds: u64,
    /// The wait between two adds.
    pub pause: Duration,
}

/// Runs a client until all its adds are answered, and then for as long as its process lives.
pub async fn run_client(host: Host, client: Client) {
    match send(&host, &client).await {
        Ok(()) => std::future::pending().await,
        Err(error) => host.exit(&format!("tally client: {error}")),
    }
}

async fn send(host: &Host, work: &Client) -> io::Result<()> {
    let (sender, mut receiver) = host.bind(PORT).await?;
    let server = sender.peer(&NodeAddress::new(work.server.clone(), PORT));
    for number in 1..=work.adds {
        let add = Add { client: work.client, number };
        let mut answered = false;
        while !answered {
            sender.send(&server, ADD, 0, add.encode())?;
            let answer = host.timeout(RESEND, async {
                loop {
                    // An answer to an earlier add may come late, or twice.
                    if let Inbound::Frame { frame, .. } = receiver.recv().await
                        && Add::decode(&frame) == Some(add)
                    {
                        return;
                    }
                }
            });
            answered = answer.await.is_ok();
        }
        host.announce(&TallyEvent::Answered { client: work.client, number });
        host.sleep(work.pause).await;
    }
    host.announce(&TallyEvent::Finished { client: work.client });
    Ok(())
}
