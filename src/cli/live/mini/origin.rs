//! From where the job reads the text.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;

/// From where the job reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A text in the object store, uploaded before the job is submitted
    Text,
    /// A topic of the log server, to which a writer adds the lines meanwhile
    Log,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Text => "text",
            Origin::Log => "log",
        })
    }
}
