//! The journal under test.

mod journal_exact;
mod model;
mod nodes;
mod settings;

use super::{COMPONENT, ENTRY_PREFIX, Entry, JournalEvent, JournalGateway, TAIL_KEY, sabotage};
pub use model::Model;
pub use settings::JournalSettings;

use bytes::Bytes;
use journal_exact::JournalExact;
use std::{collections::BTreeMap, time::Duration};
use wavetank::under_test::cluster::{
    COORDINATION, EventKind as ClusterKind, TimeBounds, check_lines, elected, invariants, messages,
    milestones_of_foundation,
};
use wavetank::{
    harness::{
        check::Goal,
        event::{EventKind, Milestone, Reported},
        system::{
            Example, MessageGroup, Nodes, Output, OwnFault, RegisteredSystem, Role, RoleSpec,
            RunParameters, Setup, StateTarget, StuckRun, SystemUnderTest, Systems,
        },
    },
    host::{
        MESSAGE_BYTES_MAX, Property, Sabotage,
        sim::{LinkEffect, LinkRule, NodeSet},
    },
    system::{
        rpc::Gateway,
        sabotage::{
            AT_MOST_ONCE_WINDOW_OFF, LOST_LEASE_TREATED_AS_ALIVE, STALE_CONFIRMATION_ACCEPTED,
            STALE_TOKEN_ACCEPTED,
        },
        service::coordination::{Change, CoordinationEvent, CoordinationGateway},
    },
};

const JOURNAL: Role = Role::new(
    const {
        &RoleSpec::some("journal", "journals", "journal node")
            .replaceable()
            .serving(const { &[JournalGateway::PROTOCOL.name] })
    },
);
const CLIENT: Role = Role::new(const { &RoleSpec::some("client", "clients", "client") });

/// How much slower the clock runs of a node that hears nothing, in a million.
const SLOW_CLOCK: i64 = -50_000;

/// A leader that hears nothing can only count by its clock that its lease is over.
const DEAF_WITH_SLOW_CLOCK: OwnFault = OwnFault::new(
    "deaf-with-slow-clock",
    "A journal node hears nothing, though others hear it, and its clock runs slow.",
    |injector, node| {
        let (from, to) = (NodeSet::All, NodeSet::one(node));
        let deaf = LinkRule { from, to, kind: None, nth: None, effect: LinkEffect::Cut };
        injector.link_rule(deaf).and(injector.drift(node, SLOW_CLOCK))
    },
)
.of(JOURNAL);

/// The most bytes of a line of a user's text.
const LINE_BYTES_MAX: usize = 64 * 1024;

impl Reported for JournalEvent {
    const KIND: &'static str = "journal";

    fn in_words(&self) -> Option<String> {
        match self {
            JournalEvent::Serving { entries } => Some(format!("serves, {entries} entries stand")),
            JournalEvent::ClientFinished { lines, .. } => Some(format!("finished {lines} lines")),
            JournalEvent::Acknowledged { .. } => None,
        }
    }
}

wavetank::milestones! {
    OF_JOURNAL: JournalEvent {
        "journal-serving" = _, JournalEvent::Serving { .. }, "A journal leader has recovered and serves.";
        "journal-recovered" = _, JournalEvent::Serving { entries } if *entries > 0, "A journal leader has recovered entries of an earlier one.";
        "journal-acknowledged" = _, JournalEvent::Acknowledged { .. }, "A client was told that lines stand.";
        "client-finished" = _, JournalEvent::ClientFinished { .. }, "A client has nothing more to send.";
    }
    OF_TAIL: CoordinationEvent {
        "journal-written" = _, CoordinationEvent::Committed { changes, .. } if changes.iter().any(writes_tail), "Lines were written durably.";
    }
}

fn writes_tail(change: &Change) -> bool {
    matches!(change, Change::Put { key, .. } if key == TAIL_KEY)
}

/// What runs here of the cluster's code, by its modules' paths.
const MODULES: &[&str] = &[
    "wavetank::system::leadership",
    "wavetank::system::rpc",
    "wavetank::system::service::coordination",
];

/// The systems of this crate, for its command line and its tests.
pub const SYSTEMS: Systems = Systems::new(&[&RegisteredSystem(Journal)]);

/// Journal nodes and their clients.
pub struct Journal;

impl SystemUnderTest for Journal {
    const NAME: &'static str = "journal";
    const DESCRIPTION: &'static str = "Journal nodes of which one leads, clients that append lines, and the coordination server: \
         the smallest component that needs leaders and durable writes.";

    type Settings = JournalSettings;
    type Model = Model;

