//! What tests and benchmarks share with the developer commands: a laboratory of two network namespaces, and
//! the frames to send through it.

pub mod demo;
pub mod lab;
pub mod traffic;
