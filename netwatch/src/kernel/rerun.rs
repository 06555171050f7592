//! The programs, run on recorded packets one at a time (`BPF_PROG_TEST_RUN`), under a clock of the caller's.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};

use bytemuck::{Pod, Zeroable};
use netwatch_common::{Flow, ListedCounts, ListedKey, Replayed, Settings, Totals, parse, prefixes::Line};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

use super::{Error, Hints, Options, Reader, Watch, shared::Shared, syscall};
use crate::analysis::{Counted, HintRates};

/// Shortest frame that the kernel runs an XDP program on, in bytes.
const SHORTEST_RECEIVED: usize = 14;

/// The loaded programs. They run when they are told to and never else, so their maps are swapped without waiting.
///
/// The thread that makes one stays on its CPU from then on: counts are kept, and hints given, for each CPU.
pub struct Rerun {
    watch: Watch,
    settings: Settings,
    ingress: OwnedFd,
    egress: OwnedFd,
    replayed: Shared<Replayed>,
    hints: Hints,
    /// Of frames that the kernel runs no program on, counted here by the same parser.
    short: Totals,
}

impl Rerun {
    /// Loads the programs; `replies` is how they tell replies, one of the constants of
    /// [`Control`](netwatch_common::Control). Connections may be older than the capture for as long as a flow is known
    /// after `start_ns`.
    ///
    /// # Errors
    ///
    /// What the kernel refused, or that there is no program to load.
    pub fn load(options: &Options, replies: u32, start_ns: u64) -> Result<Self, Error> {
        let mut watch = Watch::load(&Options { replay: true, ..*options })?;
        watch.set_replies(replies, start_ns.saturating_add(Flow::KNOWN_NS))?;
        let [ingress, egress] = watch.descriptors()?;
        let replayed = Shared::map(watch.take_replayed()?, 1)?;
        let hints = watch.take_hints().ok_or_else(|| Error::Object("it has no ring of hints".into()))?;
        let mut cpu = CpuSet::new();
        sched_getcpu()
            .and_then(|this| cpu.set(this))
            .and_then(|()| sched_setaffinity(Pid::from_raw(0), &cpu))
            .map_err(|error| Error::System { call: "sched_setaffinity", source: error.into() })?;
        Ok(Self {
            watch,
            settings: options.settings,
            ingress,
            egress,
            replayed,
            hints,
            short: Totals::default(),
        })
    }

    /// Counts a frame as received.
    ///
    /// # Errors
    ///
    /// The kernel's error; the frame is then not counted.
    pub fn received(&mut self, replayed: Replayed, frame: &[u8]) -> Result<(), Error> {
        if frame.len() < SHORTEST_RECEIVED {
            self.short.seen += 1;
            self.short.bytes += replayed.wire_bytes;
            if let Err(verdict) = parse(frame, &self.settings) {
                self.short.verdicts[verdict as usize] += 1;
            }
            return Ok(());
        }
        self.replayed.write(0, replayed);
        run(&self.ingress, frame)
    }

    /// Takes note of a frame as sent.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn sent(&mut self, replayed: Replayed, frame: &[u8]) -> Result<(), Error> {
        self.replayed.write(0, replayed);
        match run(&self.egress, frame) {
            // Kernels want the whole link header here, newer ones something behind it, and the newest all of the IP
            // header that its EtherType promises. What has less than that is of no flow.
            Err(Error::System { source, .. })
                if source.kind() == ErrorKind::InvalidInput && parse(frame, &self.settings).is_err() =>
            {
                self.short.sent += 1;
                Ok(())
            }
            result => result,
        }
    }

    /// Moves the hints given so far to the end of `into`.
    pub fn hints(&mut self, into: &mut Vec<netwatch_common::Hint>) {
        while !self.hints.read(into) {}
    }

    /// Sets of how much the programs give hints.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn set_hints(&mut self, rates: HintRates) -> Result<(), Error> {
        self.watch.set_hints(rates)
    }

    /// Looks into the maps in use.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.watch.reader()
    }

    /// Number of the slot that is being counted.
    #[must_use]
    pub const fn slot(&self) -> u32 {
        self.watch.slot()
    }

    /// Begins the next slot, and returns what was counted in the one that it ends.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn end_slot(&mut self) -> Result<Counted, Error> {
        let mut counted = Counted::default();
        self.watch.turn()?;
        self.watch.drain(|entry| counted.add(entry));
        Ok(counted)
    }

    /// Sets which addresses are listed. See [`Watch::set_feeds`].
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn set_feeds(&mut self, lines: &[Line]) -> Result<(), Error> {
        self.watch.set_feeds(lines)
    }

    /// What was counted of listed addresses in the slot that was ended last, once.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn drain_listed(&mut self, each: impl FnMut(ListedKey, ListedCounts)) -> Result<(), Error> {
        self.watch.drain_listed(each)
    }

    /// What was counted since the start.
    ///
    /// # Errors
    ///
    /// The kernel's error.
    pub fn totals(&self) -> Result<Totals, Error> {
        let mut totals = self.watch.totals()?;
        totals.add(&self.short);
        Ok(totals)
    }
}

/// Runs a program once on a frame.
fn run(program: &OwnedFd, frame: &[u8]) -> Result<(), Error> {
    let mut attributes = Attributes {
        #[expect(clippy::cast_sign_loss, reason = "an open descriptor is not negative")]
        program: program.as_raw_fd() as u32,
        // The caller bounds it.
        data_size_in: u32::try_from(frame.len()).unwrap_or(u32::MAX),
        data_in: frame.as_ptr() as u64,
        repeat: 1,
        ..Attributes::zeroed()
    };
    loop {
        // SAFETY: the attributes have the layout of the command, and the only memory that they lead to is the frame,
        // which the kernel reads; it is asked for no output.
        match unsafe { syscall::bpf(syscall::TEST_RUN, &mut attributes) } {
            Ok(()) => return Ok(()),
            // A signal came before the program ran.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::System { call: "bpf(BPF_PROG_TEST_RUN)", source }),
        }
    }
}

/// `struct test` of `union bpf_attr` in linux/bpf.h.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Attributes {
    program: u32,
    result: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

const _: () = assert!(size_of::<Attributes>() == 80);
