//! What goes wrong inside of a service, as its clients see it.

/// A service answers a call with an error of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InjectedError {
    /// The call is not handled.
    NotApplied,
    /// The call is handled all the same.
    Applied,
}
