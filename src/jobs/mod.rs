//! Components and jobs written only against the public API of the floors below.

pub mod hello;
pub mod word_count;
