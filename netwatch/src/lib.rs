//! netwatch as a library: the parts that `main` puts together.
//!
//! [`cli`] and [`config`] say what is wanted, [`app`] drives everything, [`analysis`] decides, and the other
//! modules are edges to the world outside. ARCHITECTURE.md draws the map.

pub mod analysis;
pub mod app;
pub mod capture;
pub mod charts;
pub mod check;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
mod document;
pub mod drained;
pub mod ethtool;
pub mod evidence;
pub mod exit;
pub mod feeds;
pub mod figures;
pub mod filter;
pub mod guide;
pub mod handout;
pub mod heap;
pub mod iface;
pub mod kernel;
pub mod live;
pub mod logging;
pub mod lookout;
pub mod nearest;
pub mod outlet;
pub mod outputs;
pub mod printing;
pub mod replay;
pub mod report;
pub mod signals;
pub mod signatures;
pub mod sinks;
pub mod state;
pub mod store;
pub mod suggest;
pub mod summary;
pub mod suspects;
pub mod top;
pub mod units;
pub mod watch;
pub mod watched;
pub mod web;
