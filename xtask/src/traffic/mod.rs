//! Traffic made by hand: frames as bytes, a sender that counts, and the scenes they are sent in.

pub mod bulk;
pub mod frame;
pub mod mixture;
pub mod network;
pub mod pcap;
pub mod scenario;
pub mod sender;
pub mod transport;

pub use frame::Frame;
pub use sender::Sender;

#[cfg(test)]
mod tests;
