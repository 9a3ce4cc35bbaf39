//! The machines of a run, what each fault does to them, and what undoes it.

mod inject;
mod machines;
mod process;
mod strike;
mod undo;

pub use inject::{ExecutedFault, Injector};
pub use machines::{Machines, RESTART_DELAY};
