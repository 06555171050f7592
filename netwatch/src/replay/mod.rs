//! What belongs to a replay of recorded captures alone.

pub mod direction;
pub mod progress;
pub mod report;
mod table;
pub mod tally;
mod top;
