//! The packets that the program of an interface sends to be looked into.

use std::io;
use std::time::Duration;

use netwatch_common::Sample;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use crate::clock;
use crate::kernel::Samples;

/// How long after packets were read the next ones are looked for: the kernel does not wake the reader for each.
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// For how long after the last ones: more than a tick of the kernel's coarse clock, in which only the first few wake it.
const LOOK_ON: Duration = Duration::from_millis(12);

/// Packets read at a time, at most: what comes after them waits for the next look.
const AT_ONCE: usize = 1_024;

/// The samples of one interface.
pub struct Tap {
    samples: AsyncFd<Samples>,
    look_again: Option<Instant>,
    /// When there were any last.
    read_last: Option<Instant>,
}

impl Tap {
    /// Follows the samples of an interface.
    ///
    /// # Errors
    ///
    /// The runtime cannot wait for them.
    pub fn new(samples: Samples) -> io::Result<Self> {
        // SAFETY: the descriptor belongs to `samples`, which the registration owns: it is open as long as that is.
        let samples = unsafe { AsyncFd::register_with_interest(samples, Interest::READABLE) }?;
        Ok(Self { samples, look_again: None, read_last: None })
    }

    /// Waits until there may be samples.
    pub async fn wait(&mut self) {
        tokio::select! {
            ready = self.samples.readable() => match ready {
                Ok(mut ready) => ready.clear_ready(),
                // The runtime is about to end.
                Err(_) => std::future::pending().await,
            },
            () = clock::at(self.look_again) => {}
        }
    }

    /// Hands over the samples that are there, or the first of very many.
    pub fn read(&mut self, each: impl FnMut(&Sample, &[u8])) {
        let read = self.samples.get_mut().read(AT_ONCE, each);
        let now = Instant::now();
        if read > 0 {
            self.read_last = Some(now);
        }
        let looks_on = self.read_last.is_some_and(|last| now - last < LOOK_ON);
        self.look_again = looks_on.then(|| now + LOOK_AGAIN);
    }

    /// Hands over all that is left, once no program sends any more.
    pub fn read_to_end(&mut self, mut each: impl FnMut(&Sample, &[u8])) {
        while self.samples.get_mut().read(AT_ONCE, &mut each) == AT_ONCE {}
    }
}
