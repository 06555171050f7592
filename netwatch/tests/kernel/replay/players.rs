//! Two players, one of each engine: what passes through them, after each packet.

use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

use netwatch::analysis::{self, Confidence, Slot, State, Transition};
use netwatch::capture::Packet;
use netwatch::cli::{EngineWish, PlaceArgs, SettingArgs, WatchMode};
use netwatch::config::Config;
use netwatch::kernel::{Capacity, Options};
use netwatch::replay::engine::Engine;
use netwatch::replay::looks::{Looks, Place};
use netwatch::replay::player::{News, Observe, Player, Setup};
use netwatch::replay::prepare::Prepared;
use netwatch::replay::timeline::BEGINNING_NS;
use netwatch_common::{Control, Settings};

use super::both::ours;

/// What passed through a player since the last look.
#[derive(Clone, Debug, Default)]
struct Seen(Rc<RefCell<(Vec<Slot>, Vec<Transition>)>>);

impl Observe for Seen {
    fn slot(&mut self, slot: &Slot) {
        self.0.borrow_mut().0.push(slot.clone());
    }

    fn transitions(&mut self, transitions: &[Transition]) {
        self.0.borrow_mut().1.extend_from_slice(transitions);
    }
}

/// A player of each engine, the host's first.
pub struct Players {
    players: [Player<Seen>; 2],
    /// Packets, slots and transitions so far.
    agree: [usize; 3],
    /// Rule, source and severity of each incident when it opened.
    pub opened: Vec<String>,
}

impl Players {
    /// As `netwatch replay` makes them of captures.
    pub fn of(prepared: &Prepared, config: &Config) -> Self {
        let player = |wish| prepared.player(config, wish, |policy| policy, Seen::default()).unwrap();
        let players = [EngineWish::Host, EngineWish::Kernel].map(player);
        Self { players, agree: [0; 3], opened: Vec::new() }
    }

    /// With tables for few sources at once and many flows in all: short slots are drained often.
    pub fn with_many_flows(mode: WatchMode, first_at_ns: i64) -> Self {
        let capacity = Capacity { sources: 10_000, targets: 20_000, blocks: 256, flows: 400_000 };
        let options = Options { capacity, settings: Settings::DEFAULT, ..Options::of_this_host(1 << 20) };
        let (replies, confidence) = match mode {
            WatchMode::Mirror => (Control::REPLIES_MIRRORED, Confidence::Flows),
            WatchMode::Host => (Control::REPLIES_BY_FLOWS, Confidence::Flows),
            WatchMode::Flags => (Control::REPLIES_BY_FLAGS, Confidence::Flags),
        };
        let config = config();
        let player = |engine| {
            let of_config = config.clone();
            let policy_at = Box::new(move |now| of_config.policy_at(now));
            let policy = policy_at(jiff::Timestamp::UNIX_EPOCH);
            let place =
                Place { settings: options.settings, both_ways: mode != WatchMode::Host, pairs: 8_192 };
            let setup = Setup {
                engine,
                looks: Looks::start(&config, Vec::new(), jiff::Timestamp::UNIX_EPOCH, place).unwrap(),
                analysis: analysis::Options { one_cpu: true, policy, ..analysis::Options::default() },
                name: "captures".into(),
                confidence,
                sends: if mode == WatchMode::Host { ours() } else { Vec::new() },
                first_at_ns,
                policy_at,
            };
            Player::new(setup, Seen::default()).unwrap()
        };
        let kernel = Engine::kernel(&options, replies, BEGINNING_NS).unwrap();
        let players = [Engine::host(&options, replies, BEGINNING_NS), kernel].map(player);
        Self { players, agree: [0; 3], opened: Vec::new() }
    }

    /// Gives a packet to both, and compares what comes of it.
    #[track_caller]
    pub fn packet(&mut self, case: &str, packet: &Packet<'_>) {
        for player in &mut self.players {
            player.packet(packet).unwrap();
        }
        self.agree[0] += 1;
        self.compare(case);
    }

    /// Ends both, and compares what comes of it and what they have counted. Returns what agreed.
    #[track_caller]
    pub fn finish(&mut self, case: &str) -> [usize; 3] {
        for player in &mut self.players {
            player.finish().unwrap();
        }
        self.compare(case);
        let [host, kernel] = &self.players;
        assert_eq!((host.engine(), kernel.engine()), ("host", "kernel"));
        assert_eq!(host.totals(), kernel.totals(), "{case}: totals");
        assert_eq!(host.drained(), kernel.drained(), "{case}: what was drained");
        assert_eq!(host.timeline(), kernel.timeline(), "{case}: the clock");
        assert_eq!(host.analysis().counters(), kernel.analysis().counters(), "{case}: counters");
        let lost = [host.totals().sources_refused, host.totals().targets_lost, host.totals().flows_lost];
        assert_eq!(lost, [0; 3], "{case}: a table is full, and then engines may differ");
        self.agree
    }

    #[track_caller]
    fn compare(&mut self, case: &str) {
        let [host_news, kernel_news] =
            self.players.each_mut().map(|player| player.take_news().collect::<Vec<News>>());
        let [host, kernel] =
            self.players.each_ref().map(|player| mem::take(&mut *player.observer().0.borrow_mut()));
        let after = self.agree[0];
        assert_eq!(host.0.len(), kernel.0.len(), "{case}: slots after {after} packets");
        for (host, kernel) in host.0.iter().zip(&kernel.0) {
            assert_eq!(host, kernel, "{case}: a slot, host and kernel, after {after} packets");
        }
        assert_eq!(host.1, kernel.1, "{case}: transitions, host and kernel, after {after} packets");
        assert_eq!(host_news, kernel_news, "{case}: news, host and kernel, after {after} packets");
        self.agree[1] += host.0.len();
        self.agree[2] += host.1.len();
        let opened = host.1.iter().filter(|told| told.state == State::Open);
        self.opened.extend(opened.map(|told| {
            let who = told.source.map(|peer| peer.addr.to_string()).unwrap_or_default();
            format!("{} {who} {}", told.rule.name(), told.severity.name())
        }));
    }
}

/// The defaults, with maps that are made quickly.
pub fn config() -> Config {
    let settings = SettingArgs { map_memory: Some("32M".into()), ..SettingArgs::default() };
    Config::from_settings(&settings, &PlaceArgs::default()).unwrap()
}
