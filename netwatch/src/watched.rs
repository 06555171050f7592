//! One interface under watch: its program, where it is attached, and what was counted.

use std::io;

use netwatch_common::prefixes::Line;
use netwatch_common::sample::Rate;
use netwatch_common::{ListedCounts, ListedKey, Settings, Totals};
use tracing::{error, info, warn};

use crate::analysis::{Confidence, Counted, Health, HintRates, InterfaceId, Policy, Slot};
use crate::cli::WatchMode;
use crate::clock;
use crate::drained::Drained;
use crate::iface::{self, Interface};
use crate::kernel::{
    EgressHook, EgressWish, Error, InspectedPorts, Meter, Mode, ModeWish, Options, Wanting, Watch, host,
};
use crate::live::Live;
use crate::lookout::Tap;
use crate::suspects::SuspectList;

/// One interface under watch.
pub struct Watched {
    /// Its name, as the user gave it.
    pub name: String,
    /// Its number in the analysis.
    pub id: InterfaceId,
    /// Where it is attached, while it is.
    pub attached: Option<Attached>,
    /// What was drained so far.
    pub drained: Drained,
    /// What the program counted, as of the last slot.
    pub totals: Totals,
    /// What was counted of listed addresses in the slot that was drained last.
    pub listed: Vec<(ListedKey, ListedCounts)>,
    watch: Watch,
    wish: ModeWish,
    replies: WatchMode,
    /// How replies were told last.
    confidence: Confidence,
    link: u32,
    settings: Settings,
    /// Who gets an entry in the tables however crowded they are.
    suspects: SuspectList,
    /// What the kernel calls the program.
    program_id: u32,
    slot_start_ns: u64,
    /// Of how much the program gives hints.
    hints: HintRates,
    /// The name that the interface was given, and whether another interface has the old one.
    renamed: Option<(String, bool)>,
    /// Whether the last try to attach again failed: one complaint is enough.
    complained: bool,
}

/// How much too late a slot may be, in nanoseconds, before that is told as trouble: 1 s. Short slots are late easily.
const LATE_NS: u64 = 1_000_000_000;

/// Where and how a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The interface's index.
    pub index: u32,
    /// The mode.
    pub mode: Mode,
    /// How replies are told from probes.
    pub confidence: Confidence,
}

impl Watched {
    /// Loads a program for `interface` and attaches it.
    ///
    /// # Errors
    ///
    /// What the kernel refused.
    pub fn start(
        interface: &Interface,
        id: InterfaceId,
        options: &Options,
        wish: ModeWish,
        replies: WatchMode,
    ) -> Result<Self, Error> {
        let link = interface
            .link
            .map_err(|link_type| Error::LinkType { interface: interface.name.clone(), link_type })?
            .setting();
        let mut options = *options;
        options.settings.link = link;
        let mut watch = Watch::load(&options)?;
        let mut watched = Self {
            program_id: watch.program_id()?,
            name: interface.name.clone(),
            id,
            attached: None,
            drained: Drained::default(),
            totals: Totals::default(),
            listed: Vec::new(),
            watch,
            wish,
            replies,
            confidence: Confidence::Flags,
            link,
            settings: options.settings,
            suspects: SuspectList::default(),
            slot_start_ns: clock::monotonic_ns(),
            hints: HintRates::default(),
            renamed: None,
            complained: false,
        };
        watched.attach(interface)?;
        Ok(watched)
    }

    /// The reader of the program's log, once.
    pub fn take_logger(&mut self) -> Option<crate::kernel::program::Logger> {
        self.watch.take_logger()
    }

    /// What the program tells before a slot ends, once.
    ///
    /// # Errors
    ///
    /// The runtime cannot wait for it.
    pub fn live(&mut self) -> io::Result<Option<Live>> {
        let maps = self.watch.reader();
        self.watch.take_hints().map(|hints| Live::new(self.id, hints, maps)).transpose()
    }

