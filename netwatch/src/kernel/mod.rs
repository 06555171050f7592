//! The edge to the Linux kernel: load the program, attach it, read its maps.
//!
//! In reading order: [`object`] (the embedded program), [`limits`] (how large the maps may be), [`program`]
//! (load and attach), [`maps`] (swap and drain), [`batch`] (the one system call aya lacks), [`error`].

pub mod batch;
pub mod error;
pub mod host;
pub mod limits;
pub mod maps;
pub mod object;
pub mod program;

pub use error::Error;
pub use limits::Capacity;
pub use program::{Mode, ModeWish, Options, Watch};
