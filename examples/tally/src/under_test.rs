//! The tally under test: what scenarios can say of it, which nodes boot, and what must hold.

use crate::{Client, TallyEvent, run_client, run_server};
use std::collections::{BTreeMap, BTreeSet};
use wavetank::{
    harness::{
        check::{Check, Goal, Invariant, Model},
        event::{EventKind, Milestone, Moment, Reported, event_as},
        language::{DurationRange, NumberRange, number, time},
        system::{
            Disk, Example, MessageGroup, Node, Nodes, Output, RegisteredSystem, Role, RoleSpec,
            RunParameters, Setup, SystemUnderTest, Systems,
        },
    },
    host::Event,
};

/// The systems of this crate, for its command line and its tests.
pub const SYSTEMS: Systems = Systems::new(&[&RegisteredSystem(Tally)]);

// Roles: each makes targets for faults by its name (`server`; `clients`, `client-1`, `random-client`, ...).
const SERVER: Role =
    Role::new(const { &RoleSpec::one("server", "server").with_disk(Disk::OnlyCopy) });
const CLIENT: Role = Role::new(const { &RoleSpec::some("client", "clients", "client") });

wavetank::settings! {
    /// What a scenario says: its keys, their bounds, their defaults. A file may give a range instead.
    #[derive(Clone, Debug, PartialEq)]
    TallySettings {
        cluster {
            "clients" clients: NumberRange = number(1, 64, 2).size(), "Clients.";
        }
        workload {
            "adds" adds: NumberRange = number(1, 100_000, 50).size(), "Adds of each client.";
            "pause" pause: DurationRange = time("0ms", "10m", "100ms"), "From an answer to the next add.";
        }
    }
}

impl Reported for TallyEvent {
    const KIND: &'static str = "tally";
}

// Milestones: moments on which faults can hang, and that sweeps should reach.
wavetank::milestones! {
    MILESTONES: TallyEvent {
        "counted" = _, TallyEvent::Counted { .. }, "The server has counted an add.";
        "answered" = _, TallyEvent::Answered { .. }, "A client knows that an add stands.";
        "recovered" = _, TallyEvent::Recovered { last } if !last.is_empty(), "The server found adds on its disk.";
    }
}

/// The state as far as events tell: what several checks, targets and goals need to know.
#[derive(Debug, Default)]
pub struct State {
    finished: BTreeSet<u64>,
    counted: u64,
}

impl Model for State {
    fn observe(&mut self, _: Moment, event: &dyn Event) {
        match event_as(event) {
            Some(TallyEvent::Finished { client }) => drop(self.finished.insert(*client)),
            Some(TallyEvent::Counted { .. }) => self.counted += 1,
            _ => {}
        }
    }
}

/// The promise, judged at every event.
#[derive(Default)]
pub struct AnsweredStands {
    answered: BTreeMap<u64, (Moment, u64)>,
}

impl Invariant<State> for AnsweredStands {
    fn title(&self) -> &'static str {
        "answered-stands"
    }

    fn promise(&self) -> &'static str {
        "an add that was answered is there when the server begins anew"
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        vec![EventKind::of::<TallyEvent>()]
    }

    fn observe(&mut self, at: Moment, event: &dyn Event, _: &State) -> Check {
        match event_as(event) {
            Some(TallyEvent::Answered { client, number }) => {
                self.answered.insert(*client, (at, *number));
                Check::Passed
            }
            Some(TallyEvent::Recovered { last }) => {
                let found: BTreeMap<u64, u64> = last.iter().copied().collect();
                let lost = self.answered.iter().find(|(client, (_, number))| {
                    found.get(client).copied().unwrap_or(0) < *number
                });
                // Broken with the two events in conflict: what was promised, and what is now.
                match lost {
                    None => Check::Passed,
                    Some((client, (when, number))) => Check::broken(
                        format!("{when}: add {number} of client {client} was answered"),
                        format!("{at}: the server finds {}", found.get(client).unwrap_or(&0)),
                    ),
                }
            }
            _ => Check::Ignored,
        }
    }
}

/// The system under test.
pub struct Tally;

impl SystemUnderTest for Tally {
    const NAME: &'static str = "tally";
    const DESCRIPTION: &'static str = "A server that counts on its disk, and clients that add.";

    type Settings = TallySettings;
    type Model = State;

    fn roles(&self) -> &'static [Role] {
        &[SERVER, CLIENT]
    }

    fn nodes(&self, settings: &TallySettings) -> Vec<Nodes> {
        vec![Nodes::one(SERVER), Nodes::some(CLIENT, settings.clients, "clients")]
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        vec![EventKind::of::<TallyEvent>()]
    }

    fn milestones(&self) -> Vec<Milestone> {
        MILESTONES.to_vec()
    }

    fn messages(&self) -> Vec<MessageGroup> {
        let kinds = vec![crate::message::ADD.name(), crate::message::ADDED.name()];
        vec![MessageGroup { prefix: "Tally.".to_string(), kinds }]
    }

    fn goals(&self) -> &'static [(&'static str, &'static str)] {
        &[("clients", "Until all adds are answered.")]
    }

    fn example(&self) -> Example {
        Example {
            crashed: "random-client",
            cut_off: "server",
            milestone: "counted",
            message: "Tally.added",
            power_cut: "server",
            paused: "server",
        }
    }

    fn setup(&self, settings: &TallySettings, _: &RunParameters<'_>) -> Setup<State> {
        let clients = u64::from(settings.clients.one());
        let mut nodes = vec![Node::one(SERVER, run_server)];
        for number in 1..=settings.clients.one() {
            let client = Client {
                client: number.into(),
                server: SERVER.name().to_string(),
                adds: settings.adds.one().into(),
                pause: settings.pause.one(),
            };
            nodes
                .push(Node::numbered(CLIENT, number, move |host| run_client(host, client.clone())));
        }
        Setup {
            nodes,
            invariants: vec![Box::new(AnsweredStands::default())],
            // What a healed run must come to, within the bounds of the scenario's `[converge]`.
            goals: vec![Goal::new("clients", move |state: &State, _| {
                let left = clients.saturating_sub(state.finished.len() as u64);
                (left > 0).then(|| format!("{left} clients to finish"))
            })],
            output: Box::new(|state| Output {
                summary: format!("{} adds counted", state.counted),
                ..Output::default()
            }),
            explain: Box::new(|_, _| Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wavetank::harness::check::{History, process};

    fn answered() -> History<AnsweredStands, State> {
        History::new().holds(process(1, 1), TallyEvent::Answered { client: 1, number: 3 })
    }

    // A check that has never failed proves nothing: show it a history that it must refuse.
    #[test]
    fn a_lost_add_is_refused_and_one_that_stands_is_accepted() {
        answered().holds(process(0, 2), TallyEvent::Recovered { last: vec![(1, 3)] });
        answered().breaks(process(0, 2), TallyEvent::Recovered { last: vec![(1, 2)] });
        answered().breaks(process(0, 2), TallyEvent::Recovered { last: vec![] });
    }
}
