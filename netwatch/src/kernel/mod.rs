//! The edge to the Linux kernel: load the program, attach it, read its maps.
//!
//! In reading order: [`object`] (the embedded program), [`limits`] (how large the maps may be), [`program`]
//! (load and attach), [`egress`] (see what is sent), [`maps`] (swap and drain), [`reader`] (look into maps in use),
//! [`hints`] (what cannot wait), [`rerun`] (recorded packets), [`batch`] and [`syscall`] (what aya lacks), [`error`].

pub mod batch;
pub mod egress;
pub mod error;
pub mod hints;
pub mod host;
pub mod limits;
pub mod maps;
pub mod object;
pub mod program;
pub mod reader;
pub mod rerun;
mod syscall;

pub use egress::{EgressHook, EgressWish};
pub use error::Error;
pub use hints::Hints;
pub use limits::Capacity;
pub use program::{Mode, ModeWish, Options, Watch};
pub use reader::Reader;
pub use rerun::Rerun;
