//! The simulation's far side: scenarios, faults, checks and reports. It sees everything and touches
//! nothing but the simulated hardware. It knows no system: what is tested is a
//! [`SystemUnderTest`](system::SystemUnderTest) that somebody hands it.
//!
//! Bottom to top; a module knows only those above it in this list:
//! - [`language`]: the file language;
//! - [`event`]: kinds of events, and milestones;
//! - [`check`]: invariants, and what a healed run must come to;
//! - [`system`]: all that is asked of a system under test;
//! - [`fault`]: kinds of faults, when they begin, whom they strike;
//! - [`scenario`]: a whole file, and the plans that seeds draw from it;
//! - [`nemesis`]: the machines, and what faults do to them;
//! - [`run`]: one run, many runs;
//! - [`report`]: what a person reads of them;
//! - [`explore`]: failures kept, shown again and searched for;
//! - [`shrink`]: the smallest plan that fails as another does.
//!
//! Deliberately absent: any reach into a node's memory, and any draw from madsim's generator.

pub mod check;
pub mod event;
pub mod explore;
pub mod fault;
pub mod language;
pub mod nemesis;
pub mod report;
pub mod run;
pub mod sabotage;
pub mod scenario;
pub mod shrink;
pub mod system;
