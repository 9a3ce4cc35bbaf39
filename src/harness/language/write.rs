//! Writes TOML line by line.

use std::fmt::{Display, Write};

/// Writes TOML line by line.
#[derive(Default)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// Begins a table; `[name]`, or `[[name]]` of an array.
    pub fn table(&mut self, header: &str) {
        let _ = writeln!(self.text, "\n{header}");
    }

    /// Writes a line of comment for each line of `text`.
    pub fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.text, "# {line}");
        }
    }

    /// Writes a key with a text.
    pub fn text(&mut self, key: &str, value: impl Display) {
        let value = toml::Value::String(value.to_string());
        let _ = writeln!(self.text, "{key} = {value}");
    }

    /// Writes a key with a text if there is one.
    pub fn maybe(&mut self, key: &str, value: Option<&impl Display>) {
        value.into_iter().for_each(|value| self.text(key, value));
    }

    /// Writes a key with a value that is TOML already.
    pub fn raw(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.text, "{key} = {value}");
    }

    /// What was written.
    pub fn finish(self) -> String {
        self.text
    }
}