    /// Reads what the program has counted, from any thread.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.watch.meter()
    }

    /// Tells the program when to give hints: often enough that no threshold is crossed by much before there is one,
    /// on whichever CPUs the packets come.
    pub fn tell_hints(&mut self, policy: &Policy) {
        let wanted = HintRates::of(policy, host::possible_cpus());
        if self.hints == wanted {
            return;
        }
        match self.watch.set_hints(wanted) {
            Ok(()) => self.hints = wanted,
            Err(error) => warn!("{}: alerts may come late: {error}", self.name),
        }
    }

    /// The packets that the program sends to be looked into, once; none where it does not look closer.
    ///
    /// # Errors
    ///
    /// The runtime cannot wait for them.
    pub fn tap(&mut self) -> io::Result<Option<Tap>> {
        self.watch.take_samples().map(Tap::new).transpose()
    }

    /// What says of which sources packets are wanted, once; none where the program does not look closer.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn wanting(&mut self) -> Result<Option<Wanting>, Error> {
        self.watch.take_wanting()
    }

    /// What the program parses packets by.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sets what addresses are listed, from here on.
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub fn tell_feeds(&mut self, lines: &[Line]) -> Result<(), Error> {
        self.watch.set_feeds(lines)
    }

    /// Sets of which ports payload is looked into, and at how many packets in a second on each CPU.
    pub fn tell_inspected(&mut self, ports: &InspectedPorts, rate: u32) {
        let periods = u32::try_from(1_000_000_000 / Rate::PERIOD_NS).unwrap_or(1);
        if let Err(error) = self.watch.inspect(ports, rate.div_ceil(periods)) {
            error!("{}: payload is not looked into: {error}", self.name);
        }
    }

    /// The first slot begins now.
    pub fn begin_slot(&mut self, now_ns: u64) {
        self.slot_start_ns = now_ns;
    }

    /// Follows the interface where it went: it may be gone, back, or have another name, or somebody may have
    /// detached the program. `now` is the interface that has the name now.
    pub fn follow(&mut self, now: Option<&Interface>) {
        let Some(attached @ Attached { index, .. }) = self.attached else {
            if let Some(interface) = now {
                self.attach_again(interface);
            }
            return;
        };
        match now {
            Some(interface) if interface.index == index => {
                self.renamed = None;
                if interface.xdp_program != Some(self.program_id) {
                    warn!("somebody detached netwatch from {}", self.name);
                    self.lose();
                    self.attach_again(interface);
                } else if !self.watch.egress_attached() {
                    warn!(
                        "somebody detached netwatch's egress program from {}; attaching it again",
                        self.name
                    );
                    self.confidence = self.tell_replies();
                    self.attached = Some(Attached { confidence: self.confidence, ..attached });
                }
            }
            other => match iface::name_of(index) {
                Some(name) if name != self.name => self.rename(name, other.is_some()),
                _ => {
                    warn!("{} disappeared; waiting for it to come back", self.name);
                    self.lose();
                    if let Some(interface) = other {
                        self.attach_again(interface);
                    }
                }
            },
        }
    }

    /// Swaps and drains the maps: one slot of counts. An error leaves what was not drained for a later slot.
    ///
    /// Blocks for a grace period of the kernel, mostly 10 to 40 ms.
    pub fn drain(&mut self, slot_ns: u64) -> (Slot, Option<Error>) {
        let mut counted = Counted::default();
        self.listed.clear();
        let number = self.watch.slot();
        let before = self.totals;
        let mut error = self.swap_and_drain(&mut counted).err();
        let (start_ns, end_ns) = (self.slot_start_ns, clock::monotonic_ns());
        self.slot_start_ns = end_ns;
        if self.attached.is_none() && error.is_none() {
            // Once detached, a program that was still running may have counted into the maps just put into
            // use. It has ended by now: what it counted is the last there is.
            error = self.swap_and_drain(&mut counted).err();
        }
        match self.watch.totals() {
            Ok(totals) => self.totals = totals,
            Err(failed) => error = error.or(Some(failed)),
        }
        self.drained.late_slots += u64::from((end_ns - start_ns) * 2 > slot_ns * 3);
        self.drained.failed_slots += u64::from(error.is_some());
        self.drained.count(&counted);
        let is_crowded = self.totals.sources_refused > before.sources_refused;
        if let Some(suspects) = self.suspects.slot(&counted, is_crowded) {
            self.watch.set_suspects(&suspects);
        }
        let mut slot = Slot::new(start_ns, end_ns, counted);
        slot.number = number;
        slot.confidence = self.confidence;
        let is_late = (end_ns - start_ns).saturating_sub(slot_ns) > (slot_ns / 2).max(LATE_NS);
        slot.health = Health::between(&before, &self.totals, u64::from(is_late) + u64::from(error.is_some()));
        (slot, error)
    }

    /// Detaches for good; what was counted until now remains to be drained.
    pub fn stop(&mut self) {
        self.lose();
    }

    fn swap_and_drain(&mut self, counted: &mut Counted) -> Result<(), Error> {
        self.watch.swap()?;
        self.watch.drain(|entry| counted.add(entry));
        let listed = &mut self.listed;
        self.watch.drain_listed(|key, counts| listed.push((key, counts)))
    }

    fn lose(&mut self) {
        self.watch.detach();
        self.attached = None;
        self.renamed = None;
        self.complained = false;
    }

    /// Takes note of another name, once, and of a new interface that took the old one.
    fn rename(&mut self, name: String, taken: bool) {
        let now = Some((name, taken));
        if self.renamed != now
            && let Some((name, taken)) = &now
        {
            warn!("{} is now called {name}; still watching it, as {} in alerts", self.name, self.name);
            if *taken {
                warn!("another interface is called {} now, which is not watched", self.name);
            }
        }
        self.renamed = now;
    }

    fn attach(&mut self, interface: &Interface) -> Result<(), Error> {
        let (mode, refused) = self.watch.attach(&self.name, interface.index, self.wish).map_err(|error| {
            match (error, interface.xdp_program) {
                (Error::Busy { interface, .. }, Some(id)) => {
                    Error::Busy { interface, holder: format!(" (id {id})") }
                }
                (error, _) => error,
            }
        })?;
        if let Some(refused) = refused {
            warn!(
                "{}: {}; using generic mode, which costs more per packet and counts what GRO has merged as one",
                self.name,
                why_generic(&refused)
            );
        }
        let confidence = self.tell_replies();
        self.confidence = confidence;
        self.attached = Some(Attached { index: interface.index, mode, confidence });
        Ok(())
    }

    /// Starts to tell replies in the way that is wanted, or else by their flags, which it says.
    fn tell_replies(&mut self) -> Confidence {
        let now_ns = clock::monotonic_ns();
        let told = match self.replies {
            WatchMode::Host => self.watch.watch_egress(&self.name, EgressWish::Auto, now_ns).map(Some),
            WatchMode::Mirror => self.watch.watch_mirror(now_ns).map(|()| None),
            WatchMode::Flags => return Confidence::Flags,
        };
        match told {
            Ok(hook) => {
                if hook == Some(EgressHook::Clsact) {
                    info!(
                        "{}: watching what is sent by a filter of the clsact qdisc, which stays",
                        self.name
                    );
                }
                Confidence::Flows
            }
            Err(error) => {
                warn!("{}: cannot see what is sent ({error}); telling replies by their flags", self.name);
                if let Err(error) = self.watch.forget_flows() {
                    warn!("{}: {error}", self.name);
                }
                Confidence::Flags
            }
        }
    }

    fn attach_again(&mut self, interface: &Interface) {
        let result = match interface.link.map(|link| link.setting()) {
            Ok(link) if link == self.link => self.attach(interface),
            Ok(_) => Err(Error::LinkChanged(self.name.clone())),
            Err(link_type) => Err(Error::LinkType { interface: self.name.clone(), link_type }),
        };
        match result {
            Ok(()) => {
                self.complained = false;
                let mode = self.attached.map_or(Mode::Generic, |attached| attached.mode);
                info!("{} is back; watching {} again in {mode} mode", self.name, self.name);
            }
            Err(error) if !self.complained => {
                self.complained = true;
                warn!("cannot watch {} again, trying on: {error}", self.name);
            }
            Err(_) => {}
        }
    }
}

/// Why the driver did not take the program.
fn why_generic(refused: &io::Error) -> String {
    match refused.raw_os_error() {
        Some(libc::EOPNOTSUPP) => {
            "its driver does not take native XDP, or not with its present offloads".into()
        }
        Some(libc::ERANGE) => "its MTU is too large for native XDP".into(),
        _ => format!("its driver refused native XDP ({refused})"),
    }
}
