//! The simulation's far side: scenarios, faults, checks and reports. It sees everything and touches
//! nothing but the simulated hardware.
//!
//! Deliberately absent: any reach into a node's memory, and any draw from madsim's generator.

pub mod check;
pub mod explore;
pub mod fault;
pub mod report;
pub mod sabotage;
pub mod scenario;
pub mod world;
