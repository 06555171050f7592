//! Payload signatures: known attacks, found in the first bytes that each side of a flow sends.
//!
//! [`Matcher`] is all that others need to find them, [`Wanted`] and [`Signatures`] to load them. In reading order:
//! [`limits`] (every bound), [`signature`] (what one says), [`ports`] and [`pattern`] (parts of it), [`file`] (files of
//! them), [`load`] (which are wanted), [`set`] (all of them, compiled), [`stream`] (a direction's first bytes),
//! [`excerpt`] (what is shown of them), [`matcher`].
//!
//! It knows no clock and waits for nothing; but for [`load`], it reads nothing either. What it is given was chosen by
//! whoever attacks: patterns take time in proportion to the bytes, and memory is bounded whatever comes.

pub mod excerpt;
pub mod file;
pub mod limits;
pub mod load;
pub mod matcher;
pub mod pattern;
pub mod ports;
pub mod set;
pub mod signature;
pub mod stream;

#[cfg(test)]
mod tests;

pub use excerpt::Excerpt;
pub use load::{STARTER, Wanted, load};
pub use matcher::{Counters, Match, Matcher, Sample};
pub use ports::Ports;
pub use set::{FlowBytes, Signatures};
pub use signature::{Scope, Sender, Signature};
