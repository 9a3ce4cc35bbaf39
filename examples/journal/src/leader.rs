//! The leading journal: one endpoint per term.

use super::{
    AppendRefusal, Entry, JournalEvent, JournalGateway, JournalHandler, STATE_PREFIX, TAIL_KEY,
    client_key, entry_key, sabotage::JOURNAL_WRITTEN_AFTER_REVOKE,
};
use futures::{FutureExt, channel::oneshot};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use wavetank::system::{
    leadership::{LeaderSession, LeaderSessionId},
    rpc::{Context, Reply, RpcEndpoint, StopFuture},
    service::coordination::{
        Compare, Coordination, CoordinationError, KeyPattern, Range, Refusal, Revision, Transaction,
    },
};

/// The component for which journal nodes are elected, and the name of the leader's endpoint.
pub const COMPONENT: &str = "journal";

/// Appends that wait at most.
const APPENDS_MAX: usize = 1024;
/// Lines written in one transaction at most.
const BATCH_LINES_MAX: usize = 512;

/// The place of the term's guard among a transaction's conditions.
const GUARD: u64 = 0;

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
    /// The revision at which this was so: the next write must find the tail unchanged since.
    seen: Revision,
    clients: BTreeMap<u32, u64>,
}

/// The endpoint of one term. It writes one batch at a time.
pub struct JournalLeader {
    client: Arc<dyn Coordination>,
    term: LeaderSession,
    standing: Standing,
    queue: VecDeque<Append>,
    writing: bool,
    /// Dropped when the write that is under way has ended.
    on_idle: Option<oneshot::Sender<()>>,
    ready: Option<oneshot::Sender<()>>,
    /// The coordination service has refused a write of this term; the revoke is on its way.
    term_over: bool,
}

impl RpcEndpoint for JournalLeader {
    type Gateway = JournalGateway;

    fn on_start(&mut self, context: &mut Context<Self>) -> Result<(), String> {
        // A write without entries makes the tail this term's own: no write that an earlier term has
        // under way can find the tail that it expects.
        self.write(context, Batch::new(&self.standing));
        Ok(())
    }

    /// Nothing of a term may go on once its process has ended, so the last write is waited for.
    fn on_stop(&mut self, _: &mut Context<Self>) -> StopFuture {
        let (written, wait) = oneshot::channel();
        if self.writing {
            self.on_idle = Some(written);
        }
        async move {
            let _ = wait.await;
            Ok(())
        }
        .boxed()
    }
}

impl JournalLeader {
    /// Reads what stands, until the coordination service answers. `ready` is told when the leader
    /// has claimed the journal for its term and serves.
    ///
    /// # Errors
    /// When what stands can't be understood.
    pub async fn recover(
        client: Arc<dyn Coordination>,
        term: LeaderSession,
        ready: oneshot::Sender<()>,
    ) -> Result<Self, String> {
        let all = KeyPattern::Prefix(STATE_PREFIX.to_string());
        let standing = loop {
            match client.read(&all).await {
                Ok(range) => break Standing::read(&range)?,
                Err(_) => client.host().sleep(client.retry_delay()).await,
            }
        };
        Ok(JournalLeader {
            client,
            term,
            standing,
            queue: VecDeque::new(),
            writing: false,
            on_idle: None,
            ready: Some(ready),
            term_over: false,
        })
    }

    /// Writes what waits, unless a write is under way.
    fn write_next(&mut self, context: &mut Context<Self>) {
        if self.term_over {
            return self.queue.drain(..).for_each(Append::refuse);
        }
        if self.writing {
            return;
        }
        let mut batch = Batch::new(&self.standing);
        while batch.entries.len() < BATCH_LINES_MAX {
            let Some(append) = self.queue.pop_front() else { break };
            batch.take(append);
        }
        match batch.entries.is_empty() {
            true => batch.answer(),
            false => self.write(context, batch),
        }
    }

