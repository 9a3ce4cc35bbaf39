//! What the public API and the tool show from outside, in one binary: linking costs more than the tests.
//!
//! `cargo test --test suite rpc::` runs one layer's.

#[cfg(madsim)]
mod campaign;
#[cfg(madsim)]
mod catalogue;
#[cfg(madsim)]
mod cli;
#[cfg(madsim)]
mod clone;
#[cfg(madsim)]
mod cluster;
#[cfg(madsim)]
mod conformance;
#[cfg(madsim)]
mod converge;
#[cfg(madsim)]
mod coordination;
#[cfg(madsim)]
mod determinism;
#[cfg(madsim)]
mod disk_store;
#[cfg(madsim)]
mod docs;
#[cfg(madsim)]
mod endpoints;
mod exit_codes;
#[cfg(madsim)]
mod explore;
#[cfg(madsim)]
mod explorer;
#[cfg(madsim)]
mod failure;
#[cfg(madsim)]
mod harness;
#[cfg(madsim)]
mod heartbeat;
#[cfg(madsim)]
mod http;
/// The sources of the example of a stranger's system: the harness is tried on it too.
#[cfg(madsim)]
#[path = "../../examples/journal/src/lib.rs"]
#[expect(dead_code, unused_imports, reason = "not all of it is tried here")]
mod journal;
#[cfg(madsim)]
mod leadership;
#[cfg(not(madsim))]
mod live;
#[cfg(not(madsim))]
mod local;
#[cfg(madsim)]
mod log;
#[cfg(madsim)]
mod milestones;
mod object_contract;
#[cfg(madsim)]
mod object_store;
#[cfg(madsim)]
mod plans;
#[cfg(madsim)]
mod properties;
#[cfg(madsim)]
mod recovery;
mod request_reply;
#[cfg(madsim)]
mod rpc;
#[cfg(not(madsim))]
mod rpc_live;
#[cfg(madsim)]
mod sabotage;
#[cfg(madsim)]
mod savepoints;
#[cfg(madsim)]
mod service;
#[cfg(madsim)]
mod shrink;
#[cfg(madsim)]
mod task;
mod tidy;
#[cfg(madsim)]
mod web_monitor;
