//! The programs of the live view: load, attach, count.
//!
//! They hang on the hooks of the stack and have maps of their own, so any number of views can watch beside each other and
//! beside `netwatch run`. Packets come through [`Samples`].

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use aya::maps::{Array, ArrayOfMaps, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::{
    SchedClassifier, TcAttachType,
    links::LinkOrder,
    tc::{NlOptions, SchedClassifierLink, TcAttachOptions},
};
use aya::{Ebpf, EbpfLoader, VerifierLogLevel};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
use aya_obj::generated::bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS;
use bytemuck::{Pod, Zeroable};
use netwatch_common::limits::SAMPLE_BYTES;
use netwatch_common::{Control, Flow, Settings, WatchTotals};

use super::maps::{Wire, take};
use super::tables::{self, Numbers};
use super::{
    Capacity, EgressHook, EgressWish, Error, Samples, egress, error, host, object, samples, syscall,
};
use crate::filter::{Ending, Filter, Instruction};

/// Flows that a view knows at once: 1 MiB of them.
const FLOWS: u32 = 65_536;
/// The oldest kernel in which programs can exchange a word if it is what was expected: the rate depends on it.
const OLDEST_KERNEL: host::Version = host::Version(5, 12);

/// Which packets, seen from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Direction {
    /// Those that it receives.
    In,
    /// Those that it sends.
    Out,
    /// All.
    #[default]
    Both,
}

/// So many packets in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Packets.
    pub packets: u32,
    /// The period, in nanoseconds.
    pub period_ns: u64,
}

/// What the loader must know.
#[derive(Clone, Debug)]
pub struct ViewOptions {
    /// What the classification must know.
    pub settings: Settings,
    /// Most bytes of a packet that are shown.
    pub snap_bytes: u32,
    /// Of how many packets one is shown.
    pub one_of: u32,
    /// How many packets are shown at most.
    pub rate: Option<Rate>,
    /// Room for packets on their way to userspace, in bytes.
    pub ring_bytes: u32,
    /// Which packets are looked at.
    pub direction: Direction,
    /// Which of them are shown; all where there is none.
    pub filter: Option<Filter>,
}

/// Loaded programs, attached to an interface or not. Dropping them detaches and unloads.
pub struct View {
    object: Ebpf,
    direction: Direction,
    /// Holds the filters, too: the array is emptied when nobody holds it any more.
    _next: MapData,
    control: Array<MapData, Wire<Control>>,
    totals: PerCpuArray<MapData, Wire<WatchTotals>>,
    barrier: ArrayOfMaps<MapData, MapData>,
    stone: MapData,
    samples: Option<Samples>,
    links: Vec<SchedClassifierLink>,
    /// Says that a view's filters on an interface are not left over from a crash.
    _claim: Option<UnixListener>,
}

/// One hook: the program that is attached there, the one that shows, and what of [`ViewOptions`] asks for it.
struct Hook {
    attach: TcAttachType,
    enters: &'static str,
    shows: &'static str,
    unless: Direction,
    /// The entry of the array that follows the first program. That of the program that shows is two behind.
    index: u32,
}

const HOOKS: [Hook; 2] = [
    Hook {
        attach: TcAttachType::Ingress,
        enters: "netwatch_view_in",
        shows: "netwatch_show_in",
        unless: Direction::Out,
        index: 0,
    },
    Hook {
        attach: TcAttachType::Egress,
        enters: "netwatch_view_out",
        shows: "netwatch_show_out",
        unless: Direction::In,
        index: 1,
    },
];
/// The program that takes note of what the host sends, so that replies are known.
const SENT: &str = "netwatch_view_sent";

