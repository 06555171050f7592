//! Sends frames as they are, and knows how many arrived.
//!
//! # Which count is right
//!
//! A virtual Ethernet interface hands a frame to its peer within the call that sends it, and the call fails
//! with `ENOBUFS` where the peer's queue has no room. [`Sender::send_all`] offers such a frame again, so every
//! frame counted in [`Sent::accepted`] has reached the peer: *delivered = accepted*, and nothing is to be taken
//! off. The interface's own [`Counters::tx_dropped`] counts refusals, each of which was made good; where nobody
//! else sends on the interface it grows by [`Sent::refused`].
//!
//! Delivered frames may lie in the peer's queue for a moment: [`Side::received`](crate::lab::Side::received)
//! waits until they have been dealt with. Frames go the ordinary way out, past a sniffer or a program at the
//! egress hook.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};
use std::{io, mem, ptr, thread};

use anyhow::{Context, Result, bail};

/// Frames handed to the kernel in one call.
const BATCH: usize = 128;

/// How long the kernel may refuse one and the same frame.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time between two batches of paced traffic, which bounds how uneven it is.
const STEP: Duration = Duration::from_millis(10);

/// A socket for whole frames on one interface.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
    interface: String,
}

/// What became of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames that the kernel took and delivered.
    pub accepted: u64,
    /// How often it refused one for want of room, before it took it.
    pub refused: u64,
}

impl Sender {
    /// Opens `interface` of the current network namespace, and stays in that namespace.
    ///
    /// # Errors
    ///
    /// Without `CAP_NET_RAW`, or where there is no such interface.
    pub fn open(interface: &str) -> Result<Self> {
        let name = CString::new(interface).context("reading the interface's name")?;
        // SAFETY: the name is a string that ends with a zero byte and outlives the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        let index = i32::try_from(index).ok().filter(|index| *index != 0);
        let index = index.with_context(|| format!("finding the interface {interface}"))?;

        // Protocol 0: the socket receives nothing.
        // SAFETY: the call takes no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        let socket = checked(socket).context("opening a packet socket; this needs root")?;
        // SAFETY: the descriptor has just been made and nothing else owns it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };

        // SAFETY: every field is a number, for which zero bytes are a value.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).context("naming the address family")?;
        address.sll_ifindex = index;
        let length = libc::socklen_t::try_from(size_of_val(&address)).context("sizing an address")?;
        // SAFETY: the pointer is to a live `sockaddr_ll` of the length given.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length) };
        checked(bound).with_context(|| format!("binding a packet socket to {interface}"))?;
        Ok(Self { socket, interface: interface.to_owned() })
    }

    /// Sends one frame.
    ///
    /// # Errors
    ///
    /// See [`send_all`](Self::send_all).
    pub fn send(&self, frame: &[u8]) -> Result<Sent> {
        self.send_all([frame], None)
    }

    /// Sends every frame, in order, at no more than `pace` frames a second.
    ///
    /// Building a frame costs more than sending it; to send very many, build some and repeat them.
    ///
    /// # Errors
    ///
    /// Where the interface is down, a frame does not fit, or the kernel has refused a frame for 5 seconds.
    pub fn send_all<F: AsRef<[u8]>>(
        &self,
        frames: impl IntoIterator<Item = F>,
        pace: Option<u32>,
    ) -> Result<Sent> {
        let mut frames = frames.into_iter();
        let size = pace.map_or(BATCH, |pace| {
            let per_step = f64::from(pace) * STEP.as_secs_f64();
            (1..BATCH).find(|size| *size as f64 >= per_step).unwrap_or(BATCH)
        });
        let mut batch = Vec::with_capacity(size);
        let mut sent = Sent::default();
        let start = Instant::now();
        loop {
            batch.clear();
            batch.extend(frames.by_ref().take(size));
            if batch.is_empty() {
                return Ok(sent);
            }
            if let Some(pace) = pace {
                let due = Duration::from_secs_f64(sent.accepted as f64 / f64::from(pace.max(1)));
                thread::sleep(due.saturating_sub(start.elapsed()));
            }
            self.send_batch(&batch, &mut sent)
                .with_context(|| format!("sending on {} after {} frames", self.interface, sent.accepted))?;
        }
    }

    fn send_batch<F: AsRef<[u8]>>(&self, batch: &[F], sent: &mut Sent) -> Result<()> {
        let mut parts: Vec<libc::iovec> = batch
            .iter()
            .map(|frame| {
                let frame = frame.as_ref();
                // The kernel only reads; the type has no other word for it.
                libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() }
            })
            .collect();
        let mut messages: Vec<libc::mmsghdr> = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: the fields are numbers and pointers, for which zero bytes are a value.
                let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();

        let mut rest = &mut messages[..];
        let mut progress = Instant::now();
        while !rest.is_empty() {
            // SAFETY: as many messages lie at the pointer as are announced. Each points to one part, each part
            // to a frame's bytes, and both outlive the call.
            let count = unsafe {
                libc::sendmmsg(self.socket.as_raw_fd(), rest.as_mut_ptr(), u32::try_from(rest.len())?, 0)
            };
            match checked(count) {
                Ok(count) => {
                    let count = usize::try_from(count)?;
                    sent.accepted += u64::try_from(count)?;
                    // Where the kernel stops short of the end it does not say why; the next call will.
                    sent.refused += u64::from(count < rest.len());
                    rest = &mut rest[count..];
                    progress = Instant::now();
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // The peer's queue is full. It is emptied on this very processor, perhaps by a thread.
                    Some(libc::ENOBUFS | libc::EAGAIN) if progress.elapsed() < PATIENCE => {
                        sent.refused += 1;
                        thread::yield_now();
                    }
                    Some(libc::ENOBUFS | libc::EAGAIN) => {
                        bail!("no room for a frame for {} seconds", PATIENCE.as_secs())
                    }
                    _ => {
                        let length = batch[batch.len() - rest.len()].as_ref().len();
                        return Err(error).with_context(|| format!("handing over a frame of {length} bytes"));
                    }
                },
            }
        }
        Ok(())
    }
}

/// What an interface counts, from `/proc/thread-self/net/dev`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets dropped on receipt.
    pub rx_dropped: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets that could not be sent: for a virtual Ethernet interface, refused by the peer's queue.
    pub tx_dropped: u64,
}

impl Counters {
    /// The counters of `interface` in the current network namespace.
    ///
    /// # Errors
    ///
    /// Where there is no such interface.
    pub fn of(interface: &str) -> Result<Self> {
        // Not `/proc/net`, which is the namespace of the process' first thread.
        let table =
            fs::read_to_string("/proc/thread-self/net/dev").context("reading the interfaces' counters")?;
        let line =
            table.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'));
        let line = line.with_context(|| format!("finding the counters of {interface}"))?;
        Self::parse(line).with_context(|| format!("reading the counters of {interface} in {line:?}"))
    }

    /// Reads what follows the interface's name: eight counters of receipt, then eight of sending.
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<u64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(Self {
            rx_packets: *fields.get(1)?,
            rx_dropped: *fields.get(3)?,
            tx_packets: *fields.get(9)?,
            tx_dropped: *fields.get(11)?,
        })
    }
}

/// The result of a system call that is −1 where it failed.
fn checked(result: RawFd) -> io::Result<RawFd> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
