//! Pure analysis: slots in, incidents out.

pub mod limits;
pub mod slot;
pub mod window;
