//! The leading journal: one endpoint per term.

use super::{
    AppendRefusal, Entry, JournalEvent, JournalGateway, JournalHandler, STATE_PREFIX, TAIL_KEY,
    client_key, entry_key,
};
use crate::{
    host::{Sabotage, Task},
    system::{
        leadership::{LeaderSession, LeaderSessionId},
        rpc::{Context, Reply, RpcEndpoint, StopFuture},
        service::coordination::{
            Compare, CoordinationClient, CoordinationError, Range, Transaction,
        },
    },
};
use futures::FutureExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Appends that wait at most.
const APPENDS_MAX: usize = 1024;
/// Lines written in one transaction at most.
const BATCH_LINES_MAX: usize = 512;

type AppendReply = Reply<Result<u64, AppendRefusal>>;

struct Append {
    client: u32,
    first: u64,
    lines: Vec<String>,
    reply: AppendReply,
}

/// What stands, as far as this leader has written or read it.
#[derive(Clone, Debug, Default)]
struct Standing {
    entries: u64,
    /// Writes of the tail so far: the next one must find just this many.
    tail_version: u64,
    clients: BTreeMap<u32, u64>,
}

/// The endpoint of one term. It writes one batch at a time.
pub struct JournalLeader {
    client: CoordinationClient,
    term: LeaderSession,
    standing: Standing,
    queue: VecDeque<Append>,
    writing: Option<Task>,
}

impl RpcEndpoint for JournalLeader {
    type Gateway = JournalGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        context.host().announce(&JournalEvent::Serving { entries: self.standing.entries });
        Ok(())
    }

    fn on_stop(&mut self, _: &mut Context<Self>) -> StopFuture {
        // Nothing of a term may go on once its process has ended; its askers learn "maybe".
        if let Some(writing) = self.writing.take() {
            writing.cancel();
        }
        async { Ok(()) }.boxed()
    }
}

impl JournalLeader {
    /// Reads what stands, until the coordination service answers.
    pub async fn recover(client: CoordinationClient, term: LeaderSession) -> Result<Self, String> {
        let standing = loop {
            match client.read(STATE_PREFIX).await {
                Ok(range) => break Standing::read(&range)?,
                Err(_) => client.host().sleep(client.config().retry_delay).await,
            }
        };
        Ok(JournalLeader { client, term, standing, queue: VecDeque::new(), writing: None })
    }

    fn write(&mut self, context: &mut Context<Self>) {
        if self.writing.is_some() {
            return;
        }
        let mut batch =
            Batch { after: self.standing.clone(), entries: Vec::new(), replies: Vec::new() };
        while batch.entries.len() < BATCH_LINES_MAX {
            let Some(append) = self.queue.pop_front() else { break };
            batch.take(append);
        }
        if batch.entries.is_empty() {
            return batch.answer();
        }
        batch.after.tail_version += 1;
        let host = context.host();
        let mut transaction = batch.transaction(self.standing.tail_version, self.term.session);
        if !host.sabotaged(Sabotage::JournalWrittenAfterRevoke) {
            transaction = transaction.when(self.term.guard());
        }
        let (client, expected) = (self.client.clone(), self.standing.tail_version);
        let term = self.term.session;
        let work = async move { write_surely(&client, transaction, expected, term).await };
        let task = context.spawn_then(work, move |leader, context, written| {
            leader.writing = None;
            if written {
                leader.standing = batch.after.clone();
                batch.answer();
                leader.write(context);
            } else {
                batch.refuse();
                leader.queue.drain(..).for_each(|append| append.refuse());
                context.fail("the term is over");
            }
        });
        self.writing = Some(task);
    }
}

/// Makes a transaction that only this term would make; false when it was refused, or when that can
/// no longer be told. After *maybe*, the tail tells: it names the term that wrote it last.
async fn write_surely(
    client: &CoordinationClient,
    transaction: Transaction,
    expected: u64,
    term: LeaderSessionId,
) -> bool {
    let mut uncertain = false;
    loop {
        match client.transact(transaction.clone()).await {
            Ok(_) => return true,
            // An earlier try may be what moved the tail.
            Err(CoordinationError::Refused(_)) => {
                return uncertain && tail_is_ours(client, expected + 1, term).await;
            }
            Err(CoordinationError::Maybe(_)) => uncertain = true,
            Err(CoordinationError::NotDone(_)) => {}
        }
        client.host().sleep(client.config().retry_delay).await;
    }
}

