//! Registration at a leader, tried until it succeeds or is rejected.

mod attempt;
mod call;
mod config;
mod link;

pub use call::{connect_back, register, until_answered};
pub use config::RegistrationConfig;
pub use link::{LeaderLink, Numbers, connect};
