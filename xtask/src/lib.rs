//! What tests and benchmarks share with the developer commands: a laboratory of two network namespaces, the
//! frames to send through it, and the programs that netwatch talks to.

pub mod demo;
pub mod lab;
pub mod receivers;
pub mod traffic;
