//! wavetank: a stream-processing cluster that runs live on tokio and TCP and, from the same source,
//! inside a deterministic simulation of its network, clocks and disks.
//!
//! The layers, bottom to top; a layer knows only those below it:
//! - [`host`]: what a node stands on, in both worlds;
//! - [`system`]: the cluster;
//! - `adapters` (live world only): databases and folders behind the traits of the system's services;
//! - [`jobs`]: components and jobs written against the cluster's public API, and what a binary says of its jobs;
//! - `local` (live world only): a whole cluster in one process;
//! - `harness` (simulated world only): scenarios, faults, checks, reports; it knows [`host`] alone;
//! - `under_test` (simulated world only): where systems and the harness meet;
//! - [`cli`]: commands; the only module that prints to a person.
//!
//! # A job
//!
//! A job is a [`Program`](system::dataflow::Program), a function that describes typed streams under a name and a
//! version, and, apart from it, what must be committed of its input. `count` keeps a number for each long word; whatever
//! fails, each is counted once. More of what can be done with a stream (windows of event time, side outputs, two streams
//! that are connected) is in [`system::dataflow`], whole jobs with their oracles in [`jobs`].
//!
//! ```
//! use bytes::Bytes;
//! use std::collections::BTreeMap;
//! use wavetank::{
//!     jobs::{Job, Jobs, common::JobArguments},
//!     system::{
//!         connector::LogSink,
//!         dataflow::{Collector, Failure, KeyContext, Process, Program, Result, StreamEnv, Text},
//!     },
//! };
//!
//! #[derive(Clone, Default)]
//! struct Count;
//!
//! impl Process<Text, Text> for Count {
//!     type State = u64;
//!     type Out = (Text, u64);
//!
//!     fn process(
//!         &mut self,
//!         word: Text,
//!         context: &mut KeyContext<'_, Text, u64>,
//!         out: &mut Collector<'_, (Text, u64)>,
//!     ) -> Result<()> {
//!         let next = context.state().checked_add(1);
//!         // Its task fails with these words, and the job restarts from its last checkpoint.
//!         *context.state() = next.ok_or_else(|| Failure::new("no number is so large"))?;
//!         out.emit((word, *context.state()));
//!         Ok(())
//!     }
//! }
//!
//! /// `input` and `output` are filled in by whoever runs it: topics in simulation, a file live.
//! fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
//!     env.source("lines", arguments.input.source()?)
//!         .flat_map("split", |line: Bytes, out| {
//!             let line = String::from_utf8_lossy(&line).into_owned();
//!             line.split_whitespace().for_each(|word| out.emit(Text::from(word)));
//!         })
//!         .filter("long", |word: &Text| word.len() > 3)
//!         .key_by(Text::clone)
//!         .process("count", Count)
//!         // Text, for people; `LogSink::new` writes the values themselves, compactly.
//!         .sink("counts", LogSink::encoding(&arguments.output, |(word, count): &(Text, u64)| {
//!             Ok(record(word, *count))
//!         }));
//!     Ok(())
//! }
//!
//! fn record(word: &str, count: u64) -> Bytes {
//!     Bytes::from(format!("{word} {count}"))
//! }
//!
//! /// What must be committed of these lines, each record once and in any order.
//! fn expected(lines: &[Bytes]) -> Vec<Bytes> {
//!     let mut counts = BTreeMap::new();
//!     let lines = lines.iter().map(|line| String::from_utf8_lossy(line).into_owned());
//!     let words = lines.flat_map(|line| line.split_whitespace().map(String::from).collect::<Vec<_>>());
//!     let counted = words.filter(|word| word.len() > 3).map(|word| {
//!         let count = counts.entry(word.clone()).and_modify(|count| *count += 1).or_insert(1);
//!         record(&word, *count)
//!     });
//!     counted.collect()
//! }
//!
//! fn job() -> Job {
//!     Job::new(Program::new("long-words", 1, describe), expected)
//!         // What it is given in simulation, line by line; the standard words have two or three letters.
//!         .workload(|_, draws| Bytes::from(format!("it said word-{}", draws.below(50))))
//! }
//!
//! Jobs::from(job()).check()?;
//! # Ok::<(), wavetank::jobs::Untestable>(())
//! ```
//!
//! A crate of one's own hands its jobs to [`cli::main`]: that is its whole `main`, in both worlds. Scenarios with a
//! `[[job]]` run them in simulation, under all faults; `cargo live submit` on a cluster of processes, each of which is
//! that crate's binary; and `local::LocalCluster` in a test of one's own (live world). `cargo run -- init ../my-job --job`
//! writes such a crate: what it needs beside its sources is a `.cargo/config.toml` that chooses the world
//! (`--cfg madsim`; without it the crate is the live one), a scenario, and a test that runs every scenario.

/// A build that was to be a simulation must not quietly become a live one: its tests would vanish.
#[cfg(not(madsim))]
const _: () = assert!(
    !matches!(option_env!("WAVETANK_WORLD"), Some(world) if matches!(world.as_bytes(), b"madsim")),
    "the simulated world is wanted here (WAVETANK_WORLD=madsim in .cargo/config.toml), but --cfg madsim \
     is not set, so something overrides build.rustflags (RUSTFLAGS, or target.*.rustflags of your own \
     configuration); unset it, or type: RUSTFLAGS='--cfg madsim' RUSTDOCFLAGS='--cfg madsim' cargo \
     test. The live cluster is `cargo live`"
);

#[cfg(not(madsim))]
pub mod adapters;
pub mod cli;
#[cfg(madsim)]
pub mod harness;
pub mod host;
pub mod jobs;
#[cfg(not(madsim))]
pub mod local;
pub mod system;
#[cfg(madsim)]
pub mod under_test;
