//! What a job must put out, whichever job it is.

use super::KeyedStateModel;

/// Follows the input and the output of a job step by step, apart from its operators.
pub trait JobOracle: Send {
    /// What is so at each step, for people.
    fn promise(&self) -> &'static str;

    /// A record is in a partition of the input from here on.
    fn input(&mut self, partition: u32, record: &[u8]);

    /// A record is in a partition of the output.
    ///
    /// # Errors
    /// What is wrong with it.
    fn output(&mut self, partition: u32, record: &[u8]) -> Result<(), String>;

    /// What the input comes to and the output has not, if there is anything.
    fn missing(&self) -> Option<String>;

    /// What state by key is held at a cut of the input; by default that is not judged.
    fn keyed_state(&self) -> Option<KeyedStateModel> {
        None
    }
}
