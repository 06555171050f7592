//! Load the program, attach it to an interface, and keep both together.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use aya::{
    Ebpf, EbpfLoader, VerifierLogLevel,
    maps::{Map, MapData},
    programs::{ProgramError, ProgramFd, SchedClassifier, Xdp, XdpMode, links::FdLink},
};
use aya_log::EbpfLogger;
use netwatch_common::{
    Addr, Control, Flow, ListedCounts, ListedKey, Settings, Totals, entries::Entry, prefixes::Line,
    secrets::Secrets,
};

use super::{
    Capacity, EgressHook, EgressWish, Error, Hints, InspectedPorts, Mode, ModeWish, Reader, Samples, Wanting,
    closer::{self, Closer},
    egress::{self, Egress},
    error, feeds, host, limits,
    maps::{Maps, Meter, Wire},
    mode::{attach_error, is_about_mode},
    object, samples,
    size::{ProgramSize, size_of_program},
    tables::{self, Numbers},
};
use crate::analysis::HintRates;
use crate::logging::KernelLog;

/// What the loader must know.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Entries of the maps.
    pub capacity: Capacity,
    /// What the classification must know.
    pub settings: Settings,
    /// Most detailed record that the program writes, aya-log's numbering: 0 is none, 5 is trace.
    pub log_level: u8,
    /// Whether the program is to be run on recorded packets, instead of watching.
    pub replay: bool,
    /// Whether packets may be looked at more closely: in feeds, or into their payload. Linux 5.18.
    pub closer: bool,
    /// Bytes for packets on their way to userspace, where they may.
    pub ring_bytes: u32,
    /// What hashes are made with.
    pub secrets: Secrets,
    /// Pairs of a listed address and another that are counted in each slot, at most.
    pub listed: u32,
}

impl Options {
    /// The options of this machine for an Ethernet interface, with maps within `map_memory` bytes.
    #[must_use]
    pub fn of_this_host(map_memory: u64) -> Self {
        let (ephemeral_first, ephemeral_last) = host::ephemeral_ports();
        Self {
            capacity: Capacity::within(map_memory, host::possible_cpus() as u64),
            settings: Settings { ephemeral_first, ephemeral_last, ..Settings::DEFAULT },
            log_level: 0,
            replay: false,
            closer: false,
            ring_bytes: limits::SAMPLE_RING,
            secrets: tables::random_secrets(),
            listed: limits::listed_pairs(host::possible_cpus() as u64),
        }
    }
}

/// A loaded program with its maps, attached to an interface or not. Dropping it detaches and unloads.
pub struct Watch {
    object: Ebpf,
    names: Names,
    maps: Maps,
    logger: Option<Logger>,
    link: Option<FdLink>,
    egress: Option<Egress>,
    closer: Option<Closer>,
}

/// The programs that are used.
#[derive(Clone, Copy)]
struct Names {
    received: &'static str,
    sent: &'static str,
}

impl Names {
    const SINGLE: Self = Self { received: "netwatch", sent: egress::PROGRAM };
    const FRAGS: Self = Self { received: "netwatch_frags", sent: egress::PROGRAM };
    const MORE: Self = Self { received: "netwatch_more", sent: "netwatch_egress_more" };
}

/// Reads what the program logs.
pub type Logger = EbpfLogger<KernelLog>;

