//! The developer commands of netwatch.

fn main() {}
