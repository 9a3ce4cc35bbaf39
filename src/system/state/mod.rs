//! Where the state of keyed operators is kept while they work.

pub mod disk_store;
