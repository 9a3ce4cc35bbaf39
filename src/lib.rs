//! wavetank: a stream-processing cluster that runs live on tokio and TCP and, from the same source,
//! inside a deterministic simulation of its network, clocks and disks.
//!
//! The layers, bottom to top; a layer knows only those below it:
//! - [`host`]: what a node stands on, in both worlds;
//! - [`system`]: the cluster;
//! - `adapters` (live world only): databases behind the traits of the system's services;
//! - [`jobs`]: components and jobs written against the cluster's public API, and what a binary says of its jobs;
//! - `local` (live world only): a whole cluster in one process;
//! - `harness` (simulated world only): scenarios, faults, checks, reports; it knows [`host`] alone;
//! - `under_test` (simulated world only): where systems and the harness meet;
//! - [`cli`]: commands; the only module that prints to a person.
//!
//! # A job
//!
//! A job is a [`Program`](system::dataflow::Program): a function that describes typed streams, under a name and a
//! version. `count` keeps a number for each word; whatever fails, each is counted once. More of what can be done with a
//! stream (windows of event time, side outputs, two streams that are connected) is in [`system::dataflow`], whole jobs
//! with their oracles in [`jobs`].
//!
//! ```
//! use bytes::Bytes;
//! use serde::Deserialize;
//! use wavetank::system::{
//!     connector::{LogSink, LogSource, LogSourceParameters},
//!     dataflow::{Collector, KeyContext, Process, Program, Result, StreamEnv, Text},
//!     ids::JobId,
//! };
//!
//! #[derive(Deserialize)]
//! struct Arguments {
//!     input: LogSourceParameters,
//!     output: String,
//! }
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
//!         *context.state() += 1;
//!         out.emit((word, *context.state()));
//!         Ok(())
//!     }
//! }
//!
//! fn word_count(env: &mut StreamEnv, arguments: &Arguments) -> Result<()> {
//!     env.source("lines", LogSource::new(arguments.input.clone())?)
//!         .flat_map("split", |line: Bytes, out| {
//!             let line = String::from_utf8_lossy(&line).into_owned();
//!             line.split_whitespace().for_each(|word| out.emit(Text::from(word)));
//!         })
//!         .key_by(Text::clone)
//!         .process("count", Count)
//!         .sink("counts", LogSink::new(&arguments.output));
//!     Ok(())
//! }
//!
//! let program = Program::new("word-count", 1, word_count);
//! let arguments = r#"{"input": {"topic": "lines", "stop": [1000, 1000]}, "output": "counts"}"#;
//! let job = program.job(JobId(1), arguments, 2)?;
//! let names: Vec<&str> = job.vertices.iter().map(|vertex| vertex.name.as_str()).collect();
//! assert_eq!(names, ["lines -> split", "count -> counts"]);
//! # Ok::<(), wavetank::system::dataflow::ProgramError>(())
//! ```
//!
//! With what must be committed of its input it is a [`Job`](jobs::Job). A crate of one's own hands its jobs to
//! [`cli::main`]: that is its whole `main`, in both worlds. Scenarios with a `[[job]]` run them in simulation, under all
//! faults; `cargo live submit` on a cluster of processes, each of which is that crate's binary; and
//! `local::LocalCluster` in a test of one's own (live world). `examples/word-count` does all three.

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
