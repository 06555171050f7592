//! What tests and benchmarks share with the developer commands.
