//! `netwatch watch`: packets as they pass.
//!
//! In reading order: [`wish`] (what is wanted), [`packet`] (what there is to say about one), [`line`] and `json` (how it is
//! said), `output` (where it goes), and here the loop that takes packets out of the kernel. What is shown and what is not
//! is decided there: see [`kernel::view`](crate::kernel::view).

use std::fs::File;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use netwatch_common::{Settings, WatchTotals};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::capture::write;
use crate::clock;
use crate::filter::{self, Filter};
use crate::iface::{self, Changes, Interface, Interfaces, Link};
use crate::kernel::{EgressWish, Error, Samples, View, ViewOptions, host};
use crate::outlet::Trouble;
use crate::signals::{Asked, Signals};
use crate::sinks::Wall;
use crate::sinks::words::Printable;

mod json;
pub mod line;
mod output;
pub mod packet;
mod summary;
pub mod wish;

#[cfg(test)]
mod tests;

pub use output::open;
pub use wish::Wish;

use output::{Output, Troubles};
use packet::Told;
use summary::Summary;

/// Packets that are taken out of the ring before anything else is looked at.
const AT_ONCE: usize = 2048;
/// How long after packets were read the next ones are looked for; the kernel does not wake the reader for each.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// How often it is looked whether the interface is still there, besides when the kernel tells of a change.
const LOOK_AFTER_INTERFACE: Duration = Duration::from_secs(5);

/// Shows packets until something ends it: a signal, a limit, or a reader that closed the pipe. `file` is that of
/// [`Wish::file`].
///
/// # Errors
///
/// Nothing can be watched, the filter is not right, packets cannot be written, or the interface went away.
pub async fn run(wish: Wish, file: Option<File>) -> anyhow::Result<()> {
    let mut session = Session::start(wish, file).await?;
    let failure = loop {
        match session.next_event().await {
            Event::Packets => {
                if session.show() {
                    info!("stopping: that was the last packet of those asked for");
                    break None;
                }
            }
            Event::InterfacesChanged => {
                if iface::name_of(session.index).is_none() {
                    break Some(Error::NoSuchInterface(session.name.clone()).into());
                }
            }
            Event::Output(Trouble::Failed(error)) => {
                break Some(anyhow::Error::from(error).context("write packets"));
            }
            Event::Output(Trouble::Closed) => {
                info!("stopping: the reader of the packets closed the pipe");
                session.is_over = true;
                break None;
            }
            Event::Stop(why) => {
                info!("stopping: {why}");
                break None;
            }
        }
    };
    session.stop()?;
    failure.map_or(Ok(()), Err)
}

/// Everything that can happen.
enum Event {
    /// There may be packets.
    Packets,
    /// Some interface came, went or changed.
    InterfacesChanged,
    /// Packets can be written no more.
    Output(Trouble),
    /// Something asks netwatch to stop.
    Stop(&'static str),
}

struct Session {
    wish: Wish,
    name: String,
    index: u32,
    settings: Settings,
    view: View,
    samples: AsyncFd<Samples>,
    look_again: Option<Instant>,
    /// Whether there were more packets than were taken at once.
    is_behind: bool,
    output: Output,
    troubles: Troubles,
    /// Packets that were given to the output.
    shown: u64,
    /// Packets that came after the last one that was asked for.
    late: u64,
    /// Whether no more packets are to be shown.
    is_over: bool,
    changes: Changes,
    look_after_interface: Instant,
    deadline: Option<Instant>,
    signals: Signals,
}

impl Session {
    async fn start(wish: Wish, file: Option<File>) -> anyhow::Result<Self> {
        let changes = Changes::listen()?;
        let Interface { name, index, link, .. } = find(&wish).await?;
        let link = link.map_err(|link_type| Error::LinkType { interface: name.clone(), link_type })?;
        let filter = match &wish.filter {
            Some(expression) => Some(Filter::compile(expression, filter_link(link))?),
            None => None,
        };
        let (ephemeral_first, ephemeral_last) = host::ephemeral_ports();
        let settings =
            Settings { ephemeral_first, ephemeral_last, link: link.setting(), ..Settings::DEFAULT };
        let mut view = View::load(&ViewOptions {
            settings,
            snap_bytes: wish.snap_bytes,
            one_of: wish.one_of,
            rate: wish.rate.as_ref().map(|(rate, _)| *rate),
            ring_bytes: wish.buffer,
            direction: wish.direction,
            filter,
        })?;
        let samples = view.take_samples().ok_or_else(|| Error::Object("it has no ring of samples".into()))?;
        // SAFETY: the descriptor belongs to `samples`, which the registration owns: it is open as long as that is.
        let samples = unsafe { AsyncFd::register_with_interest(samples, Interest::READABLE) }?;
        let about = write::Interface {
            name: &name,
            link: match link {
                Link::Ethernet => write::LinkType::Ethernet,
                Link::Ip => write::LinkType::Ip,
            },
            snap_bytes: wish.snap_bytes,
            filter: wish.filter.as_deref(),
        };
        let (output, troubles) =
            Output::start(&about, wish.print, file, now_ns()).context("write packets")?;
        let signals = Signals::listen()?;
        view.attach(&name, index, EgressWish::Auto, clock::monotonic_ns())?;
        let session = Self {
            deadline: wish.stop_after.map(|after| Instant::now() + after),
            wish,
            name,
            index,
            settings,
            view,
            samples,
            look_again: None,
            is_behind: false,
            output,
            troubles,
            shown: 0,
            late: 0,
            is_over: false,
            changes,
            look_after_interface: Instant::now() + LOOK_AFTER_INTERFACE,
            signals,
        };
        session.announce();
        Ok(session)
    }

