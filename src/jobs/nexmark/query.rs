//! What the queries have in common.

use super::event::{self, Bid, Event, OUT_OF_ORDER_MAX};
use crate::{
    jobs::{common::JobArguments, job::Job},
    system::dataflow::{
        Collector, Failure, Program, Result, Stream, StreamEnv, Timestamp, WatermarkStrategy,
    },
};
use bytes::Bytes;

/// A query as a job.
pub fn query(
    name: &str,
    describe: fn(&mut StreamEnv, &JobArguments) -> Result<()>,
    expected: fn(&[Event]) -> Vec<String>,
) -> Job {
    let expected = move |lines: &[Bytes]| {
        let events: Vec<Event> = lines.iter().filter_map(|line| Event::parse(line)).collect();
        expected(&events).into_iter().map(Bytes::from).collect()
    };
    let job = Job::new(Program::new(name, 1, describe), expected).workload(event::drawn);
    let job = job.reads(|line| {
        let none = || "it is no event, such as `bid 5 1 200 1500`".to_string();
        Event::parse(line).map(drop).ok_or_else(none)
    });
    job.reads_all(event::check_order)
}

/// The events of the input, with their times.
pub fn events(env: &mut StreamEnv, arguments: &JobArguments) -> Result<Stream<Event>> {
    let read = |line: Bytes, out: &mut Collector<'_, Event>| {
        let event = Event::parse(&line).ok_or_else(|| Failure::new("a line is no event"))?;
        out.emit(event);
        Ok(())
    };
    let in_time =
        WatermarkStrategy::for_bounded_out_of_orderness(OUT_OF_ORDER_MAX, |event: &Event| {
            Timestamp(event.time())
        });
    let events = env.source("events", arguments.input.source()?).try_flat_map("read", read);
    Ok(events.assign_timestamps_and_watermarks("event-time", in_time))
}

/// The bids of the input, with their times.
pub fn bids(env: &mut StreamEnv, arguments: &JobArguments) -> Result<Stream<Bid>> {
    let bids = events(env, arguments)?.flat_map("bids", |event, out| {
        if let Event::Bid(bid) = event {
            out.emit(bid);
        }
    });
    Ok(bids)
}
