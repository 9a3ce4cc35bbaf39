//! Prints to a person, who may stop reading at any time.

use std::io::Write;

/// Prints a line or several on standard output. A reader that has gone is no mistake.
pub fn out(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
