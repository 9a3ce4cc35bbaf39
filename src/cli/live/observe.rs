//! What the supervisor sees of a running journal, through the coordination service.

use crate::{
    host::Host,
    jobs::journal::{COMPONENT, client_key, standing_lines},
    system::{
        leadership::{LeaderInformation, election_prefix, epoch_key, leader_key},
        service::coordination::{CoordinationClient, Update},
    },
};
use std::sync::{Arc, Mutex};

/// The newest state that was seen; it may be a little old.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The client's lines that stand.
    pub lines: u64,
    /// The confirmed leader.
    pub leader: Option<LeaderInformation>,
    /// Terms so far.
    pub term: u64,
}

/// Keeps the newest state.
#[derive(Clone, Default)]
pub struct Observer {
    seen: Arc<Mutex<Seen>>,
}

impl Observer {
    /// The newest state.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic under this lock").clone()
    }

    /// Begins to follow the election and one client's lines.
    pub fn start(&self, coordination: &CoordinationClient, client: u32) {
        let host = coordination.host();
        let key = client_key(client);
        self.follow(host, coordination, election_prefix(COMPONENT), take_election);
        self.follow(host, coordination, key.clone(), move |seen, update| {
            let found = update.keys.iter().find(|found| found.key == key);
            if let Some(lines) = found.and_then(|found| standing_lines(&found.value)) {
                seen.lines = lines;
            }
        });
    }

    fn follow(
        &self,
        host: &Host,
        coordination: &CoordinationClient,
        prefix: String,
        take: impl Fn(&mut Seen, &Update) + Send + 'static,
    ) {
        let (seen, coordination) = (self.seen.clone(), coordination.clone());
        host.spawn(async move {
            let mut watch = coordination.watch(&prefix);
            loop {
                match watch.next().await {
                    Ok(update) => {
                        take(&mut seen.lock().expect("no panic under this lock"), &update)
                    }
                    Err(_) => watch.back_off().await,
                }
            }
        });
    }
}

fn take_election(seen: &mut Seen, update: &Update) {
    let find = |key: String| update.keys.iter().find(|found| found.key == key);
    if let Some(epoch) = find(epoch_key(COMPONENT)) {
        seen.term = epoch.version;
    }
    match find(leader_key(COMPONENT)) {
        Some(record) => seen.leader = postcard::from_bytes(&record.value).ok(),
        None if update.whole || update.removed.contains(&leader_key(COMPONENT)) => {
            seen.leader = None;
        }
        None => {}
    }
}
