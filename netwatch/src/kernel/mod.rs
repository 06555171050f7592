//! The edge to the Linux kernel: load the program, attach it, read its maps.
//!
//! In reading order: [`object`] (the embedded program), [`limits`] (how large the maps may be), [`program`]
//! (load and attach), [`egress`] (see what is sent), [`maps`] (swap and drain), [`tables`] (what is counted), [`reader`]
//! (look into it while it is), `feeds` (listed addresses), [`hints`] (what cannot wait), [`rerun`] (recorded packets),
//! [`samples`] (packets that leave the kernel), [`view`] (the live view of them), [`shared`] and [`syscall`] (what aya
//! lacks), [`error`].

mod closer;
pub mod egress;
pub mod error;
mod feeds;
pub mod hints;
pub mod host;
pub mod limits;
pub mod maps;
pub mod mode;
pub mod object;
pub mod program;
pub mod reader;
pub mod rerun;
pub mod samples;
mod shared;
pub mod size;
mod syscall;
pub mod tables;
pub mod view;

pub use closer::{InspectedPorts, Wanting};
pub use egress::{EgressHook, EgressWish};
pub use error::Error;
pub use hints::Hints;
pub use limits::Capacity;
pub use maps::Meter;
pub use mode::{Mode, ModeWish};
pub use program::{Options, Watch};
pub use reader::Reader;
pub use rerun::Rerun;
pub use samples::Samples;
pub use view::{View, ViewOptions};
