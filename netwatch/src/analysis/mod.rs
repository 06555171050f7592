//! Pure analysis: slots in, incidents out.
