//! Shrinking: the smallest plan that still breaks the same promise in the same way.
//!
//! A plan is data, so that all is done on its file's text: faults and tables are taken out, values made smaller or
//! plainer, and whatever the reader of scenarios refuses is no candidate. A candidate is one run, under the schedule
//! that failed; what comes out at the end is held to the failure rate of the whole plan.

mod candidates;
mod document;
mod lost;
mod messages;
mod rates;
mod shape;
mod shrinker;
mod trial;

pub use document::Measure;
pub use lost::when_lost;
pub use rates::Rate;
pub use shape::Shape;
pub use shrinker::{Limits, Progress, Shrunk, shrink};
