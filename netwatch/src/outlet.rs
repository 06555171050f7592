//! stdout on a thread of its own, behind a bounded queue: a reader that is slow, or stops reading, costs alerts
//! but never packets, and never keeps netwatch from stopping. What it costs is counted.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Batches of lines that may wait to be written; a batch is what one slot of one interface has to tell, or
/// 64 KiB of it.
pub const QUEUE: usize = 256;
/// How long the last lines may take to be written when netwatch stops.
pub const LAST_LINES: Duration = Duration::from_secs(3);

/// What became of the outlet.
#[derive(Debug)]
pub enum Trouble {
    /// The reader closed its end: the regular way to say that it has seen enough.
    Closed,
    /// Anything else.
    Failed(io::Error),
}

/// A stream that never blocks its writer.
#[derive(Debug)]
pub struct Outlet {
    queue: SyncSender<Vec<u8>>,
    written: Receiver<()>,
    dropped_lines: u64,
}

impl Outlet {
    /// Starts writing to `stream`, and says at once when its reader goes away, even while there is nothing to
    /// write.
    pub fn start<W: Write + AsFd + Send + 'static>(mut stream: W) -> (Self, UnboundedReceiver<Trouble>) {
        let (queue, batches) = sync_channel::<Vec<u8>>(QUEUE);
        let (finished, written) = channel();
        let (troubles, trouble) = unbounded_channel();
        if let Ok(watched) = stream.as_fd().try_clone_to_owned() {
            let troubles = troubles.clone();
            thread::spawn(move || watch_for_hangup(&watched, &troubles));
        }
        thread::spawn(move || {
            let mut result = Ok(());
            for batch in batches {
                // After an error the queue is still emptied, so that nobody waits for it.
                if result.is_ok() {
                    result = write_all(&mut stream, &batch);
                    tell_trouble(&result, &troubles);
                }
            }
            let _ = finished.send(());
        });
        (Self { queue, written, dropped_lines: 0 }, trouble)
    }

    /// Lines that were dropped so far because the queue was full.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.dropped_lines
    }

    /// Queues a batch to be written. Returns whether there was room for it; where there was none, it is dropped, and what
    /// was in it is the caller's to count.
    #[must_use]
    pub fn offer(&mut self, batch: Vec<u8>) -> bool {
        !matches!(self.queue.try_send(batch), Err(TrySendError::Full(_)))
    }

    /// The same for what must come last: waits for room, but not for ever.
    #[must_use]
    pub fn offer_last(&mut self, mut batch: Vec<u8>) -> bool {
        let patience = Instant::now();
        loop {
            match self.queue.try_send(batch) {
                Err(TrySendError::Full(back)) if patience.elapsed() < LAST_LINES => batch = back,
                sent => return sent.is_ok(),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until everything is written, but not for ever. Returns whether it was.
    #[must_use]
    pub fn finish(self) -> bool {
        drop(self.queue);
        self.written.recv_timeout(LAST_LINES) != Err(RecvTimeoutError::Timeout)
    }
}

impl Write for Outlet {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        if lines.is_empty() {
            return Ok(0);
        }
        if let Err(TrySendError::Full(lines)) = self.queue.try_send(lines.to_vec()) {
            self.dropped_lines += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `write_all` that also waits where whoever started netwatch made the stream non-blocking.
fn write_all<W: Write + AsFd>(stream: &mut W, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let _ = poll(&mut [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE);
            }
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

fn tell_trouble(result: &io::Result<()>, troubles: &UnboundedSender<Trouble>) {
    if let Err(error) = result {
        let trouble = match error.kind() {
            io::ErrorKind::BrokenPipe => Trouble::Closed,
            _ => Trouble::Failed(
                error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error),
            ),
        };
        let _ = troubles.send(trouble);
    }
}

/// Waits for the other end of a pipe, socket or terminal to go away. A file has none, and is not waited for.
fn watch_for_hangup(stream: &impl AsFd, troubles: &UnboundedSender<Trouble>) {
    if nix::sys::stat::fstat(stream.as_fd()).is_ok_and(|stat| stat.st_mode & libc::S_IFMT == libc::S_IFREG) {
        return;
    }
    loop {
        let mut waited = [PollFd::new(stream.as_fd(), PollFlags::empty())];
        match poll(&mut waited, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(_) => return,
            Ok(_) => {
                let seen = waited[0].revents().unwrap_or(PollFlags::empty());
                if seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
                    let _ = troubles.send(Trouble::Closed);
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, pipe};

    #[test]
    fn lines_arrive_in_order_and_the_end_is_waited_for() {
        let (reader, writer) = pipe().unwrap();
        let (mut outlet, _trouble) = Outlet::start(writer);
        for number in 0..100 {
            outlet.write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        assert!(outlet.finish());
        let lines: Vec<_> = BufReader::new(reader).lines().take(100).map(Result::unwrap).collect();
        assert_eq!(lines, (0..100).map(|number| format!("line {number}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_that_does_not_read_costs_lines_which_are_counted() {
        let (reader, writer) = pipe().unwrap();
        let (mut outlet, _trouble) = Outlet::start(writer);
        // A pipe holds 64 KiB; the rest of these 10 MB has nowhere to go.
        let batch = [b'x'; 19_999].iter().chain(b"\n").copied().collect::<Vec<u8>>();
        for _ in 0..500 {
            assert_eq!(outlet.write(&batch).unwrap(), batch.len());
        }
        let dropped = outlet.dropped_lines();
        assert!((500 - QUEUE as u64 - 10..=500 - QUEUE as u64).contains(&dropped), "{dropped}");
        assert!(!outlet.finish(), "and it is not waited for without end");
        drop(reader);
    }

    #[test]
    fn a_reader_that_goes_away_is_noticed_without_a_line_to_write() {
        let (reader, writer) = pipe().unwrap();
        let (_outlet, mut trouble) = Outlet::start(writer);
        drop(reader);
        assert!(matches!(trouble.blocking_recv(), Some(Trouble::Closed)));
    }

    #[test]
    fn a_stream_that_cannot_be_written_says_why() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (mut outlet, mut trouble) = Outlet::start(full);
        outlet.write_all(b"line\n").unwrap();
        let Some(Trouble::Failed(error)) = trouble.blocking_recv() else { panic!("no trouble") };
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        assert!(outlet.finish());
    }
}