    fn roles(&self) -> &'static [Role] {
        &[COORDINATION, JOURNAL, CLIENT]
    }

    fn nodes(&self, settings: &JournalSettings) -> Vec<Nodes> {
        vec![
            Nodes::one(COORDINATION),
            Nodes::some(JOURNAL, settings.journals, "journals"),
            Nodes::some(CLIENT, settings.clients, "clients"),
        ]
    }

    fn targets(&self) -> &'static [StateTarget<Model>] {
        &[
            StateTarget {
                name: "leader",
                is_numbered: false,
                meaning: "the journal node that holds the latch, else a random one",
                role: JOURNAL,
                or_any: true,
                find: |model, _, nodes| {
                    let leader = model.cluster.leader(COMPONENT);
                    leader.into_iter().filter(|leader| nodes.contains(leader)).collect()
                },
            },
            StateTarget {
                name: "follower",
                is_numbered: false,
                meaning: "a random journal node that does not hold the latch",
                role: JOURNAL,
                or_any: false,
                find: |model, _, nodes| {
                    let leader = model.cluster.leader(COMPONENT);
                    nodes.iter().copied().filter(|node| Some(*node) != leader).collect()
                },
            },
        ]
    }

    fn has_property(&self, property: &Property) -> bool {
        MODULES.iter().any(|module| property.module().starts_with(module))
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        let of_cluster = [
            ClusterKind::Rpc,
            ClusterKind::Coordination,
            ClusterKind::Heartbeat,
            ClusterKind::Leadership,
        ];
        let of_cluster = of_cluster.iter().map(|kind| kind.of_harness());
        of_cluster.chain([EventKind::of::<JournalEvent>()]).collect()
    }

    fn milestones(&self) -> Vec<Milestone> {
        milestones_of_foundation().into_iter().chain([OF_JOURNAL, OF_TAIL].concat()).collect()
    }

    fn faults(&self) -> &'static [OwnFault] {
        &[DEAF_WITH_SLOW_CLOCK]
    }

    fn messages(&self) -> Vec<MessageGroup> {
        messages(&[CoordinationGateway::PROTOCOL, JournalGateway::PROTOCOL])
    }

    fn sabotages(&self) -> &'static [Sabotage] {
        &[
            STALE_TOKEN_ACCEPTED,
            STALE_CONFIRMATION_ACCEPTED,
            LOST_LEASE_TREATED_AS_ALIVE,
            sabotage::JOURNAL_WRITTEN_AFTER_REVOKE,
            AT_MOST_ONCE_WINDOW_OFF,
        ]
    }

    fn goals(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("leaders", "Until one journal node leads, published and known to all."),
            ("clients", "Until the clients have nothing more to send."),
        ]
    }

    fn example(&self) -> Example {
        Example {
            crashed: "random-journal",
            cut_off: "leader",
            milestone: "journal-written",
            message: "JournalGateway.append",
            power_cut: "coordination",
            paused: "follower",
        }
    }

    fn setup(&self, settings: &JournalSettings, run: &RunParameters<'_>) -> Setup<Model> {
        let lines = nodes::journal_lines(settings, run.seed, run.input);
        let clients = u32::try_from(lines.len()).expect("few clients");
        let session_timeout = settings.session_timeout.one();
        let bounds = TimeBounds { session_timeout, ..TimeBounds::default() };
        let mut invariants = invariants::of_foundation(&bounds, &[(TAIL_KEY, COMPONENT)]);
        invariants.push(Box::new(JournalExact::new(lines.clone())));
        let (least, input) = (least_to_send(settings), run.input.cloned());
        Setup {
            nodes: nodes::journal_nodes(settings, &lines),
            invariants,
            goals: vec![
                Goal::new("leaders", |model: &Model, _| elected(&model.cluster, COMPONENT)),
                Goal::new("clients", move |model, _| unfinished(model, clients))
                    .since(|model: &Model| Some(model.last_acknowledged)),
            ],
            output: Box::new(move |model| output(model, input.as_ref().map(|lines| &lines[..]))),
            explain: Box::new(move |_, stuck| too_long(least, stuck).into_iter().collect()),
        }
    }

    fn check_input(&self, settings: &JournalSettings, lines: &[Bytes]) -> Result<(), String> {
        let batch = usize::try_from(settings.batch.high).unwrap_or(usize::MAX);
        // So that a batch of lines fits a message.
        check_lines(lines, (MESSAGE_BYTES_MAX / 2 / batch).min(LINE_BYTES_MAX))
    }
}

fn unfinished(model: &Model, clients: u32) -> Option<String> {
    let unfinished: Vec<String> = (1..=clients)
        .filter(|client| !model.finished.contains(client))
        .map(|client| {
            let lines = model.acknowledged.get(&client).copied().unwrap_or(0);
            format!("client {client} to finish ({lines} lines acknowledged)")
        })
        .collect();
    (!unfinished.is_empty()).then(|| unfinished.join(", "))
}

/// What the clients' pauses alone take.
fn least_to_send(settings: &JournalSettings) -> Duration {
    settings.pause.one() * settings.lines.one().div_ceil(settings.batch.one())
}

fn too_long(least: Duration, stuck: &StuckRun) -> Option<String> {
    (stuck.goal == "clients" && least >= stuck.ran).then(|| {
        let [least, ran] = [least, stuck.ran].map(|time| time.as_secs());
        format!("no bug: the clients' pauses alone take {least}s; the run had {ran}s")
    })
}

fn output(model: &Model, input: Option<&[Bytes]>) -> Output {
    let entries = model.cluster.keys.iter().filter(|(key, _)| key.starts_with(ENTRY_PREFIX));
    let entries: Vec<Entry> =
        entries.filter_map(|(_, value)| postcard::from_bytes(value).ok()).collect();
    let mut lines_of = BTreeMap::<u32, u64>::new();
    for entry in &entries {
        *lines_of.entry(entry.client).or_default() += 1;
    }
    let end =
        lines_of.iter().map(|(client, lines)| format!("client {client}: {lines} lines stand"));
    let compared = input.map(|input| {
        let lines = input.iter().map(|line| String::from_utf8_lossy(line));
        let equal = entries.iter().map(|entry| entry.line.as_str()).eq(lines);
        let verdict = if equal { "equals" } else { "DIFFERS FROM" };
        let (stand, all) = (entries.len(), input.len());
        let text = format!("the journal ({stand} lines) {verdict} the input ({all} lines)");
        if equal { Ok(text) } else { Err(text) }
    });
    Output {
        summary: format!("{} lines stand", entries.len()),
        end: end.collect(),
        lines: entries.into_iter().map(|entry| entry.line).collect(),
        compared,
    }
}
