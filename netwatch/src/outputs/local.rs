//! Connections to Unix sockets. What was written into one is delivered once its owner has read it; as long as that is not
//! known, it is neither delivered nor written a second time.

use core::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::limits::PATIENCE;
use super::sockets::{Settled, is_gone, settle};
use super::transport::Trouble;

/// A connection to a Unix socket.
pub(super) enum Local {
    Stream(Stream),
    Datagrams(Datagrams),
}

/// Why something is not known to have been read.
pub(super) enum Unread {
    /// The owner is there and has not read it. The connection keeps it, and is to be given the same again.
    Late,
    /// The datagram is longer than may be.
    TooLong,
    /// The connection is of no use any more.
    Broken(io::Error),
}

/// A stream, and what was not read of it.
pub(super) struct Stream {
    stream: UnixStream,
    /// What is under way; nothing where all was read.
    bytes: Vec<u8>,
    /// How much of it was written.
    written: usize,
}

/// A socket for datagrams, and how many of a batch were sent and may not have been read.
pub(super) struct Datagrams {
    socket: UnixDatagram,
    path: PathBuf,
    /// Which file the socket was found at.
    file: Option<Inode>,
    sent: usize,
}

/// What a file is known by: the number of one that was removed may be given to the next, but not at the same time.
type Inode = (u64, u64, Option<SystemTime>);

impl Unread {
    /// What to say of it. `what` is what the owner gets: a datagram, or an entry.
    pub(super) fn trouble(self, name: &impl Display, what: &str) -> Trouble {
        match self {
            Self::Late => Trouble::again(format!(
                "{name}: who listens there does not read what was sent; look whether that program hangs"
            )),
            Self::TooLong => Trouble::Refused(format!("{name} takes no {what} of this length")),
            Self::Broken(error) => Trouble::io(&format!("send to {name}"), &error),
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The time for writing is over.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            _ if error.raw_os_error() == Some(libc::EMSGSIZE) => Self::TooLong,
            _ => Self::Broken(error),
        }
    }
}

impl Stream {
    /// Whether there is nothing to go on with, and nobody to whom.
    pub(super) fn is_over(&self) -> bool {
        self.bytes.is_empty() && is_gone(&self.stream)
    }

    /// Writes what `make` makes, or, where the last call was late, goes on with what that one made.
    pub(super) fn send(&mut self, make: impl FnOnce(&mut Vec<u8>)) -> Result<(), Unread> {
        if self.bytes.is_empty() {
            make(&mut self.bytes);
            self.written = 0;
        }
        while let Some(rest) = self.bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(Unread::Broken(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        settled(settle(&self.stream)?)?;
        self.bytes = Vec::new();
        Ok(())
    }
}

impl Datagrams {
    /// Sends one for each of a batch; where the last call was late, only the rest. `done` is how many from the beginning on
    /// were read.
    pub(super) fn send<T>(
        &mut self,
        batch: &[T],
        done: &mut usize,
        mut make: impl FnMut(&T) -> Vec<u8>,
    ) -> Result<(), Unread> {
        let mut result = Ok(());
        while let Some(next) = batch.get(self.sent) {
            match self.socket.send(&make(next)) {
                Ok(_) => self.sent += 1,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    result = Err(error.into());
                    break;
                }
            }
        }
        if let Err(Unread::Broken(_)) = result {
            return result;
        }
        settled(settle(&self.socket)?)?;
        // What lay unread with an owner who has gone looks as if it had been read.
        let is_there = inode(&self.path) == self.file && open_local(&self.path, SockType::Datagram).is_ok();
        if self.sent > 0 && !is_there {
            let why = "its owner has gone, and may not have read what was sent";
            return Err(Unread::Broken(io::Error::new(io::ErrorKind::ConnectionReset, why)));
        }
        *done = core::mem::take(&mut self.sent);
        result
    }
}

fn settled(settled: Settled) -> Result<(), Unread> {
    match settled {
        Settled::All => Ok(()),
        Settled::Late => Err(Unread::Late),
    }
}

/// Connects to a Unix socket, of whichever type it is. Where too many wait to be let in already, that is an error and not a
/// wait.
pub(super) fn connect_local(path: &Path) -> io::Result<Local> {
    match open_local(path, SockType::Stream) {
        Ok(fd) => {
            let stream = UnixStream::from(fd);
            stream.set_nonblocking(false)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Local::Stream(Stream { stream, bytes: Vec::new(), written: 0 }))
        }
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
            // Looked at before: where it is another one by then, what is sent to it is sent again.
            let file = inode(path);
            let socket = UnixDatagram::from(open_local(path, SockType::Datagram)?);
            socket.set_nonblocking(false)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Local::Datagrams(Datagrams { socket, path: path.to_owned(), file, sent: 0 }))
        }
        Err(error) => Err(error),
    }
}

fn inode(path: &Path) -> Option<Inode> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.created().ok()))
}

fn open_local(path: &Path, kind: SockType) -> io::Result<std::os::fd::OwnedFd> {
    let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    connect(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(fd)
}

#[cfg(test)]
mod tests;
