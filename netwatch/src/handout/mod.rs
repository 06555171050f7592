//! A report of some time as one file, for handing on: what happened, and how well the watch itself worked.
//!
//! The history is read once, from the newest to the oldest, and only sums are kept, so a large one takes time and no memory. In
//! reading order: [`asked`] (what the report is about), `parts` (the time in equal parts), `top` (who counts most), `coverage`
//! (which time was watched), `gather` (the history becomes numbers), `document` (numbers become a page), `sections` and
//! `details` (what is on it).

pub mod asked;
mod coverage;
mod details;
mod document;
mod gather;
mod parts;
mod sections;
mod top;

pub use asked::Asked;

use crate::store::{Archive, ArchiveError};

/// The whole report as HTML.
///
/// # Errors
///
/// The history cannot be read.
pub fn report(archive: &Archive, asked: &Asked) -> Result<String, ArchiveError> {
    let gathered = gather::gather(archive, asked)?;
    Ok(document::document(asked, &gathered))
}

/// A text from outside in one line, without anything that does something to what stands around it.
fn plain(text: &str) -> String {
    let is_odd = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    text.chars().map(|letter| if is_odd(letter) { '\u{fffd}' } else { letter }).collect()
}

#[cfg(test)]
mod tests;
