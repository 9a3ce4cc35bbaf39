//! Operators and sources: the user's part of a task.

mod api;
mod chain;
mod error;
mod keyed;
mod output;
mod record;
mod registry;

pub use api::{Operator, OperatorContext, Source, SourceStep};
pub(super) use chain::OperatorChain;
pub use error::TaskError;
pub(super) use error::caught;
pub use keyed::KeyedState;
pub use output::Output;
pub use record::Record;
pub use registry::{KeySelector, OperatorRegistry};
