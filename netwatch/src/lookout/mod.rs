//! What is looked at more closely than packets that are only counted: addresses that feeds list, and the payload that new
//! flows begin with. Both become events of the analysis.
//!
//! In reading order: [`lists`] (feeds, and what was counted of listed addresses), [`payload`] (signatures, and what was
//! sampled), `tap` (samples as they come), `board` (feeds for those who ask from outside).

mod board;
pub mod lists;
pub mod payload;
mod tap;

use std::collections::HashMap;

pub use board::Board;
pub use lists::{Fresh, Lists};
pub use payload::Inspection;
pub use tap::Tap;

/// Numbers for what has a name: the same name has the same number as long as netwatch runs, whatever else comes and goes.
#[derive(Debug, Default)]
struct Numbers(HashMap<Box<str>, u16>);

impl Numbers {
    /// The number of a name; none where there are more names than numbers.
    fn of(&mut self, name: &str) -> Option<u16> {
        if let Some(number) = self.0.get(name) {
            return Some(*number);
        }
        let number = u16::try_from(self.0.len()).ok()?;
        self.0.insert(name.into(), number);
        Some(number)
    }
}

#[cfg(test)]
mod tests;
