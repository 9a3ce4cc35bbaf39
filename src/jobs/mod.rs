//! Components and jobs written only against the public API of the layers below.

pub mod common;
pub mod hello;
pub mod pipelines;
pub mod word_count;