/// Whether the tail has this version and was written by this term.
async fn tail_is_ours(client: &CoordinationClient, version: u64, term: LeaderSessionId) -> bool {
    let range = loop {
        match client.read(TAIL_KEY).await {
            Ok(range) => break range,
            Err(_) => client.host().sleep(client.config().retry_delay).await,
        }
    };
    let tail = range.get(TAIL_KEY).filter(|tail| tail.version == version);
    let written = tail.and_then(|tail| postcard::from_bytes::<Tail>(&tail.value).ok());
    written.is_some_and(|written| written.term == term)
}

/// The term that wrote the tail with this value.
pub fn tail_term(value: &[u8]) -> Option<LeaderSessionId> {
    postcard::from_bytes::<Tail>(value).ok().map(|tail| tail.term)
}

/// How many lines of a client stand, from the value of its key.
pub fn standing_lines(value: &[u8]) -> Option<u64> {
    postcard::from_bytes(value).ok()
}

/// What the tail's key holds.
#[derive(Debug, Serialize, Deserialize)]
struct Tail {
    entries: u64,
    term: LeaderSessionId,
}

impl Standing {
    fn read(range: &Range) -> Result<Self, String> {
        let text = |error: postcard::Error| error.to_string();
        let mut standing = Standing::default();
        for found in &range.keys {
            if found.key == TAIL_KEY {
                standing.entries =
                    postcard::from_bytes::<Tail>(&found.value).map_err(text)?.entries;
                standing.tail_version = found.version;
            } else {
                let client = found.key.rsplit('/').next().and_then(|client| client.parse().ok());
                let client = client.ok_or_else(|| format!("unknown key {}", found.key))?;
                let lines = standing_lines(&found.value);
                let lines = lines.ok_or_else(|| format!("{} holds no number", found.key))?;
                standing.clients.insert(client, lines);
            }
        }
        Ok(standing)
    }
}

impl Append {
    fn refuse(self) {
        self.reply.ok(Err(AppendRefusal::NotLeader));
    }
}

/// Lines that are written together, and the answers that are given then.
struct Batch {
    after: Standing,
    entries: Vec<Entry>,
    replies: Vec<(AppendReply, Result<u64, AppendRefusal>)>,
}

impl Batch {
    fn take(&mut self, append: Append) {
        let Append { client, first, lines, reply } = append;
        let standing = self.after.clients.entry(client).or_default();
        if first > *standing + 1 || first == 0 {
            let expected = *standing + 1;
            return self.replies.push((reply, Err(AppendRefusal::Gap { expected })));
        }
        let known = usize::try_from(*standing + 1 - first).unwrap_or(usize::MAX);
        for line in lines.into_iter().skip(known) {
            *standing += 1;
            self.entries.push(Entry { client, sequence: *standing, line });
        }
        self.replies.push((reply, Ok(*standing)));
    }

    fn transaction(&mut self, tail_version: u64, term: LeaderSessionId) -> Transaction {
        let tail = Compare::Version { key: TAIL_KEY.to_string(), version: tail_version };
        let mut transaction = Transaction::new().when(tail);
        for entry in &self.entries {
            let value = postcard::to_allocvec(entry).expect("an entry can be encoded");
            transaction = transaction.put(entry_key(self.after.entries), value);
            self.after.entries += 1;
        }
        let clients: BTreeSet<u32> = self.entries.iter().map(|entry| entry.client).collect();
        for client in clients {
            let lines = postcard::to_allocvec(&self.after.clients[&client]);
            transaction =
                transaction.put(client_key(client), lines.expect("a number can be encoded"));
        }
        let tail = Tail { entries: self.after.entries, term };
        transaction.put(TAIL_KEY, postcard::to_allocvec(&tail).expect("a tail can be encoded"))
    }

    fn answer(self) {
        self.replies.into_iter().for_each(|(reply, answer)| reply.ok(answer));
    }

    fn refuse(self) {
        self.replies.into_iter().for_each(|(reply, _)| reply.ok(Err(AppendRefusal::NotLeader)));
    }
}

impl JournalHandler for JournalLeader {
    fn append(
        &mut self,
        context: &mut Context<Self>,
        client: u32,
        first: u64,
        lines: Vec<String>,
        reply: AppendReply,
    ) {
        if self.queue.len() >= APPENDS_MAX {
            return reply.ok(Err(AppendRefusal::Busy));
        }
        self.queue.push_back(Append { client, first, lines, reply });
        self.write(context);
    }

    fn position(&mut self, _: &mut Context<Self>, client: u32, reply: Reply<u64>) {
        reply.ok(self.standing.clients.get(&client).copied().unwrap_or(0));
    }
}
