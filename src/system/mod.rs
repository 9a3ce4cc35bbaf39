//! The cluster. It compiles the same in both worlds and knows the outside only through a
//! [`Host`](crate::host::Host).

pub mod event;
<<<<<<< HEAD
pub mod leadership;
=======
pub mod heartbeat;
>>>>>>> rpctests
pub mod rpc;
pub mod service;
pub mod watched;
