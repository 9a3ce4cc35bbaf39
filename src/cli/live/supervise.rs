//! A journal cluster as processes: starts them, kills some, starts them again, reads the journal.

use super::{
    CliError, coordination_config,
    member::Member,
    observe::Observer,
    strike::{Pace, Strikes},
    text::Narrator,
    verify::first_difference,
};
use crate::{
    host::{Host, NodeAddress},
    jobs::journal::{Entry, read_entries},
    system::{
        leadership::{LeaderInformation, LeaderSessionId},
        rpc::RpcSystem,
        service::coordination::CoordinationClient,
    },
};
use std::{ops::Range, path::PathBuf, sync::Arc, time::Duration};

/// The number of the only client.
pub const CLIENT: u32 = 1;
const TICK: Duration = Duration::from_millis(10);

/// What is to be run.
pub struct Plan {
    /// Where each process has a folder.
    pub folder: PathBuf,
    /// The file whose lines are sent.
    pub input: PathBuf,
    /// Its lines.
    pub lines: Arc<Vec<String>>,
    /// Journal nodes.
    pub journals: u32,
    /// How fast the client sends, as asked for.
    pub pace: Pace,
    /// Leading journal nodes to kill.
    pub leader_kills: u32,
    /// Times to kill the coordination server.
    pub coordination_kills: u32,
    /// Which tracing lines the processes print.
    pub log: String,
}

/// What came of it.
pub struct Report {
    /// The journal.
    pub entries: Vec<Entry>,
    /// Lines that stood before.
    pub stood: usize,
    /// Kills of the leader.
    pub leader_strikes: Strikes,
    /// Kills of the coordination server.
    pub coordination_strikes: Strikes,
    /// How long the lines were being sent.
    pub sending: Duration,
}

/// The processes of one cluster, and who watches over them.
pub struct Supervisor<'a> {
    host: Host,
    plan: &'a Plan,
    narrator: &'a Narrator,
    observer: &'a Observer,
    coordination: Member,
    journals: Vec<Member>,
    client: Option<Member>,
    leader_strikes: Strikes,
    coordination_strikes: Strikes,
    /// The term whose leader was killed last.
    struck: Option<LeaderSessionId>,
    /// The term whose leader was told last.
    told: Option<LeaderSessionId>,
}

impl<'a> Supervisor<'a> {
    /// A cluster that is not there yet.
    pub fn new(
        host: &Host,
        plan: &'a Plan,
        narrator: &'a Narrator,
        observer: &'a Observer,
    ) -> Self {
        let now = host.now();
        let name = "coordination".to_string();
        let coordination =
            Member::new("coordination", name, &plan.folder, &plan.log, now).keeping_port();
        Supervisor {
            host: host.clone(),
            plan,
            narrator,
            observer,
            coordination,
            journals: Vec::new(),
            client: None,
            leader_strikes: Strikes::default(),
            coordination_strikes: Strikes::default(),
            struck: None,
            told: None,
        }
    }

    /// Runs the cluster until the client's lines stand, and reads the journal. Lines are sent only
    /// to a journal that holds nothing but the first of them.
    pub async fn run(mut self) -> Result<Report, CliError> {
        let server = self.start_coordination().await?;
        let service = RpcSystem::load(&self.host).bind(0).await?;
        let client = CoordinationClient::new(&service, coordination_config(server.clone()));
        let mut entries = self.read_journal(&client).await?;
        let (stood, lines) = (entries.len(), &self.plan.lines);
        let began = self.host.now();
        let mut sending = Duration::ZERO;
        if stood < lines.len() && first_difference(&entries, &lines[..stood]).is_none() {
            self.narrator.say(&format!("{stood} of {} lines stand", lines.len()));
            self.observer.start(&client, CLIENT);
            self.start_others(&server, stood as u64..lines.len() as u64);
            while !self.client.as_ref().is_some_and(Member::has_finished) {
                self.strike();
                self.tend()?;
                self.host.sleep(TICK).await;
            }
            sending = self.host.now().saturating_since(began);
            self.narrator.say("all lines stand; reading the journal back");
            entries = self.read_journal(&client).await?;
        }
        let Supervisor { leader_strikes, coordination_strikes, .. } = self;
        Ok(Report { entries, stood, leader_strikes, coordination_strikes, sending })
    }

    /// Starts the coordination server on a free port, which is its own from then on.
    async fn start_coordination(&mut self) -> Result<NodeAddress, CliError> {
        loop {
            self.tend()?;
            if let Some(server) = self.coordination.address().cloned() {
                return Ok(server);
            }
            self.host.sleep(TICK).await;
        }
    }

