//! The same for people: pages that read without scripts, and that one small script makes live.
//!
//! In reading order: `layout` (what every page has), `assets` (the style sheet and the script), and the pages.

mod assets;
mod layout;
mod overview;

pub(super) use assets::asset;
pub(super) use overview::overview;
