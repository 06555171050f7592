//! Packets as they pass, for whoever follows them over HTTP.

use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use netwatch_common::{Class, Sample, Settings};
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::broadcast;
use tracing::{debug, warn};

use crate::kernel::view::{Direction, Rate};
use crate::kernel::{EgressWish, Error, Samples, View, ViewOptions};
use crate::report::{Packets, Passed, Time};
use crate::sinks::Wall;
use crate::watch::line::{Line, Style};
use crate::watch::packet::Told;
use crate::watched::Watched;
use crate::{clock, iface};

/// How many packets of an interface are shown: as many as people can follow, evenly over a second.
const RATE: Rate = Rate { packets: 2, period_ns: 100_000_000 };
/// Bytes of a packet: all headers that are told of.
const SNAP_BYTES: u32 = 256;
/// Room for packets on their way out of the kernel, in bytes; a minute of them.
const RING_BYTES: u32 = 512 << 10;
/// Packets that may wait for one who follows.
const WAITING: usize = 256;
/// How long is waited for packets before it is looked whether anybody follows still.
const LOOK: Duration = Duration::from_millis(200);
/// How long views stay when nobody follows any more: who loads a page again need not wait for the kernel's verifier.
const STAY: Duration = Duration::from_secs(10);
/// How often it is looked whether an interface is still there.
const LOOK_AFTER_INTERFACES: Duration = Duration::from_secs(5);
/// How long after views could not be made it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// How long is waited at the end for programs to be taken away.
const LAST_LOOK: Duration = Duration::from_secs(1);
/// Packets that are taken out of a ring at once.
const AT_ONCE: usize = 64;

/// Live views of the interfaces, which are there as long as somebody looks.
pub(super) struct Views(Arc<Inner>);

struct Inner {
    interfaces: Vec<(String, Settings)>,
    state: Mutex<State>,
    /// Why they could not be made, as it was told last.
    told: Mutex<Option<String>>,
    is_stopping: AtomicBool,
    /// Those that were started and have not ended. One, or two for a moment.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What becomes of views.
enum State {
    /// Nobody looks.
    Off,
    /// Packets are shown, or are about to be.
    On(broadcast::Sender<Arc<Passed>>),
    /// They could not be made, and why.
    Failed(Instant, String),
}

impl Views {
    pub fn of(watched: &[Watched]) -> Self {
        let interfaces = watched.iter().map(|watched| (watched.name.clone(), *watched.settings())).collect();
        Self(Arc::new(Inner {
            interfaces,
            state: Mutex::new(State::Off),
            told: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            threads: Mutex::default(),
        }))
    }
}

impl Packets for Views {
    fn follow(&self) -> Result<broadcast::Receiver<Arc<Passed>>, String> {
        let mut state = self.0.state();
        match &*state {
            State::On(sender) => return Ok(sender.subscribe()),
            State::Failed(when, why) if when.elapsed() < TRY_AGAIN => return Err(sentence(why)),
            State::Off | State::Failed(..) => {}
        }
        let (sender, receiver) = broadcast::channel(WAITING);
        let (inner, shows) = (Arc::clone(&self.0), sender.clone());
        // Loading programs takes the kernel's verifier a while, and nobody else may wait for that.
        let thread = thread::Builder::new().name("netwatch-packets".into()).spawn(move || inner.show(&shows));
        let thread = thread.map_err(|error| sentence(&error.to_string()))?;
        let mut threads = self.0.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        *state = State::On(sender);
        Ok(receiver)
    }

    fn trouble(&self) -> Option<String> {
        match &*self.0.state() {
            State::Failed(_, why) => Some(sentence(why)),
            State::Off | State::On(_) => None,
        }
    }

