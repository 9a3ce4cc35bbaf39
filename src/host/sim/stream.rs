//! Simulated streams behind [`Host::listen`](crate::host::Host::listen) and
//! [`Host::connect`](crate::host::Host::connect). How they behave on the links is decided in
//! [`connection`], what a process does with its ends in [`socket`]; it holds them by [`handle`].

mod connection;
mod end;
mod handle;
mod packet;
mod socket;
mod transit;

#[cfg(test)]
mod tests;

pub(in crate::host) use connection::Streams;
pub use end::STREAM_WINDOW_BYTES;
pub use handle::{Stream, StreamListener, StreamReader, StreamWriter};
pub(in crate::host) use handle::{connect, listen};
pub use packet::PACKET_KINDS;
pub(in crate::host) use packet::StreamAction;
