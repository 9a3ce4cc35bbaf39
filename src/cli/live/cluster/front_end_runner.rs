//! The process of a front end.

use super::worker::Worker;
use crate::{
    cli::live::{
        CliError, Outcome,
        place::{announce, run, told_to_end},
        text::parse_duration,
    },
    system::{cluster::run_front_end_node, request_reply::FrontEndConfig},
};
use clap::Args;
use std::time::Duration;

/// Runs a front end.
#[derive(Args)]
pub struct FrontEndRunner {
    #[command(flatten)]
    worker: Worker,
    /// Its place: the partition of the responses that it reads
    #[arg(long)]
    slot: u32,
    /// The topic into which requests go
    #[arg(long)]
    requests: String,
    /// The topic out of which responses come
    #[arg(long)]
    responses: String,
    /// Requests in flight at most
    #[arg(long)]
    capacity: usize,
    /// How long a request may wait for its response, and before for room
    #[arg(long, value_parser = parse_duration)]
    timeout: Duration,
}

impl FrontEndRunner {
    /// Runs it to its end.
    pub fn run(self) -> Result<Outcome, CliError> {
        let FrontEndRunner { worker, slot, requests, responses, capacity, timeout } = self;
        let Worker { place, servers } = worker;
        run(place, async |host, port| {
            let front_end = FrontEndConfig {
                port,
                capacity,
                timeout,
                room_timeout: timeout,
                ..FrontEndConfig::new(slot, &requests, &responses)
            };
            run_front_end_node(host, servers.config(), front_end, announce, told_to_end()).await;
        })
    }
}
