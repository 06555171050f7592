//! Packets as they are told.
