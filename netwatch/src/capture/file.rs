//! One capture: its format, and the packet that comes next.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::buffer::Buffer;
use super::counts::Tally;
use super::error::{Problem, Refusal};
use super::input::{Input, Pipe};
use super::link::Link;
use super::pcap::{self, Pcap};
use super::pcapng::{self, Pcapng};
use super::record::Record;
use super::{Direction, Packet};

/// What is known of a packet besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub at_ns: i64,
    pub wire_bytes: u32,
    pub captured_bytes: u32,
    pub direction: Direction,
    pub without_time: bool,
    pub backwards: bool,
}

impl Head {
    pub fn packet(self, frame: &[u8]) -> Packet<'_> {
        let Self { at_ns, wire_bytes, direction, .. } = self;
        Packet { at_ns, wire_bytes, frame, direction }
    }
}

/// A capture that is being read.
#[derive(Debug)]
pub(super) struct Capture {
    path: PathBuf,
    format: Format,
    buffer: Buffer,
    /// Holds the frame of a packet whose link header is not that of Ethernet.
    made: Vec<u8>,
    next: Next,
    last_ns: Option<i64>,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// What is known of the next packet.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Nothing yet. This many bytes of the packet before it are still in the buffer.
    Unread(usize),
    /// It lies at the front of the buffer.
    Here(Head, Link, Record),
    /// There is none.
    End,
}

impl Capture {
    /// One of so many captures.
    pub fn open(path: &Path, stop: &Arc<AtomicBool>, captures: u64) -> Result<Self, Refusal> {
        let (file, size) = if path.as_os_str() == "-" {
            let stdin = io::stdin();
            if stdin.is_terminal() {
                return Err(Refusal::Terminal);
            }
            // Without the buffer that the standard library keeps of it.
            let file = stdin.as_fd().try_clone_to_owned().map(File::from).map_err(Refusal::Open)?;
            // A file may be read from its middle on, so its size says nothing.
            (file, None)
        } else {
            let file = File::open(path).map_err(Refusal::Open)?;
            let metadata = file.metadata().map_err(Refusal::Open)?;
            if metadata.is_dir() {
                return Err(Refusal::Directory);
            }
            let size = metadata.is_file().then_some(metadata.len());
            (file, size)
        };
        let reader: Box<dyn Read + Send> = match size {
            Some(_) => Box::new(file),
            None => Box::new(Pipe::new(file, Arc::clone(stop))),
        };
        Self::from_reader(path.to_owned(), reader, size, stop, captures)
    }

    pub fn from_reader(
        path: PathBuf,
        reader: Box<dyn Read + Send>,
        size: Option<u64>,
        stop: &Arc<AtomicBool>,
        captures: u64,
    ) -> Result<Self, Refusal> {
        let input = Input::new(reader, size, captures).map_err(Refusal::Read)?;
        let mut buffer = Buffer::new(input, Arc::clone(stop));
        let (format, header) = format(&mut buffer)?;
        Ok(Self { path, format, buffer, made: Vec::new(), next: Next::Unread(header), last_ns: None })
    }

    pub fn position(&self) -> (u64, Option<u64>) {
        self.buffer.position()
    }

    /// The time of the next packet and the length of its captured bytes, or none when there is none any more.
    #[inline]
    pub fn peek(&mut self, tally: &mut Tally, problems: &mut Vec<Problem>) -> Option<(i64, usize)> {
        if let Next::Unread(used) = self.next {
            self.buffer.consume(used);
            self.next = self.find(tally).unwrap_or_else(|what| {
                // What is not read to its end seems cut short, and is not damaged.
                if !self.buffer.is_stopped() {
                    problems.push(Problem { path: self.path.clone(), offset: self.buffer.offset(), what });
                }
                Next::End
            });
        }
        match &self.next {
            Next::Here(head, _, _) => Some((head.at_ns, head.captured_bytes as usize)),
            _ => None,
        }
    }

    /// Takes the packet that [`peek`](Self::peek) has found.
    #[inline]
    pub fn take(&mut self) -> Option<(Head, &[u8])> {
        let Next::Here(mut head, link, Record { data, len, .. }) = self.next else { return None };
        self.next = Next::Unread(len);
        self.last_ns = Some(head.at_ns);
        let captured = data..data + head.captured_bytes as usize;
        let bytes = self.buffer.data().get(captured).unwrap_or_default();
        let (frame, direction) = link.frame(bytes, &mut self.made);
        if head.direction == Direction::Unknown {
            head.direction = direction;
        }
        Some((head, frame))
    }

    /// Looks for the next packet that can be used.
    #[inline]
    fn find(&mut self, tally: &mut Tally) -> Result<Next, String> {
        loop {
            let record = match &mut self.format {
                Format::Pcap(pcap) => pcap.next(&mut self.buffer)?,
                Format::Pcapng(pcapng) => pcapng.next(&mut self.buffer)?,
            };
            match record {
                None => {
                    // The file is over, but where reading failed it only seems to be.
                    return self.buffer.trouble().map_or(Ok(Next::End), |error| Err(error.to_string()));
                }
                Some(Record { link: Err(why), len, .. }) => {
                    tally.skip(why);
                    self.buffer.consume(len);
                }
                Some(record @ Record { link: Ok(link), .. }) => {
                    let head = Head {
                        at_ns: record.at_ns.or(self.last_ns).unwrap_or(0),
                        wire_bytes: record.wire_bytes,
                        captured_bytes: record.captured_bytes,
                        direction: record.direction,
                        without_time: record.at_ns.is_none(),
                        backwards: record.at_ns.is_some_and(|at| self.last_ns.is_some_and(|last| at < last)),
                    };
                    return Ok(Next::Here(head, link, record));
                }
            }
        }
    }
}

/// Which format a capture has, and the length of a header that stands before all records.
fn format(buffer: &mut Buffer) -> Result<(Format, usize), Refusal> {
    // No more is waited for than there may be: a pipe may bring the first packet much later.
    if let Some(pcap) = Pcap::from_header(buffer.at_least(pcap::HEADER)) {
        return Ok((Format::Pcap(pcap), pcap::HEADER));
    }
    // The header of a section is a block like others, and is read again as one.
    if let Some(pcapng) = Pcapng::from_header(buffer.at_least(pcapng::HEADER)) {
        return Ok((Format::Pcapng(pcapng), 0));
    }
    if let Some(error) = buffer.take_trouble() {
        return Err(Refusal::Read(error));
    }
    let header = buffer.data();
    Err(match pcap::is_magic(header) || pcapng::is_magic(header) {
        true if header.len() < pcapng::HEADER => Refusal::Short,
        true => Refusal::Version,
        false => Refusal::of(header),
    })
}
