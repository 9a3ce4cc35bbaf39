//! wavetank
#[cfg(all(madsim, live))]
compile_error!("both worlds at once");
pub mod host;
pub mod system;
