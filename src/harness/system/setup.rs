//! What a system gives a run, and what it is told of it.

use super::role::Role;
use crate::{
    harness::{
        check::{Goal, Invariant},
        language::DurationRange,
    },
    host::Host,
};
use bytes::Bytes;
use std::{fmt, future::Future, sync::Arc, time::Duration};

pub use futures::future::BoxFuture;

/// Begins a process of a node, each time that it boots.
pub type Main = Box<dyn Fn(Host) -> BoxFuture<'static, ()> + Send + Sync>;

/// A node that is to boot.
pub struct Node {
    /// What runs on it.
    pub role: Role,
    /// Its number, from 1; `None` of a role with one node.
    pub number: Option<u32>,
    /// Its process.
    pub main: Main,
}

impl Node {
    /// The only node of a role: `main` is called with a new host each time that it boots.
    pub fn one<F>(role: Role, main: impl Fn(Host) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Node { role, number: None, main: Box::new(move |host| Box::pin(main(host))) }
    }

    /// The node of a role of that number, from 1.
    pub fn numbered<F>(
        role: Role,
        number: u32,
        main: impl Fn(Host) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Node { number: Some(number), ..Node::one(role, main) }
    }
}

/// What decides a run besides the settings.
#[derive(Clone, Copy, Debug)]
pub struct RunParameters<'a> {
    /// The plan seed, for what the system draws itself.
    pub seed: u64,
    /// Lines in place of the workload.
    pub input: Option<&'a Arc<Vec<Bytes>>>,
    /// The latency of every link.
    pub latency: DurationRange,
    /// Whether faults can come.
    pub has_faults: bool,
}

/// What came out of a run, by the state at its end.
pub type OutputOf<M> = Box<dyn FnOnce(&M) -> Output>;
/// Why a run may be stuck without a bug, by the state at its end.
pub type Explanation<M> = Box<dyn Fn(&M, &StuckRun) -> Vec<String>>;

/// What a run begins with.
pub struct Setup<M> {
    /// The nodes, in the order in which they boot.
    pub nodes: Vec<Node>,
    /// What must hold. That no process panics is judged anyhow.
    pub invariants: Vec<Box<dyn Invariant<M>>>,
    /// What a healed run must come to.
    pub goals: Vec<Goal<M>>,
    /// What came out, by the state at the end.
    pub output: OutputOf<M>,
    /// The reasons for which a run may be stuck without a bug, and what a person would look at first; a
    /// line each.
    pub explain: Explanation<M>,
}

/// A run that did not come to a goal in time.
#[derive(Clone, Copy, Debug)]
pub struct StuckRun {
    /// The key of `[converge]` that bounds the goal.
    pub goal: &'static str,
    /// How long the run was.
    pub ran: Duration,
}

/// What came out of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// In a few words: "300 words counted, 12 different".
    pub summary: String,
    /// Of the end, what no scheduling changes: it stands in snapshots.
    pub end: Vec<String>,
    /// All of it, a line each, for `run --output`.
    pub lines: Vec<String>,
    /// Of a run that read a user's text: that it equals what the text comes to, or the difference.
    pub compared: Option<Result<String, String>>,
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

/// The kinds of messages of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageGroup {
    /// How they begin, dot included: `JournalGateway.`; empty of kinds that have nothing in common.
    pub prefix: String,
    /// The kinds.
    pub kinds: Vec<&'static str>,
}

/// What a commented scenario to start from names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The target of its crash.
    pub crashed: &'static str,
    /// The target that is cut off.
    pub cut_off: &'static str,
    /// The milestone on which that hangs.
    pub milestone: &'static str,
    /// The beginning of a kind of message that is delayed.
    pub message: &'static str,
    /// The target of its power cut: the node whose disk matters most.
    pub power_cut: &'static str,
    /// The target of its pause.
    pub paused: &'static str,
}

/// What a lint may need of the scenario around the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LintContext {
    /// The least latency of a link.
    pub latency_min: Duration,
    /// Whether a run is to pass.
    pub expects_passed: bool,
}
