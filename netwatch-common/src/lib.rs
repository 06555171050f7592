//! What the kernel program and the host must agree on: the packet parser, the
//! classification, and the layout of everything that crosses a BPF map.
//!
//! The crate is `no_std`, has no features, and depends on neither aya nor an
//! allocator, so the very same code runs inside the kernel, in unit tests, under
//! a property test and in a replay. Read it in this order: [`frame`] (how bytes
//! are read), [`packet`] and [`parse`](mod@parse) (headers), [`classify`](mod@classify) (one
//! verdict per packet), [`verdict`] (the list of verdicts and classes), [`wire`]
//! and [`target`] (what is counted), [`ports`] (probed ports in little room), [`entries`], [`index`], [`filter`] and
//! [`tables`] (where it is counted, and who gets a place), [`secrets`], [`flow`] (what makes an answer one) and
//! [`flow_table`], [`hint`] (what cannot wait), [`prefixes`] (is an address in a set of prefixes) and [`listed`] (what is
//! counted of those that are), [`sample`] (packets that leave the kernel), [`limits`].
#![no_std]

pub mod classify;
mod clear;
pub mod entries;
pub mod filter;
pub mod flow;
pub mod flow_table;
pub mod frame;
pub mod hint;
pub mod index;
pub mod limits;
pub mod listed;
pub mod packet;
pub mod parse;
pub mod ports;
pub mod prefixes;
pub mod sample;
pub mod secrets;
pub mod tables;
pub mod target;
pub mod verdict;
pub mod wire;

pub use classify::{Replies, Settings, classify};
pub use flow::{Flow, FlowKey, Sight};
pub use frame::Frame;
pub use hint::{Allowance, Hint};
pub use listed::{ListedCounts, ListedKey};
pub use packet::{Kind, Packet, Transport};
pub use parse::parse;
pub use ports::{PortHash, PortSet, Ports};
pub use sample::{Sample, WatchTotals};
pub use target::{Service, TargetCounts, TargetKey, Techniques};
pub use verdict::{Class, Verdict};
pub use wire::{Addr, Control, Proto, Replayed, Seen, SourceCounts, Totals};
