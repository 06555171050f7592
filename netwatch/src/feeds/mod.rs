//! Feeds: files of addresses and prefixes that somebody found to be bad.
//!
//! In reading order: [`feed`] (what is configured, loading, and what makes a new file too doubtful to be taken),
//! [`contents`] (a file), `format` and `document` (lines, and documents of JSON), [`set`] (looking an address up),
//! `lines` (how the kernel does), [`watcher`] (files that change), [`limits`].
//!
//! Nothing is fetched: who wants a feed puts its file where netwatch finds it, as often as the feed's terms allow.

pub mod contents;
mod document;
pub mod feed;
mod format;
pub mod limits;
mod lines;
pub mod set;
pub mod watcher;

pub use contents::{Contents, Counts};
pub use feed::{FeedConfig, Listing, Loaded, NEVER, Outcome, load};
pub use format::Form;
pub use set::Prefix;
pub use watcher::Watcher;
