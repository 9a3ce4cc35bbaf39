//! One endpoint between stubs of those that it speaks to, or a part of one on a real service: facts that a whole
//! cluster would bear not to hold, since something else makes up for them.

mod bench;
mod dispatcher;
mod executor;
mod gateway;
mod job_store;
mod manager;
mod stubs;
mod terms;
mod web_monitor;
