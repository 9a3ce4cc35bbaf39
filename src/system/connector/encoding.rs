//! Parameters and state as bytes.

use crate::system::task_executor::TaskError;
use serde::de::DeserializeOwned;

/// Decodes parameters.
pub(super) fn decode<T: DeserializeOwned>(parameters: &[u8]) -> Result<T, TaskError> {
    postcard::from_bytes(parameters).map_err(user)
}

/// An error of an operator or a source.
pub(super) fn user(error: impl std::fmt::Display) -> TaskError {
    TaskError::User(error.to_string())
}

/// Decodes the state to begin with.
pub(super) fn restore<T: DeserializeOwned>(own: &[u8]) -> Result<T, TaskError> {
    postcard::from_bytes(own).map_err(|error| TaskError::Restore(error.to_string()))
}