    fn write(&mut self, context: &mut Context<Self>, mut batch: Batch) {
        assert!(!self.writing, "one write at a time");
        self.writing = true;
        let host = context.host();
        let guard = match host.sabotaged(JOURNAL_WRITTEN_AFTER_REVOKE) {
            true => Compare::Absent { key: String::new() },
            false => self.term.guard(),
        };
        let transaction = Transaction::new().when(guard);
        let transaction = batch.add_to(transaction, self.standing.seen, self.term.session);
        let (client, seen) = (self.client.clone(), self.standing.seen);
        let term = self.term.session;
        let work = async move { write_until_acknowledged(&*client, transaction, seen, term).await };
        context.spawn_then(work, move |leader, context, written| {
            leader.writing = false;
            match written {
                Written::Stands(revision) => {
                    batch.after.seen = revision;
                    leader.standing = batch.after.clone();
                    batch.answer();
                    leader.serve(context);
                }
                Written::TermOver => {
                    leader.term_over = true;
                    batch.refuse();
                }
            }
            leader.on_idle = None;
            leader.write_next(context);
        });
    }

    /// The first write has claimed the journal.
    fn serve(&mut self, context: &mut Context<Self>) {
        if let Some(ready) = self.ready.take() {
            context.host().announce(&JournalEvent::Serving { entries: self.standing.entries });
            // Nobody waits when the term was stopped meanwhile.
            let _ = ready.send(());
        }
    }
}

/// What became of a batch.
enum Written {
    /// It stood at this revision.
    Stands(Revision),
    TermOver,
}

/// Makes a transaction that only this term would make. The term's guard is its first condition, so
/// a refusal by another one means that the tail has moved: by an earlier try of ours, whose answer
/// was lost.
async fn write_until_acknowledged(
    client: &dyn Coordination,
    transaction: Transaction,
    seen: Revision,
    term: LeaderSessionId,
) -> Written {
    let mut uncertain = false;
    loop {
        match client.transact(transaction.clone()).await {
            Ok(transacted) => return Written::Stands(transacted.revision),
            Err(CoordinationError::Refused(Refusal::Condition { index: GUARD })) => {
                return Written::TermOver;
            }
            // There may be room again.
            Err(CoordinationError::Refused(Refusal::Full)) => {}
            // Nobody can write that; whoever sent it is told that this is no leader.
            Err(CoordinationError::Refused(Refusal::TooLarge)) => return Written::TermOver,
            Err(CoordinationError::Refused(refusal)) => {
                assert!(uncertain, "{refusal}, though nobody else may write");
                let stands = tail_after(client, seen, term).await;
                return stands.map_or(Written::TermOver, Written::Stands);
            }
            Err(CoordinationError::Indeterminate(_)) => uncertain = true,
            Err(CoordinationError::NotDone(_)) => {}
        }
        client.host().sleep(client.retry_delay()).await;
    }
}

/// The revision at which the tail was found written by this term after the revision `seen`.
async fn tail_after(
    client: &dyn Coordination,
    seen: Revision,
    term: LeaderSessionId,
) -> Option<Revision> {
    let tail = KeyPattern::Exact(TAIL_KEY.to_string());
    let range = loop {
        match client.read(&tail).await {
            Ok(range) => break range,
            Err(_) => client.host().sleep(client.retry_delay()).await,
        }
    };
    let tail = range.get(TAIL_KEY).filter(|tail| tail.modified > seen);
    let written = tail.and_then(|tail| postcard::from_bytes::<Tail>(&tail.value).ok());
    written.filter(|written| written.term == term).map(|_| range.revision)
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
        let mut standing = Standing { seen: range.revision, ..Standing::default() };
        for found in &range.keys {
            if found.key == TAIL_KEY {
                standing.entries =
                    postcard::from_bytes::<Tail>(&found.value).map_err(text)?.entries;
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
    fn new(standing: &Standing) -> Self {
        Batch { after: standing.clone(), entries: Vec::new(), replies: Vec::new() }
    }

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

    fn add_to(
        &mut self,
        transaction: Transaction,
        seen: Revision,
        term: LeaderSessionId,
    ) -> Transaction {
        let tail = Compare::Unchanged { key: TAIL_KEY.to_string(), since: seen };
        let mut transaction = transaction.when(tail);
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
        self.write_next(context);
    }

    fn position(&mut self, _: &mut Context<Self>, client: u32, reply: Reply<u64>) {
        reply.ok(self.standing.clients.get(&client).copied().unwrap_or(0));
    }
}
