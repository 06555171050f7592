//! Where packets go: lines to stdout, blocks to a file. Neither keeps the reader of the ring waiting: what is not written
//! fast enough is counted.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use netwatch_common::{Sample, WatchTotals};
use tokio::sync::mpsc::UnboundedReceiver;

use super::json::Event;
use super::line::{Line, Style};
use super::packet::Told;
use super::wish::Print;
use crate::capture::{Direction, write};
use crate::cli::Format;
use crate::outlet::{Outlet, Trouble};
use crate::sinks::Wall;

/// Bytes that are handed to the writing thread at a time, about.
const BATCH: usize = 64 << 10;

/// A stream, and what became of the packets that were to be written to it.
struct Stream {
    outlet: Outlet,
    batch: Vec<u8>,
    /// Packets in the batch.
    pending: u64,
    /// Packets that were handed to the writing thread.
    taken: u64,
    /// Packets that it had no room for.
    dropped: u64,
}

impl Stream {
    fn start<W: io::Write + std::os::fd::AsFd + Send + 'static>(to: W) -> (Self, UnboundedReceiver<Trouble>) {
        let (outlet, trouble) = Outlet::start(to);
        (Self { outlet, batch: Vec::new(), pending: 0, taken: 0, dropped: 0 }, trouble)
    }

    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if self.outlet.offer(std::mem::take(&mut self.batch)) {
            self.taken += self.pending;
        } else {
            self.dropped += self.pending;
        }
        self.pending = 0;
    }

    fn added(&mut self) {
        self.pending += 1;
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }
}

/// A capture file in the making.
struct Capture {
    stream: Stream,
    start_ns: u64,
    /// Losses that the file tells of already.
    told_dropped: u64,
}

/// Where packets go.
pub(super) struct Output {
    interface: String,
    print: Option<(Print, Stream)>,
    capture: Option<Capture>,
}

/// What of the outputs can end a view.
pub(super) type Troubles = [Option<UnboundedReceiver<Trouble>>; 2];

impl Output {
    /// Begins to write. The file was opened already, but is emptied only now.
    pub fn start(
        about: &write::Interface<'_>,
        print: Option<Print>,
        file: Option<File>,
        now_ns: u64,
    ) -> io::Result<(Self, Troubles)> {
        let mut troubles = [None, None];
        let print = print.map(|print| {
            let (stream, trouble) = Stream::start(io::stdout());
            troubles[0] = Some(trouble);
            (print, stream)
        });
        let capture = match file {
            None => None,
            Some(file) => {
                // A pipe cannot be emptied and need not be.
                if file.metadata()?.is_file() {
                    file.set_len(0)?;
                }
                let (mut stream, trouble) = Stream::start(file);
                troubles[1] = Some(trouble);
                let system = nix::sys::utsname::uname();
                let said = |text: Result<String, nix::Error>| text.unwrap_or_default();
                let of = |name: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
                    said(system.as_ref().map(|all| name(all).to_string_lossy().into_owned()).map_err(|e| *e))
                };
                let release = of(nix::sys::utsname::UtsName::release);
                write::section(
                    &mut stream.batch,
                    &of(nix::sys::utsname::UtsName::machine),
                    &format!("Linux {release}"),
                );
                write::interface(&mut stream.batch, about);
                stream.flush();
                Some(Capture { stream, start_ns: now_ns, told_dropped: 0 })
            }
        };
        Ok((Self { interface: about.name.to_owned(), print, capture }, troubles))
    }

    /// Shows a packet.
    pub fn show(&mut self, told: &Told<'_>, wall: Wall) {
        if let Some((print, stream)) = &mut self.print {
            let Print { format, colour, payload } = *print;
            match format {
                Format::Text => {
                    let _ = write!(stream.batch, "{}", Line { told, wall, style: Style { colour, payload } });
                }
                Format::Json => {
                    let event = Event::of(told, wall, &self.interface, payload);
                    // Numbers and text are always JSON.
                    let _ = serde_json::to_writer(&mut stream.batch, &event);
                    stream.batch.push(b'\n');
                }
            }
            stream.added();
        }
        if let Some(Capture { stream, told_dropped, .. }) = &mut self.capture {
            let packet = write::Packet {
                interface: 0,
                at_ns: u64::try_from(wall.at(told.sample.at_ns).as_nanosecond()).unwrap_or(0),
                wire_bytes: told.wire_bytes(),
                direction: match told.sample.direction {
                    Sample::OUT => Direction::Sent,
                    _ => Direction::Received,
                },
                dropped_before: stream.dropped - *told_dropped,
                comment: "",
            };
            *told_dropped = stream.dropped;
            let mut tag = [0; 4];
            write::packet(&mut stream.batch, &packet, &told.parts(&mut tag));
            stream.added();
        }
    }

    /// Lets what was shown so far be written.
    pub fn flush(&mut self) {
        self.print.iter_mut().for_each(|(_, stream)| stream.flush());
        self.capture.iter_mut().for_each(|capture| capture.stream.flush());
    }

    /// Packets that were written so far, or soon will be; of two outputs, to the file.
    pub fn written(&self) -> u64 {
        self.main().map_or(0, |stream| stream.taken)
    }

    /// Packets that were not written because that took too long.
    pub fn dropped(&self) -> u64 {
        self.main().map_or(0, |stream| stream.dropped)
    }

    /// Of two outputs, packets that are in the file and were not printed.
    pub fn not_printed(&self) -> u64 {
        match (&self.print, &self.capture) {
            (Some((_, stream)), Some(_)) => stream.dropped,
            _ => 0,
        }
    }

    fn main(&self) -> Option<&Stream> {
        let printed = self.print.as_ref().map(|(_, stream)| stream);
        self.capture.as_ref().map(|capture| &capture.stream).or(printed)
    }

    /// Writes what is due at the end. Returns whether all was written.
    pub fn finish(self, totals: &WatchTotals, now_ns: u64) -> bool {
        let printed = self.print.is_none_or(|(_, stream)| stream.outlet.finish());
        let written = self.capture.is_none_or(|Capture { stream, start_ns, .. }| {
            let counts = write::Statistics {
                start_ns,
                end_ns: now_ns,
                received: totals.seen,
                accepted: totals.matched,
                dropped_by_system: totals.sampled_out + totals.rate_limited + totals.ring_full,
                dropped: stream.dropped,
                delivered: stream.taken,
            };
            let (mut outlet, mut last) = (stream.outlet, Vec::new());
            write::statistics(&mut last, 0, &counts);
            outlet.offer_last(last) && outlet.finish()
        });
        printed && written
    }
}

/// Opens the file that packets are to be written to. What is in it stays until there is something to write.
///
/// # Errors
///
/// It cannot be opened for writing.
pub fn open(path: &Path) -> io::Result<File> {
    if path.as_os_str() == "-" {
        use std::os::fd::AsFd as _;
        return io::stdout().as_fd().try_clone_to_owned().map(File::from);
    }
    File::options().write(true).create(true).truncate(false).open(path)
}
