//! Packets of the sources of incidents, kept: what is told begins a file, and the programs send what belongs there.

use std::collections::BTreeMap;

use netwatch_common::{Sample, Settings, parse};
use tracing::warn;

use super::App;
use crate::analysis::{InterfaceId, Transition};
use crate::clock;
use crate::config::Config;
use crate::evidence::{Keeper, Told};
use crate::exit::Usage;
use crate::iface::Link;
use crate::kernel::samples::Captured;
use crate::kernel::{Options, Wanting};
use crate::sinks::Output;
use crate::summary;
use crate::watched::Watched;

/// What keeps packets, where that is wanted.
#[derive(Default)]
pub(super) struct Evidence {
    keeper: Option<Keeper<InterfaceId>>,
    interfaces: BTreeMap<InterfaceId, Source>,
}

/// An interface that packets come from.
struct Source {
    wanting: Wanting,
    link: Link,
}

impl Evidence {
    /// Opens the directory, where one is configured and the programs can send packets.
    pub(super) fn start(config: &Config, options: &Options) -> anyhow::Result<Self> {
        let Some(settings) = config.evidence.as_ref().filter(|_| options.closer) else {
            return Ok(Self::default());
        };
        let keeper = Keeper::start(settings, options.settings).map_err(|wrong| Usage(wrong.to_string()))?;
        Ok(Self { keeper: Some(keeper), interfaces: BTreeMap::new() })
    }

    /// Keeps packets of an interface, too.
    pub(super) fn watch(&mut self, id: InterfaceId, watched: &mut Watched) -> anyhow::Result<()> {
        if self.keeper.is_some()
            && let Some(wanting) = watched.wanting()?
        {
            let link = Link::of_setting(watched.settings().link);
            self.interfaces.insert(id, Source { wanting, link });
        }
        Ok(())
    }

    /// Begins a file for each incident that is to have one, and says in transitions where it is.
    fn begin<W: std::io::Write>(
        &mut self,
        id: InterfaceId,
        transitions: &mut [Transition],
        output: &Output<W>,
    ) {
        let Some(keeper) = &mut self.keeper else { return };
        for transition in transitions {
            if keeper.wants(transition)
                && let Some(Source { wanting, link }) = self.interfaces.get_mut(&id)
            {
                let renderer = output.renderer();
                let told = Told {
                    incident: &renderer.incident(transition),
                    line: &renderer.line(transition),
                    link: *link,
                    wall_offset_ns: clock::wall_offset_ns(),
                };
                if let Some(begun) = keeper.begin(id, transition, &told)
                    && let Err(error) = wanting.want(begun.account, begun.packets)
                {
                    warn!("{}: no packets are kept: {error}", begun.path);
                }
            }
            keeper.link(transition);
        }
    }

    /// Says in transitions where the packets of their incidents are.
    pub(super) fn link(&mut self, transitions: &mut [Transition]) {
        if let Some(keeper) = &mut self.keeper {
            transitions.iter_mut().for_each(|transition| keeper.link(transition));
        }
    }

    /// Keeps a packet, if a file takes it.
    pub(super) fn packet(&mut self, id: InterfaceId, settings: &Settings, sample: &Sample, frame: &[u8]) {
        let Some(keeper) = &mut self.keeper else { return };
        if let Ok(packet) = parse(&Captured::new(sample, frame), settings) {
            let who = if sample.direction == Sample::OUT { packet.dest } else { packet.source };
            keeper.packet(id, settings.account(who), sample, frame);
        }
    }

    /// Completes the files that have all they take.
    pub(super) fn look_after(&mut self, now_ns: u64) {
        let Some(keeper) = &mut self.keeper else { return };
        for (id, account) in keeper.done(now_ns) {
            let source = self.interfaces.get_mut(&id);
            if let Some(Err(error)) = source.map(|source| source.wanting.want_no_more(account)) {
                warn!("packets go on to be kept as evidence: {error}");
            }
        }
    }

    /// Completes all files, and says what became of them.
    pub(super) fn finish(&mut self) -> String {
        self.keeper.take().map_or_else(String::new, |keeper| summary::evidence(&keeper.finish()))
    }
}

impl App {
    /// Tells what happened on an interface, and keeps packets of who did it.
    pub(super) fn tell_of(&mut self, id: InterfaceId, mut transitions: Vec<Transition>) {
        self.evidence.begin(id, &mut transitions, &self.output);
        self.tell(&transitions);
    }
}
