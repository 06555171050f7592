//! The floods: what each is meant to fill.

use crate::support::run::Phase;
use crate::support::scene::Vary;
use crate::support::traffic::{Kind as Packet, SCATTER, Traffic};

/// What a flood is meant to fill, or to hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Every packet comes from a source that was never there, over IPv4 and IPv6 in turns.
    Sources,
    /// Addresses chosen so that they differ in few bits only: what a table that does not hash well puts in one place.
    Collisions,
    /// Every source comes twice in a moment, to two ports, and never again: what looks like a scanner at first.
    Pairs,
    /// Each table in turn.
    Maps,
}

/// One netwatch, and what it meets.
pub struct Flood {
    pub name: &'static str,
    pub arguments: &'static [&'static str],
    pub phases: Vec<Phase>,
}

impl Kind {
    pub fn floods(self) -> Vec<Flood> {
        match self {
            Self::Sources => {
                vec![Flood {
                    name: "sources",
                    arguments: &[],
                    phases: vec![phase("new sources", new_sources())],
                }]
            }
            Self::Collisions => vec![Flood { name: "collisions", arguments: &[], phases: collisions() }],
            Self::Pairs => vec![Flood {
                name: "pairs",
                arguments: &[],
                phases: vec![phase("sources that come twice", visiting(2))],
            }],
            Self::Maps => vec![
                Flood { name: "maps", arguments: &[], phases: maps() },
                Flood {
                    name: "flows",
                    arguments: &["--mode", "mirror"],
                    phases: vec![phase("new flows", flows())],
                },
            ],
        }
    }
}

fn phase(name: &'static str, traffic: Vec<Traffic>) -> Phase {
    Phase { name, traffic }
}

fn new_sources() -> Vec<Traffic> {
    both(|traffic| traffic.new_sources(0))
}

/// Over IPv4 and over IPv6.
fn both(make: impl Fn(Traffic) -> Traffic) -> Vec<Traffic> {
    vec![make(Traffic::ipv4(Packet::Syn)), make(Traffic::ipv6(Packet::Syn))]
}

/// Of IPv6 networks the first 64 bits count, so there are many more of those that share their last bits.
fn collisions() -> Vec<Phase> {
    let stepping = |ipv4: u64, ipv6: u64| {
        let step = |mut traffic: Traffic, step| {
            traffic.scene.source = Vary { step, count: 0, order: Vary::NEXT };
            traffic
        };
        vec![step(Traffic::ipv4(Packet::Syn), ipv4), step(Traffic::ipv6(Packet::Syn), ipv6)]
    };
    vec![
        phase("one after the other", stepping(1, 1)),
        phase("same last 8 and 16 bits", stepping(1 << 8, 1 << 16)),
        phase("same last 16 and 32 bits", stepping(1 << 16, 1 << 32)),
        phase("same last 24 and 40 bits", stepping(1 << 24, 1 << 40)),
    ]
}

fn maps() -> Vec<Phase> {
    let mut targets = Traffic::ipv4(Packet::Syn);
    targets.scene.dest = Vary { step: SCATTER, count: 0, order: Vary::NEXT };
    targets.scene.dest_port = Vary { step: SCATTER, count: 0, order: Vary::RANDOM };
    vec![
        phase("new sources", new_sources()),
        phase("one source, any target", vec![targets]),
        phase("sources that come thrice", visiting(3)),
    ]
}

/// New sources, of which each comes a number of times, each time to another port.
fn visiting(visits: u32) -> Vec<Traffic> {
    both(|mut traffic| {
        traffic = traffic.new_sources(0).new_ports();
        traffic.scene.visits = visits;
        traffic
    })
}

/// Everything that tells a flow from another is any.
fn flows() -> Vec<Traffic> {
    let any = |step| Vary { step, count: 0, order: Vary::RANDOM };
    let mut flows = Traffic::ipv4(Packet::Udp).random_sources(0);
    flows.scene.source_port = any(1);
    flows.scene.dest_port = any(1);
    vec![flows]
}
