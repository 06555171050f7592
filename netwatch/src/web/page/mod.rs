//! The same for people: pages that read without scripts, and that one small script makes live.
//!
//! In reading order: `layout` (what every page has), `assets` (the style sheet, the script and the icon), `icons` and `parts`
//! (pieces that pages share), and the pages.

mod assets;
mod feeds;
mod icons;
mod incident;
mod incidents;
mod layout;
mod message;
mod overview;
mod packets;
pub(crate) mod parts;
mod proposal;
mod rules;
mod search;
mod source;
mod status;

pub(crate) use assets::STYLE;
pub(super) use assets::asset;
pub(super) use feeds::feeds;
pub(super) use incident::incident;
pub(super) use incidents::incidents;
pub(super) use message::{login, refused};
pub(super) use overview::overview;
pub(super) use packets::packets;
pub(super) use rules::rules;
pub(super) use source::{network, source};
pub(super) use status::status;