impl Watch {
    /// Loads the program and makes its maps. Nothing is attached yet.
    ///
    /// # Errors
    ///
    /// What the kernel refused, or that there is no program to load.
    pub fn load(options: &Options) -> Result<Self, Error> {
        let object = object::product().ok_or(Error::NoObject)?;
        let running = host::kernel_version();
        if running < host::OLDEST_KERNEL {
            let (running, needed) = (host::kernel_release(), host::OLDEST_KERNEL.to_string());
            return Err(Error::KernelTooOld { running, needed });
        }
        // The kernel would try, and take the memory of others: the OOM killer is no error message.
        let bytes = options.capacity.bytes(host::possible_cpus() as u64);
        if let Some(available) = host::available_memory().filter(|available| *available < bytes) {
            let source = io::Error::other(format!("{} MiB are available", available >> 20));
            return Err(Error::MapMemory { megabytes: bytes >> 20, source });
        }
        let settings = Wire(options.settings);
        let numbers = Numbers::of(&options.capacity, &options.secrets, host::possible_cpus());
        let mut loader = EbpfLoader::new();
        tables::prepare(&mut loader, &numbers);
        feeds::prepare(&mut loader, if options.closer { options.listed } else { 1 });
        if options.closer {
            loader.map_max_entries(samples::RING, options.ring_bytes);
        }
        let mut object = loader
            .verifier_log_level(VerifierLogLevel::DEBUG | VerifierLogLevel::STATS)
            .override_global("SETTINGS", &settings, true)
            .override_global("REPLAY", &u32::from(options.replay), true)
            .override_global(aya_log::LEVEL, &options.log_level, true)
            .load(object)
            .map_err(|error| Error::from_load(error, bytes))?;

        if options.closer && running < host::MULTI_BUFFER_KERNEL {
            let (running, needed) = (host::kernel_release(), host::MULTI_BUFFER_KERNEL.to_string());
            return Err(Error::KernelTooOld { running, needed });
        }
        let names = match running >= host::MULTI_BUFFER_KERNEL {
            true if options.closer => Names::MORE,
            true => Names::FRAGS,
            false => Names::SINGLE,
        };
        xdp(&mut object, names.received)?.load().map_err(Error::from_program_load)?;
        sent_program(&mut object, names.sent)?.load().map_err(Error::from_program_load)?;
        let closer = if options.closer { Some(Closer::load(&mut object)?) } else { None };
        let logger = match options.log_level {
            0 => None,
            _ => Some(
                EbpfLogger::init_with_logger(&mut object, KernelLog)
                    .map_err(|error| Error::Object(error.to_string()))?,
            ),
        };
        let maps = Maps::new(&mut object, options.capacity, options.secrets, host::possible_cpus())?;
        Ok(Self { object, names, maps, logger, link: None, egress: None, closer })
    }

    /// Attaches to an interface, in native mode where it can be had and unless generic mode is wanted.
    /// Returns the mode and, where native mode was tried in vain, why.
    ///
    /// # Errors
    ///
    /// What the kernel refused.
    pub fn attach(
        &mut self,
        interface: &str,
        index: u32,
        wish: ModeWish,
    ) -> Result<(Mode, Option<io::Error>), Error> {
        self.detach();
        let mut refused = None;
        if wish != ModeWish::Generic {
            match self.try_attach(index, XdpMode::Driver) {
                Ok(()) => return Ok((Mode::Native, None)),
                Err(source) if wish == ModeWish::Auto && is_about_mode(&source) => refused = Some(source),
                Err(source) => {
                    let native_only = wish == ModeWish::Native && is_about_mode(&source);
                    return Err(match attach_error(interface, "native", source) {
                        Error::Attach { interface, source, .. } if native_only => {
                            Error::NativeRefused { interface, source }
                        }
                        other => other,
                    });
                }
            }
        }
        self.try_attach(index, XdpMode::Skb).map_err(|source| attach_error(interface, "generic", source))?;
        Ok((Mode::Generic, refused))
    }

    /// Starts to take note of what the host sends on an interface, so that replies are known. Connections that
    /// are older are recognised for as long as a flow is known.
    ///
    /// # Errors
    ///
    /// The kernel's refusal. Replies are then told as they were before.
    pub fn watch_egress(
        &mut self,
        interface: &str,
        wish: EgressWish,
        now_ns: u64,
    ) -> Result<EgressHook, Error> {
        // A filter of an earlier call would otherwise be taken for one that a crash has left.
        self.egress = None;
        let egress = Egress::attach(sent_program(&mut self.object, self.names.sent)?, interface, wish)?;
        let hook = egress.hook;
        self.egress = Some(egress);
        self.maps.set_replies(Control::REPLIES_BY_FLOWS, now_ns + Flow::KNOWN_NS)?;
        Ok(hook)
    }