    fn stop(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
        let threads = std::mem::take(&mut *self.0.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let begun = Instant::now();
        // On kernels before 6.6 programs stay behind where nobody takes them away.
        while threads.iter().any(|thread| !thread.is_finished()) && begun.elapsed() < LAST_LOOK {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn sentence(why: &str) -> String {
    format!("packets cannot be shown: {why}")
}

impl Inner {
    /// Shows packets until nobody has followed them for a while. Whoever follows by then is told by the channel's end, and may
    /// come again.
    fn show(&self, sender: &broadcast::Sender<Arc<Passed>>) {
        if let Err(error) = self.views().and_then(|views| self.pass(sender, views)) {
            let why = format!("{error:#}");
            let mut state = self.state();
            if self.told.lock().unwrap_or_else(PoisonError::into_inner).replace(why.clone()).as_ref()
                != Some(&why)
            {
                // Once, though an open page asks again and again.
                warn!("{}", sentence(&why));
            }
            *state = State::Failed(Instant::now(), why);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn views(&self) -> anyhow::Result<Vec<Shown<'_>>> {
        let mut views = Vec::with_capacity(self.interfaces.len());
        for (name, settings) in &self.interfaces {
            match Shown::start(name, settings) {
                Ok(view) => views.push(view),
                // The others can be seen all the same.
                Err(error) if self.interfaces.len() > 1 && !is_there(name) => debug!("{name}: {error:#}"),
                Err(error) => return Err(error),
            }
        }
        if views.is_empty() { Err(Error::NoSuchInterface(self.names()).into()) } else { Ok(views) }
    }

    fn pass(&self, sender: &broadcast::Sender<Arc<Passed>>, mut views: Vec<Shown<'_>>) -> anyhow::Result<()> {
        debug!("showing packets of {} interfaces", views.len());
        let (mut followed, mut looked) = (Instant::now(), Instant::now());
        loop {
            if self.is_stopping.load(Ordering::Acquire) {
                return Ok(());
            }
            let mut fds: Vec<_> =
                views.iter().map(|view| PollFd::new(view.samples.as_fd(), PollFlags::POLLIN)).collect();
            let timeout = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::MAX);
            match poll(&mut fds, timeout) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error).context("wait for packets"),
            }
            drop(fds);
            let wall = Wall::new(clock::wall_offset_ns());
            for view in &mut views {
                view.read(sender, wall);
            }
            if looked.elapsed() >= LOOK_AFTER_INTERFACES {
                looked = Instant::now();
                views.retain(|view| iface::name_of(view.index).as_deref() == Some(view.name));
                if views.len() < self.interfaces.len() && self.is_all_there() {
                    // One has come back: all begin anew with who follows next.
                    *self.state() = State::Off;
                    return Ok(());
                }
            }
            if sender.receiver_count() > 0 {
                followed = Instant::now();
            } else if followed.elapsed() >= STAY {
                // Nobody can come in between: who follows holds the same lock.
                let mut state = self.state();
                if sender.receiver_count() == 0 {
                    *state = State::Off;
                    return Ok(());
                }
            }
        }
    }

    fn is_all_there(&self) -> bool {
        self.interfaces.iter().all(|(name, _)| is_there(name))
    }

    fn names(&self) -> String {
        self.interfaces.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn is_there(name: &str) -> bool {
    if_nametoindex(name).is_ok()
}

/// The view of an interface.
struct Shown<'a> {
    name: &'a str,
    index: u32,
    settings: Settings,
    samples: Samples,
    /// Is attached as long as it is there.
    _view: View,
}

impl<'a> Shown<'a> {
    fn start(name: &'a str, settings: &Settings) -> anyhow::Result<Self> {
        let index = if_nametoindex(name).map_err(|_| Error::NoSuchInterface(name.to_owned()))?;
        let mut view = View::load(&ViewOptions {
            settings: *settings,
            snap_bytes: SNAP_BYTES,
            one_of: 1,
            rate: Some(RATE),
            ring_bytes: RING_BYTES,
            direction: Direction::Both,
            filter: None,
        })?;
        let samples = view.take_samples().ok_or_else(|| Error::Object("it has no ring of samples".into()))?;
        view.attach(name, index, EgressWish::Auto, clock::monotonic_ns())?;
        Ok(Self { name, index, settings: *settings, samples, _view: view })
    }

    fn read(&mut self, sender: &broadcast::Sender<Arc<Passed>>, wall: Wall) {
        let Self { name, settings, samples, .. } = self;
        samples.read(AT_ONCE, |sample, frame| {
            let told = Told::of(sample, frame, settings);
            // That nobody follows any more is seen above.
            let _ = sender.send(Arc::new(passed(&told, name, wall)));
        });
    }
}

fn passed(told: &Told<'_>, interface: &str, wall: Wall) -> Passed {
    let (source, dest) = told.ends.unzip();
    let class: Class = told.sample.verdict().class();
    let line = Line { told, wall, style: Style { colour: false, payload: false } }.to_string();
    Passed {
        at: Time(wall.at(told.sample.at_ns)),
        interface: interface.to_owned(),
        direction: if told.sample.direction == Sample::OUT { "out" } else { "in" },
        class: class.name(),
        source,
        dest,
        bytes: told.wire_bytes(),
        text: line.trim_end().to_owned(),
    }
}