    fn start_others(&mut self, server: &NodeAddress, lines: Range<u64>) {
        let (plan, now) = (self.plan, self.host.now());
        let kills = plan.leader_kills.max(plan.coordination_kills);
        let Pace { batch, pause } = plan.pace.with_kills(kills, lines.end - lines.start);
        self.leader_strikes = Strikes::of_leaders(plan.leader_kills, lines.clone());
        self.coordination_strikes = Strikes::of_coordination(plan.coordination_kills, lines);
        let member = |role: &str, name: String| {
            let mut member = Member::new(role, name, &plan.folder, &plan.log, now);
            member.set("--coordination", server.to_string());
            member
        };
        let journals = (1..=plan.journals).map(|n| member("journal", format!("journal-{n}")));
        self.journals = journals.collect();
        let mut client = member("client", format!("client-{CLIENT}"));
        client.set("--input", &plan.input);
        client.set("--client", CLIENT.to_string());
        client.set("--batch", batch.to_string());
        client.set("--pause", format!("{}us", pause.as_micros()));
        self.client = Some(client);
        self.narrator.say(&format!("the client sends {batch} lines a call and pauses {pause:?}"));
    }

    /// Asks for the journal until the coordination server answers.
    async fn read_journal(&mut self, client: &CoordinationClient) -> Result<Vec<Entry>, CliError> {
        loop {
            self.tend()?;
            match read_entries(client).await {
                Ok(entries) => return Ok(entries),
                Err(error) => tracing::debug!(%error, "the journal can't be read yet"),
            }
            self.host.sleep(TICK).await;
        }
    }

    /// Looks after every process.
    fn tend(&mut self) -> Result<(), CliError> {
        let now = self.host.now();
        let others = self.journals.iter_mut().chain(&mut self.client);
        for member in [&mut self.coordination].into_iter().chain(others) {
            member.tend(now, self.narrator)?;
        }
        self.tell();
        Ok(())
    }

    /// Says who leads when that is new, and how far the lines are.
    fn tell(&mut self) {
        let seen = self.observer.seen();
        if let Some(leader) = seen.leader.as_ref().filter(|new| self.told != Some(new.session))
            && let Some(name) = self.journal_at(leader).map(|index| self.journals[index].name())
        {
            self.narrator.say(&format!("{name} leads, term {}", seen.term));
            self.told = Some(leader.session);
        }
        let sends = self.client.as_ref().is_some_and(|client| !client.has_finished());
        if sends {
            self.narrator.progress(&self.progress());
        }
    }

    fn progress(&self) -> String {
        let seen = self.observer.seen();
        let leader = seen.leader.as_ref().and_then(|leader| self.journal_at(leader));
        let leader = match leader {
            Some(index) => format!("leader {}, term {}", self.journals[index].name(), seen.term),
            None if seen.term == 0 => "no leader yet".to_string(),
            None => format!("no leader since term {}: its lease must run out", seen.term),
        };
        format!("{}/{} lines, {leader}", seen.lines, self.plan.lines.len())
    }

    /// Which journal node, in its present life, is meant.
    fn journal_at(&self, leader: &LeaderInformation) -> Option<usize> {
        self.journals.iter().position(|journal| journal.address() == Some(&leader.address.node))
    }

    /// Kills whom it is time to kill.
    fn strike(&mut self) {
        let (seen, now) = (self.observer.seen(), self.host.now());
        if seen.lines >= self.plan.lines.len() as u64 {
            return;
        }
        if self.coordination_strikes.is_due(seen.lines)
            && let Some(id) = self.coordination.kill(now)
        {
            self.coordination_strikes.strike();
            let text = format!("killed coordination (pid {id}) at line {}", seen.lines);
            self.narrator.say(&text);
        }
        if !self.leader_strikes.is_due(seen.lines) {
            return;
        }
        // A restarted node may be given the port of the leader that it was.
        let leader = seen.leader.filter(|leader| self.struck != Some(leader.session));
        let Some(leader) = leader else { return };
        let Some(index) = self.journal_at(&leader) else { return };
        let journal = &mut self.journals[index];
        if let Some(id) = journal.kill(now) {
            self.leader_strikes.strike();
            self.struck = Some(leader.session);
            let text =
                format!("killed leader {} (pid {id}) at line {}", journal.name(), seen.lines);
            self.narrator.say(&text);
        }
    }
}
