//! The demonstration.

/// What the demonstration takes.
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_: &Args) -> anyhow::Result<()> {
    anyhow::bail!("the demonstration is not written yet")
}
