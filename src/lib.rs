//! wavetank: a stream-processing cluster that runs live on tokio and TCP and, from the same source,
//! inside a deterministic simulation of its network, clocks and disks.
//!
//! The house, bottom to top; a floor knows only those below it:
//! - [`host`]: what a node stands on, in both worlds;
//! - [`system`]: the cluster;
//! - [`jobs`]: components and jobs written against the cluster's public API;
//! - `harness` (simulated world only): scenarios, faults, checks, reports;
//! - [`cli`]: commands; the only room that prints to a person.

#[cfg(all(madsim, live))]
compile_error!(
    "both --cfg madsim and --cfg live are set; use `cargo run` for the simulation or `cargo live` \
     for the live cluster, and leave RUSTFLAGS alone"
);
#[cfg(not(any(madsim, live)))]
compile_error!(
    "neither --cfg madsim nor --cfg live is set, so something overrides build.rustflags of \
     .cargo/config.toml (RUSTFLAGS, or target.*.rustflags of your own configuration); unset it, or \
     type: RUSTFLAGS='--cfg madsim' RUSTDOCFLAGS='--cfg madsim' cargo test"
);

pub mod cli;
#[cfg(madsim)]
pub mod harness;
pub mod host;
pub mod jobs;
pub mod system;
