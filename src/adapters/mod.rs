//! What stands in place of a service of the cluster and comes from elsewhere: live only, each behind the service's
//! trait. Here alone time, network and files are those of somebody else's crate.

pub mod database;
pub mod folder;