    fn announce(&self) {
        let Wish { filter, one_of, rate, .. } = &self.wish;
        let filter = filter.as_ref().map_or_else(String::new, |filter| format!(" for {}", Printable(filter)));
        let sampled = if *one_of > 1 { format!(", one of {one_of}") } else { String::new() };
        let rate = match rate {
            Some((_, rate)) => format!(", {rate} at most (`--rate none` shows all)"),
            None => String::new(),
        };
        info!("watching {}{filter}: showing packets{sampled}{rate}", self.name);
    }

    async fn next_event(&mut self) -> Event {
        loop {
            let [printing, writing] = &mut self.troubles;
            tokio::select! {
                biased;
                asked = self.signals.next() => match asked {
                    Asked::Stop(why) => return Event::Stop(why),
                    Asked::Reload => info!("SIGHUP: there is nothing to read again"),
                },
                () = clock::at(self.deadline) => return Event::Stop("the time given with --for is over"),
                trouble = next_trouble(printing) => return Event::Output(trouble),
                trouble = next_trouble(writing) => return Event::Output(trouble),
                () = self.changes.next() => return Event::InterfacesChanged,
                () = tokio::time::sleep_until(self.look_after_interface) => {
                    self.look_after_interface = Instant::now() + LOOK_AFTER_INTERFACE;
                    return Event::InterfacesChanged;
                }
                // Not by the clock, which has milliseconds: a flood fills the ring in some of them.
                () = tokio::task::yield_now(), if self.is_behind => return Event::Packets,
                () = clock::at(self.look_again) => return Event::Packets,
                ready = self.samples.readable() => match ready {
                    Ok(mut ready) => {
                        ready.clear_ready();
                        return Event::Packets;
                    }
                    // The runtime is about to end.
                    Err(_) => std::future::pending().await,
                },
            }
        }
    }

    /// Shows some of the packets that are in the ring. Returns whether those asked for were shown.
    fn show(&mut self) -> bool {
        let read = self.read();
        self.is_behind = read == AT_ONCE;
        self.look_again = (read > 0).then(|| Instant::now() + LOOK_AGAIN);
        self.is_over
    }

    /// Takes packets out of the ring. Returns how many.
    fn read(&mut self) -> usize {
        // The clock may have been set since.
        let wall = Wall::new(clock::wall_offset_ns());
        let Self { samples, settings, output, shown, late, is_over, wish, .. } = self;
        let read = samples.get_mut().read(AT_ONCE, |sample, frame| {
            if *is_over {
                *late += 1;
                return;
            }
            output.show(&Told::of(sample, frame, settings), wall);
            *shown += 1;
            *is_over = wish.count == Some(*shown);
        });
        self.output.flush();
        read
    }

    /// Detaches, shows what is in the ring still, and sums up.
    fn stop(mut self) -> anyhow::Result<()> {
        // Where the interface is gone there is nothing to detach from.
        if let Err(error) = self.view.detach() {
            warn!("{error}; some packets may be missing in the sum");
        }
        while self.read() > 0 {}
        let totals: WatchTotals = self.view.totals()?;
        let summary = Summary {
            interface: &self.name,
            totals: &totals,
            wish: &self.wish,
            written: self.output.written(),
            dropped: self.output.dropped(),
            late: self.late,
            not_printed: self.output.not_printed(),
        }
        .to_string();
        if !self.output.finish(&totals, now_ns()) {
            warn!("the last packets were not written because nobody reads them");
        }
        if tracing::enabled!(tracing::Level::INFO) {
            // Where stderr is gone too, there is nobody left to tell.
            let _ = io::stderr().lock().write_all(summary.as_bytes());
        }
        Ok(())
    }
}

/// The interface to watch.
async fn find(wish: &Wish) -> Result<Interface, Error> {
    let interfaces = Interfaces::connect()?;
    match &wish.interface {
        Some(name) => interfaces.by_name(name).await?.ok_or_else(|| Error::NoSuchInterface(name.clone())),
        None => {
            let interface = interfaces.of_default_route().await?;
            info!("no interface given: taking {}, that of the default route", interface.name);
            Ok(interface)
        }
    }
}

const fn filter_link(link: Link) -> filter::LinkType {
    match link {
        Link::Ethernet => filter::LinkType::Ethernet,
        Link::Ip => filter::LinkType::Ip,
    }
}

/// Waits for trouble of an output; for ever where there is none.
async fn next_trouble(troubles: &mut Option<tokio::sync::mpsc::UnboundedReceiver<Trouble>>) -> Trouble {
    if let Some(receiver) = troubles
        && let Some(trouble) = receiver.recv().await
    {
        return trouble;
    }
    std::future::pending().await
}

/// Nanoseconds since the epoch.
fn now_ns() -> u64 {
    u64::try_from(clock::now().as_nanosecond()).unwrap_or(0)
}
