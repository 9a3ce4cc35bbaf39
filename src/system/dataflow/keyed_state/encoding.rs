//! How what is kept under a name is written.

use crate::system::dataflow::{
    data::{Data, decode, encode_into},
    failure::Result,
    shape::shape_of,
};

/// Writes and reads what a state holds. The usual one is [`Postcard`]; one of your own reads what an older version of a
/// type has left, or writes less.
pub trait Encoding<T>: Clone + Send + 'static {
    /// What tells this form from others. A state that was kept in another one is refused at a restore.
    fn form(&self) -> String;

    /// Adds a value's bytes.
    ///
    /// # Errors
    /// Fails the task.
    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<()>;

    /// Reads a value, of which these are all bytes.
    ///
    /// # Errors
    /// Fails the task.
    fn decode(&self, bytes: &[u8]) -> Result<T>;
}

/// Writes what serde can write, as records are written: without names, each type in its own form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Postcard;

impl<T: Data> Encoding<T> for Postcard {
    fn form(&self) -> String {
        shape_of::<T>()
    }

    fn encode(&self, value: &T, into: &mut Vec<u8>) -> Result<()> {
        encode_into(value, into)
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        decode(bytes)
    }
}