    /// Whether what the host sends is seen as it should be: true where nothing was attached at egress. See
    /// [`EgressHook`]: of a filter it is taken for granted. The calling thread must be in the interface's network
    /// namespace.
    #[must_use]
    pub fn egress_attached(&self) -> bool {
        self.egress.as_ref().is_none_or(Egress::is_attached)
    }

    /// Takes every packet for what makes its answer known: both directions arrive here.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn watch_mirror(&mut self, now_ns: u64) -> Result<(), Error> {
        self.maps.set_replies(Control::REPLIES_MIRRORED, now_ns + Flow::KNOWN_NS)
    }

    /// Tells replies by their flags and ports again.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn forget_flows(&mut self) -> Result<(), Error> {
        self.egress = None;
        self.maps.set_replies(Control::REPLIES_BY_FLAGS, 0)
    }

    /// Detaches, where attached. Counts stay in the maps until they are drained.
    pub fn detach(&mut self) {
        // Closing a link's descriptor detaches, here as after a crash; a filter is taken away.
        self.link = None;
        self.egress = None;
    }

    /// Lets the program count into empty maps. See [`Maps::swap`].
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn swap(&mut self) -> Result<(), Error> {
        self.maps.swap()
    }

    /// Empties the tables that the last swap took out of use. See [`Maps::drain`].
    pub fn drain(&mut self, each: impl FnMut(Entry<'_>)) {
        self.maps.drain(each);
    }

    /// Sets which sources get an entry in any case, however crowded it is: a thousand of them or so.
    pub fn set_suspects(&self, suspects: &[Addr]) {
        self.maps.set_suspects(suspects);
    }

    /// Sets which addresses are listed. See [`Maps::set_feeds`].
    ///
    /// # Errors
    ///
    /// The kernel's error; the old set then stays.
    pub fn set_feeds(&mut self, lines: &[Line]) -> Result<(), Error> {
        self.maps.set_feeds(lines)
    }

    /// Looks into the first payload of new flows to and from these ports, at most so many packets of each kind in each
    /// [period](netwatch_common::sample::Rate::PERIOD_NS) and on each CPU; none where that is 0. Nothing happens where
    /// packets are not looked at more closely.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn inspect(&mut self, ports: &InspectedPorts, samples: u32) -> Result<(), Error> {
        let Some(closer) = &self.closer else { return Ok(()) };
        closer.inspect(ports);
        self.maps.inspect(if ports.is_empty() { 0 } else { samples })
    }

    /// The packets that programs send to userspace, once; none where packets are not looked at more closely.
    pub fn take_samples(&mut self) -> Option<Samples> {
        self.closer.as_mut()?.take_samples()
    }

    /// Keeps packets of sources as evidence, which the value says once. `None` where packets are not looked at more closely,
    /// or the value was taken.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn take_wanting(&mut self) -> Result<Option<Wanting>, Error> {
        let Some(wanting) = self.closer.as_mut().and_then(Closer::take_wanting) else { return Ok(None) };
        self.maps.keep_evidence()?;
        Ok(Some(wanting))
    }

    /// Empties what the last swap took out of use of the counts of listed addresses. See [`Maps::drain_listed`].
    ///
    /// # Errors
    ///
    /// The kernel's error; what was not handed over comes with a later slot.
    pub fn drain_listed(&mut self, each: impl FnMut(ListedKey, ListedCounts)) -> Result<(), Error> {
        self.maps.drain_listed(each)
    }

    /// Lets the program count into empty maps where it cannot be running. See [`Maps::turn`].
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub(super) fn turn(&mut self) -> Result<(), Error> {
        self.maps.turn()
    }

    /// Number of the slot that is being counted. What [`drain`](Self::drain) empties is the one before.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        self.maps.slot()
    }

    /// Sets of how much the program gives hints. See [`Maps::set_hints`].
    ///
    /// # Errors
    ///
    /// The kernel's error; everything is then as it was.
    pub fn set_hints(&mut self, hints: HintRates) -> Result<(), Error> {
        self.maps.set_hints(hints)
    }

    /// The reader of hints, once.
    pub const fn take_hints(&mut self) -> Option<Hints> {
        self.maps.take_hints()
    }

    /// Looks into the maps of the slot that is being counted.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.maps.reader()
    }

    /// What the program counted since it was loaded.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn totals(&self) -> Result<Totals, Error> {
        self.maps.totals()
    }

    /// Reads the same, from any thread.
    #[must_use]
    pub fn meter(&self) -> Meter {
        self.maps.meter()
    }

    /// The reader of the program's log, once, where a log level was asked for.
    pub fn take_logger(&mut self) -> Option<Logger> {
        self.logger.take()
    }

    /// What the kernel calls the loaded program.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub fn program_id(&mut self) -> Result<u32, Error> {
        let info = self.program()?.info().map_err(|error| Error::Object(error.to_string()))?;
        Ok(info.id())
    }

    /// The loaded program: to run it on a frame without attaching it, and to ask the kernel about it.
    ///
    /// # Errors
    ///
    /// The object does not hold the program.
    pub fn program(&mut self) -> Result<&Xdp, Error> {
        xdp(&mut self.object, self.names.received).map(|program| &*program)
    }

    /// What the program costs that looks at packets more closely; `None` where there is none.
    ///
    /// # Errors
    ///
    /// The kernel does not tell.
    pub fn size_of_closer(&mut self) -> Result<Option<ProgramSize>, Error> {
        if self.closer.is_none() {
            return Ok(None);
        }
        let size = size_of_program(xdp(&mut self.object, closer::PROGRAM)?);
        size.map(Some).map_err(|error| Error::Object(error.to_string()))
    }

    /// Tells how replies are told, and until when connections may be older than the program. See [`Maps::set_replies`].
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub(super) fn set_replies(&mut self, replies: u32, grace_ends_ns: u64) -> Result<(), Error> {
        self.maps.set_replies(replies, grace_ends_ns)
    }

    /// The descriptor of the program that looks at what is received, and of the one that looks at what is sent.
    pub(super) fn descriptors(&mut self) -> Result<[OwnedFd; 2], Error> {
        let copy = |fd: &ProgramFd| fd.as_fd().try_clone_to_owned().map_err(Error::system("dup"));
        let no_fd = |error: ProgramError| Error::Object(error.to_string());
        let ingress = copy(self.program()?.fd().map_err(no_fd)?)?;
        let egress = copy(sent_program(&mut self.object, self.names.sent)?.fd().map_err(no_fd)?)?;
        Ok([ingress, egress])
    }

    /// The map through which a program is told of the recorded packet at hand.
    pub(super) fn take_replayed(&mut self) -> Result<MapData, Error> {
        match self.object.take_map("REPLAYED") {
            Some(Map::Array(map)) => Ok(map),
            _ => Err(Error::Object("it has no array REPLAYED".into())),
        }
    }

    fn try_attach(&mut self, index: u32, mode: XdpMode) -> io::Result<()> {
        let program = xdp(&mut self.object, self.names.received).map_err(io::Error::other)?;
        let link = program.attach_to_if_index(index, mode).map_err(error::attach_source)?;
        // Where the kernel refuses a BPF link, aya attaches through netlink, and such a program would outlive a
        // crash of its owner. Every kernel that netwatch runs on has them (5.9); if it happens all the same, say so and stop.
        let link = program.take_link(link).map_err(|error| io::Error::other(error.to_string()))?;
        self.link = Some(FdLink::try_from(link).map_err(|_| {
            io::Error::other("the kernel made no BPF link; `ip link set dev INTERFACE xdp off` detaches")
        })?);
        Ok(())
    }
}

fn xdp<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp, Error> {
    object
        .program_mut(name)
        .and_then(|program| <&mut Xdp>::try_from(program).ok())
        .ok_or_else(|| Error::Object(format!("it has no XDP program {name}")))
}

fn sent_program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, Error> {
    object
        .program_mut(name)
        .and_then(|program| <&mut SchedClassifier>::try_from(program).ok())
        .ok_or_else(|| Error::Object(format!("it has no egress program {name}")))
}
