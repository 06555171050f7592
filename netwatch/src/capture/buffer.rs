//! A window on the bytes of a capture that moves forward, and grows only where one record needs it.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::input::Input;
use super::limits::{BUFFER, RECORD_MAX};

/// What was read and not used yet.
#[derive(Debug)]
pub(super) struct Buffer {
    input: Input,
    bytes: Vec<u8>,
    from: usize,
    to: usize,
    /// Where `from` lies in the uncompressed stream.
    offset: u64,
    /// Nothing comes any more; with an error, because of it.
    end: Option<Result<(), io::Error>>,
    /// Somebody wants no more.
    stop: Arc<AtomicBool>,
}

impl Buffer {
    pub fn new(input: Input, stop: Arc<AtomicBool>) -> Self {
        Self { input, bytes: vec![0; BUFFER], from: 0, to: 0, offset: 0, end: None, stop }
    }

    /// Whether what ends here ends because somebody wants no more.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What comes next: `wanted` bytes at least, or all that is left. More than [`RECORD_MAX`] cannot be wanted.
    #[inline]
    pub fn at_least(&mut self, wanted: usize) -> &[u8] {
        if self.to - self.from < wanted {
            self.read(wanted.min(RECORD_MAX));
        }
        self.data()
    }

    /// What is at hand.
    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    /// Goes on by some bytes of what is at hand.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.to - self.from);
        self.from += count;
        self.offset += count as u64;
    }

    /// Where the next byte lies in the uncompressed stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Why there are fewer bytes than were wanted, if it is not that the file is over.
    pub fn trouble(&self) -> Option<&io::Error> {
        self.end.as_ref()?.as_ref().err()
    }

    /// Says that there is less than there should be of something, and why.
    pub fn cut_short(&self, what: &str) -> String {
        self.trouble().map_or_else(|| format!("{what} is cut short"), ToString::to_string)
    }

    /// The same as [`trouble`](Self::trouble), for whoever does not read on.
    pub fn take_trouble(&mut self) -> Option<io::Error> {
        self.end.take()?.err()
    }

    pub fn position(&self) -> (u64, Option<u64>) {
        self.input.position()
    }

    fn read(&mut self, wanted: usize) {
        if self.from + wanted > self.bytes.len() {
            self.bytes.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        while self.to - self.from < wanted && self.end.is_none() {
            if self.to == self.bytes.len() {
                // Step by step: a length that the file merely states must not cost its memory.
                self.bytes.resize((self.to * 2).min(RECORD_MAX), 0);
            }
            match self.input.read(&mut self.bytes[self.to..]) {
                // A few compressed bytes may become so many that nobody would be asked for hours.
                _ if self.is_stopped() => self.end = Some(Ok(())),
                Ok(0) => self.end = Some(Ok(())),
                Ok(count) => self.to += count,
                Err(error) => self.end = Some(Err(error)),
            }
        }
    }
}
