//! Components and jobs written only against the public API of the layers below.

pub mod hello;
pub mod word_count;
