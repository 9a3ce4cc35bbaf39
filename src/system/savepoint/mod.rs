//! Savepoints: the state of a job as its user owns it.
//!
//! A savepoint is a copy of a completed checkpoint. Each part is copied under the savepoint's path, and then its metadata
//! is put, which makes it one: a path without metadata is no savepoint. All names in the metadata are relative to the path,
//! so whoever moves the objects together moves the savepoint. Nothing of it is removed by the job that it was taken of.
//!
//! A job begins from a savepoint at any parallelism, and with any graph that has its operators: [`assign`] says which
//! subtask begins with which parts. What can't be read, or does not fit, is refused with what to do; nothing is lost by a
//! refusal, since a savepoint is only read.

mod assignment;
mod contents;
mod error;
mod metadata;
mod store;

pub use assignment::{Assignment, assign};
pub use contents::{Contents, read_contents};
pub use error::SavepointError;
pub use metadata::{SavedOutput, SavedPart, SavedVertex, Savepoint, metadata_name};
pub use store::{check_path, is_complete, publish, read, read_for};
