//! wavetank: a stream-processing cluster that runs live on tokio and TCP and, from the same source,
//! inside a deterministic simulation of its network, clocks and disks.
//!
//! The layers, bottom to top; a layer knows only those below it:
//! - [`host`]: what a node stands on, in both worlds;
//! - [`system`]: the cluster;
//! - [`jobs`]: components and jobs written against the cluster's public API;
//! - `local` (live world only): a whole cluster in one process;
//! - `harness` (simulated world only): scenarios, faults, checks, reports; it knows [`host`] alone;
//! - `under_test` (simulated world only): where systems and the harness meet;
//! - [`cli`]: commands; the only module that prints to a person.

/// A build that was to be a simulation must not quietly become a live one: its tests would vanish.
#[cfg(not(madsim))]
const _: () = assert!(
    !matches!(option_env!("WAVETANK_WORLD"), Some(world) if matches!(world.as_bytes(), b"madsim")),
    "the simulated world is wanted here (WAVETANK_WORLD=madsim in .cargo/config.toml), but --cfg madsim \
     is not set, so something overrides build.rustflags (RUSTFLAGS, or target.*.rustflags of your own \
     configuration); unset it, or type: RUSTFLAGS='--cfg madsim' RUSTDOCFLAGS='--cfg madsim' cargo \
     test. The live cluster is `cargo live`"
);

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
