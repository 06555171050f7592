//! Traffic made by hand: frames as bytes.

pub mod frame;
pub mod network;
pub mod transport;

pub use frame::Frame;

