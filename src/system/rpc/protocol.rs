//! What a gateway and its endpoint must share: the list of their methods.

use crate::host::{Kind, mix};

/// One method of a protocol.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The kind of its calls, `Gateway.method`.
    pub kind: Kind,
    /// The kind of its answers, `Gateway.method.reply`.
    pub reply_kind: Kind,
    /// Whether its calls are answered.
    pub is_ask: bool,
    /// The hash of its name and types.
    pub signature: u64,
}

/// The list of methods that a gateway and its endpoint must share.
#[derive(Debug)]
pub struct Protocol {
    /// The gateway's name.
    pub name: &'static str,
    /// Its methods, in the order in which they are numbered.
    pub methods: &'static [Method],
}

impl Protocol {
    /// A hash over the methods' names, types and order.
    pub fn hash(&self) -> u64 {
        self.methods
            .iter()
            .fold(Kind::new(self.name).hash(), |hash, method| mix(hash, method.signature))
    }
}

/// The place of a method in a protocol, found at compile time.
#[doc(hidden)]
pub const fn method_number(protocol: &Protocol, kind: &str) -> usize {
    let wanted = Kind::new_for_lookup(kind);
    let mut number = 0;
    while protocol.methods[number].kind.hash() != wanted {
        number += 1;
    }
    number
}
