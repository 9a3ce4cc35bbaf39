//! The machines of a run, what each fault does to them, and what undoes it.

mod devices;
mod dispatch;
mod executed;
mod injector;
mod ledger;
mod links;
mod machines;
mod processes;
mod strike;

pub use executed::ExecutedFault;
pub use injector::Injector;
pub use machines::{Machines, RESTART_DELAY};