impl View {
    /// Loads the programs and makes their maps. Nothing is attached yet.
    ///
    /// # Errors
    ///
    /// What the kernel refused, that there are no programs to load, or a filter that cannot run in the kernel.
    pub fn load(options: &ViewOptions) -> anyhow::Result<Self> {
        let product = object::product().ok_or(Error::NoObject)?;
        let running = host::kernel_version();
        if running < OLDEST_KERNEL {
            let (running, needed) = (host::kernel_release(), OLDEST_KERNEL.to_string());
            return Err(Error::KernelTooOld { running, needed }.into());
        }
        // Of the tables that packets are counted in, the view uses that of flows alone.
        let capacity = Capacity { sources: 1, targets: 1, blocks: 1, flows: FLOWS };
        let numbers = Numbers::of(&capacity, &tables::random_secrets(), host::possible_cpus());
        let settings = Wire(options.settings);
        let snap_bytes = options.snap_bytes.clamp(1, SAMPLE_BYTES);
        let one_of = options.one_of.max(1);
        let rate = options.rate.unwrap_or(Rate { packets: 0, period_ns: 0 });
        let mut loader = EbpfLoader::new();
        tables::prepare(&mut loader, &numbers);
        let mut object = loader
            .verifier_log_level(VerifierLogLevel::DEBUG | VerifierLogLevel::STATS)
            .map_max_entries(samples::RING, options.ring_bytes)
            .override_global("SETTINGS", &settings, true)
            .override_global("SHOW_BYTES", &snap_bytes, true)
            .override_global("SHOW_ONE_OF", &one_of, true)
            .override_global("SHOW_PACKETS", &rate.packets, true)
            .override_global("SHOW_PERIOD_NS", &rate.period_ns, true)
            .load(product)
            .map_err(|error| Error::from_load(error, options.ring_bytes.into()))?;
        let wanted = || HOOKS.iter().filter(|hook| hook.unless != options.direction);
        for name in wanted().flat_map(|hook| [hook.enters, hook.shows]).chain([SENT]) {
            program(&mut object, name)?.load().map_err(Error::from_program_load)?;
        }
        let Some(Map::ProgramArray(next)) = object.take_map("NEXT") else {
            return Err(Error::Object("it has no array of programs NEXT".into()).into());
        };
        for hook in wanted() {
            connect(&mut object, &next, hook, options.filter.as_ref())?;
        }
        let definition = aya_obj::Map::new_from_params(BPF_MAP_TYPE_ARRAY as u32, 4, 4, 1, 0);
        let no_map = |error| Error::from_map(error, 0);
        Ok(Self {
            direction: options.direction,
            _next: next,
            control: take(&mut object, "CONTROL")?,
            totals: take(&mut object, "WATCHED")?,
            barrier: take(&mut object, "BARRIER")?,
            stone: MapData::create(definition, "nw_stone", None).map_err(no_map)?,
            samples: Some(Samples::new(take::<RingBuf<MapData>>(&mut object, samples::RING)?)),
            object,
            links: Vec::new(),
            _claim: None,
        })
    }

    /// Attaches to an interface, before all programs that are there: some of them may let the others see nothing.
    ///
    /// # Errors
    ///
    /// What the kernel refused; or, where there are no tcx links, that another view watches there.
    pub fn attach(
        &mut self,
        interface: &str,
        index: u32,
        wish: EgressWish,
        now_ns: u64,
    ) -> Result<EgressHook, Error> {
        let control = Control {
            replies: Control::REPLIES_BY_FLOWS,
            grace_ends_ns: now_ns + Flow::KNOWN_NS,
            ..Control::default()
        };
        self.control.set(0, Wire(control), 0).map_err(|error| Error::from_map(error, 0))?;
        let tcx = wish == EgressWish::Auto && host::kernel_version() >= host::TCX_KERNEL;
        if !tcx {
            self._claim = Some(claim(interface, index)?);
        }
        self.attach_program(interface, SENT, TcAttachType::Egress, tcx)?;
        let direction = self.direction;
        for hook in HOOKS.iter().filter(|hook| hook.unless != direction) {
            self.attach_program(interface, hook.enters, hook.attach, tcx)?;
        }
        Ok(if tcx { EgressHook::Tcx } else { EgressHook::Clsact })
    }

    fn attach_program(
        &mut self,
        interface: &str,
        name: &str,
        hook: TcAttachType,
        tcx: bool,
    ) -> Result<(), Error> {
        let failed = |source: io::Error| match source.raw_os_error() {
            Some(libc::ENODEV) => Error::NoSuchInterface(interface.to_owned()),
            Some(libc::EPERM | libc::EACCES) => Error::permission("attach a program to the stack"),
            _ => Error::Attach { interface: interface.to_owned(), mode: "tc", source },
        };
        let options = if tcx {
            TcAttachOptions::TcxOrder(LinkOrder::first())
        } else {
            egress::make_way(interface, hook, name).map_err(failed)?;
            TcAttachOptions::Netlink(NlOptions::default())
        };
        let program = program(&mut self.object, name)?;
        let link = program
            .attach_with_options(interface, hook, options)
            .and_then(|link| program.take_link(link))
            .map_err(|error| failed(error::attach_source(error)))?;
        self.links.push(link);
        Ok(())
    }

    /// Detaches. When this returns, no program runs any more: counts and what is in the ring are complete.
    ///
    /// # Errors
    ///
    /// The kernel does not let wait for programs that run.
    pub fn detach(&mut self) -> Result<(), Error> {
        self.links.clear();
        self.barrier.set(0, &self.stone, 0).map_err(|error| Error::from_map(error, 0))
    }

