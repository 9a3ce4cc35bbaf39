//! The nodes of a journal: a coordination server, journal nodes and clients.

use super::cluster::{Main, Role};
use crate::{
    harness::scenario::JournalSpec,
    host::{Draws, NodeAddress},
    jobs::journal::{self, Workload},
    system::service::coordination::CoordinationConfig,
};
use bytes::Bytes;
use futures::FutureExt;
use std::{sync::Arc, time::Duration};

const PORT: u16 = 6123;

/// The lines that each client sends.
pub fn journal_lines(
    spec: &JournalSpec,
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
fn batch_size(spec: &JournalSpec, lines: usize) -> usize {
    const SENDING_MAX: Duration = Duration::from_secs(30);
    let calls = SENDING_MAX.as_millis() / spec.pause.one().as_millis().max(1);
    let calls = usize::try_from(calls).unwrap_or(usize::MAX).max(1);
    lines.div_ceil(calls).max(spec.batch.one() as usize)
}

/// The nodes of a journal cluster whose clients send these lines.
pub fn journal_nodes(spec: &JournalSpec, lines: &[Arc<Vec<String>>]) -> Vec<(Role, Main)> {
    let mut config = CoordinationConfig::new(NodeAddress::new(Role::Coordination.name(), PORT));
    config.session_timeout = spec.session_timeout.one();
    let coordination: Main = Box::new(|host| journal::run_coordination_node(host, PORT).boxed());
    let mut nodes = vec![(Role::Coordination, coordination)];
    for number in 1..=spec.journals.one() {
        let config = config.clone();
        let main: Main =
            Box::new(move |host| journal::run_journal_node(host, PORT, config.clone()).boxed());
        nodes.push((Role::Journal(number), main));
    }
    for (client, lines) in (1..).zip(lines) {
        let batch = batch_size(spec, lines.len());
        let workload = Workload { client, lines: lines.clone(), batch, pause: spec.pause.one() };
        let config = config.clone();
        let main: Main = Box::new(move |host| {
            journal::run_client_node(host, config.clone(), workload.clone()).boxed()
        });
        nodes.push((Role::Client(client), main));
    }
    nodes
}
