//! The same for people: pages that read without scripts, and that one small script makes live.
//!
//! In reading order: `layout` (what every page has), `assets` (the style sheet, the script and the icon), `icons` and `parts`
//! (pieces that pages share), and the pages.

mod assets;
mod icons;
#[allow(dead_code, reason = "pages come one after the other")]
mod layout;
mod overview;
#[allow(dead_code, reason = "pages that need all of them come one after the other")]
pub(crate) mod parts;

pub(crate) use assets::STYLE;
pub(super) use assets::asset;
pub(super) use overview::overview;