    /// The packets, once.
    pub const fn take_samples(&mut self) -> Option<Samples> {
        self.samples.take()
    }

    /// One of the programs: to run it on a frame without attaching it, and to ask the kernel about it.
    ///
    /// # Errors
    ///
    /// The object does not hold it.
    pub fn program(&mut self, name: &str) -> Result<&SchedClassifier, Error> {
        program(&mut self.object, name).map(|program| &*program)
    }

    /// What all CPUs have counted since the programs were loaded.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn totals(&self) -> Result<WatchTotals, Error> {
        let values = self.totals.get(&0, 0).map_err(|error| Error::from_map(error, 0))?;
        let mut sum = WatchTotals::default();
        values.iter().for_each(|Wire(totals)| sum.add(totals));
        Ok(sum)
    }
}

/// Says by what follows a hook's first program: its filter, or the program that shows.
fn connect(object: &mut Ebpf, next: &MapData, hook: &Hook, filter: Option<&Filter>) -> anyhow::Result<()> {
    let shows = program(object, hook.shows)?.fd().map_err(|error| Error::Object(error.to_string()))?;
    let shows = shows.as_fd().try_clone_to_owned().map_err(Error::system("dup"))?;
    let Some(filter) = filter else {
        return Ok(set_program(next, hook.index, &shows)?);
    };
    let (programs, index) = (next.fd().as_fd().as_raw_fd(), hook.index + 2);
    let code = filter.translate(Ending::Jump { programs, index: index.cast_signed() })?;
    set_program(next, index, &shows)?;
    set_program(next, hook.index, &load_filter(&code)?)?;
    Ok(())
}

/// Loads a filter into the kernel.
///
/// # Errors
///
/// The verifier refused it.
pub fn load_filter(code: &[Instruction]) -> Result<OwnedFd, Error> {
    let mut log = vec![0_u8; 1 << 20];
    let mut attributes = Load {
        kind: BPF_PROG_TYPE_SCHED_CLS as u32,
        instructions: u32::try_from(code.len()).unwrap_or(u32::MAX),
        code: code.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        ..Load::zeroed()
    };
    attributes.name[..NAME.len()].copy_from_slice(NAME);
    // Without a log at first, because it costs time.
    // SAFETY: the attributes have the layout of the command, and lead to so many instructions, a text that ends with a zero
    // byte, and room for the log.
    let load = |attributes: &mut Load| unsafe { syscall::bpf_open(syscall::LOAD_PROGRAM, attributes) };
    load(&mut attributes).or_else(|_| {
        attributes.log_level = 1;
        attributes.log_size = u32::try_from(log.len()).unwrap_or(0);
        attributes.log = log.as_mut_ptr() as u64;
        load(&mut attributes).map_err(|error| {
            let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
            Error::refused(error, String::from_utf8_lossy(&log[..end]).into_owned())
        })
    })
}

/// What the kernel calls a filter.
const NAME: &[u8] = b"netwatch_filter";

/// Puts a program into an array of programs, for which aya wants one of its own.
fn set_program(next: &MapData, index: u32, program: &OwnedFd) -> Result<(), Error> {
    let value = program.as_raw_fd();
    let mut attributes = Update {
        map: next.fd().as_fd().as_raw_fd(),
        padding: 0,
        key: (&raw const index) as u64,
        value: (&raw const value) as u64,
        flags: 0,
    };
    // SAFETY: the attributes have the layout of the command; key and value are words of 4 bytes, as the map's are.
    unsafe { syscall::bpf(syscall::UPDATE_ELEMENT, &mut attributes) }
        .map_err(Error::system("bpf(BPF_MAP_UPDATE_ELEM)"))
}

/// Says that a view watches an interface by filters, which outlive a crash and are told by their names alone: the next view
/// would take them for what a crash has left. Abstract sockets belong to the network namespace, as interfaces do.
fn claim(interface: &str, index: u32) -> Result<UnixListener, Error> {
    let name = format!("netwatch-view-{index}");
    let claimed = SocketAddr::from_abstract_name(name).and_then(|name| UnixListener::bind_addr(&name));
    claimed.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::ViewBusy(interface.to_owned()),
        _ => Error::System { call: "bind", source },
    })
}

fn program<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, Error> {
    object
        .program_mut(name)
        .and_then(|program| <&mut SchedClassifier>::try_from(program).ok())
        .ok_or_else(|| Error::Object(format!("it has no program {name}")))
}

/// The attributes of `BPF_PROG_LOAD`, as far as they are used.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Load {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// Those of `BPF_MAP_UPDATE_ELEM`.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Update {
    map: i32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

const _: () = assert!(size_of::<Load>() == 64 && size_of::<Update>() == 32);
