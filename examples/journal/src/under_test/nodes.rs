//! The nodes of a journal: a coordination server, journal nodes and clients.

use super::{
    super::{Workload, run_client_node, run_journal_node},
    CLIENT, JOURNAL, JournalSettings,
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use wavetank::{
    harness::system::Node,
    host::{Draws, NodeAddress},
    system::{cluster::run_coordination_node, service::coordination::CoordinationConfig},
    under_test::cluster::COORDINATION,
};

const PORT: u16 = 6123;

/// The lines that each client sends.
pub fn journal_lines(
    spec: &JournalSettings,
    seed: u64,
    input: Option<&Arc<Vec<Bytes>>>,
) -> Vec<Arc<Vec<String>>> {
    if let Some(input) = input {
        let lines = input.iter().map(|line| String::from_utf8_lossy(line).into_owned());
        return vec![Arc::new(lines.collect())];
    }
    let lines = |client: u32| {
        let mut draws = Draws::new(seed, "workload", [u64::from(client), 0]);
        let line = |number| format!("client-{client} line {number} {:08x}", draws.next_u64() >> 32);
        Arc::new((1..=spec.lines.one()).map(line).collect())
    };
    (1..=spec.clients.one()).map(lines).collect()
}

/// Lines in one call: what the scenario says, or more if a long text would else outlast the faults.
fn batch_size(spec: &JournalSettings, lines: usize) -> usize {
    const SENDING_MAX: Duration = Duration::from_secs(30);
    let calls = SENDING_MAX.as_millis() / spec.pause.one().as_millis().max(1);
    let calls = usize::try_from(calls).unwrap_or(usize::MAX).max(1);
    lines.div_ceil(calls).max(spec.batch.one() as usize)
}

/// The nodes of a journal whose clients send these lines.
pub fn journal_nodes(spec: &JournalSettings, lines: &[Arc<Vec<String>>]) -> Vec<Node> {
    let server = NodeAddress::new(COORDINATION.name().to_string(), PORT);
    let mut config = CoordinationConfig::new(server);
    config.session_timeout = spec.session_timeout.one();
    let mut nodes = vec![Node::one(COORDINATION, |host| run_coordination_node(host, PORT))];
    for number in 1..=spec.journals.one() {
        let config = config.clone();
        let main = move |host| run_journal_node(host, PORT, config.clone());
        nodes.push(Node::numbered(JOURNAL, number, main));
    }
    for (client, lines) in (1..).zip(lines) {
        let batch = batch_size(spec, lines.len());
        let workload = Workload { client, lines: lines.clone(), batch, pause: spec.pause.one() };
        let config = config.clone();
        let main = move |host| run_client_node(host, config.clone(), workload.clone());
        nodes.push(Node::numbered(CLIENT, client, main));
    }
    nodes
}
