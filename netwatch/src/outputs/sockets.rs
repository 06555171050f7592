//! What sockets of all kinds have in common: whether the other end is still there, and whether it has taken what was sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt};

use super::limits::PATIENCE;

/// What waiting for the other end came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It has taken everything.
    All,
    /// It is there, and has not.
    Late,
}

/// Whether the other end of a stream has gone.
pub(super) fn is_gone(stream: &impl AsFd) -> bool {
    let events = PollFlags::from_bits_retain(libc::POLLRDHUP);
    let mut asked = [PollFd::new(stream.as_fd(), events)];
    let _ = poll(&mut asked, PollTimeout::ZERO);
    let [asked] = asked;
    asked.revents().is_some_and(|seen| seen.intersects(events | PollFlags::POLLHUP | PollFlags::POLLERR))
}

/// Waits until the other end has taken all that was sent: its program where the socket is local, its kernel elsewhere.
pub(super) fn settle(stream: &impl AsFd) -> io::Result<Settled> {
    let (begin, mut pause) = (Instant::now(), Duration::from_micros(50));
    loop {
        let left = unsent(stream.as_fd())?;
        // Asked after the former: who goes away without having read says so before it lets go of what it has not read.
        match getsockopt(&stream.as_fd(), sockopt::SocketError)? {
            0 => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        if left == 0 {
            return Ok(Settled::All);
        }
        if begin.elapsed() >= PATIENCE {
            return Ok(Settled::Late);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Bytes that were sent and not taken.
fn unsent(fd: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ, of sockets called SIOCOUTQ, writes one int to where the pointer points, and `bytes` is one that
    // outlives the call.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(bytes) }
}
