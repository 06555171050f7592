//! netwatch as a library: the parts that `main` puts together.

pub mod analysis;
pub mod iface;
pub mod kernel;
pub mod sinks;
