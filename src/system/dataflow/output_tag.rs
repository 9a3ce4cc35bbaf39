//! The names of side outputs.

use std::marker::PhantomData;

/// Names an output of an operator besides its own stream, of another type maybe. An operator emits to it with
/// [`emit_to`](super::Collector::emit_to); [`side_output`](super::Stream::side_output) reads it.
pub struct OutputTag<T> {
    id: String,
    of: PhantomData<fn(T)>,
}

impl<T> OutputTag<T> {
    /// The output of that name; an operator's have different ones.
    pub fn new(id: &str) -> Self {
        OutputTag { id: id.to_string(), of: PhantomData }
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        OutputTag::new(&self.id)
    }
}
