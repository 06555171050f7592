//! The bytes of a capture: as they lie in a file or come through a pipe, or decompressed on the way.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::bufread::MultiGzDecoder;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use super::limits::{ZSTD_WINDOW, ZSTD_WINDOWS};

/// Compressed bytes that are read at once.
const COMPRESSED: usize = 64 << 10;
/// How long a pipe is waited for until somebody is asked whether to wait on, in milliseconds.
const PATIENCE_MS: u16 = 100;
/// What says how data is compressed.
const MAGIC: usize = 4;

/// A stream of uncompressed bytes.
pub(super) enum Input {
    Plain(Raw),
    Gzip(Box<MultiGzDecoder<BufReader<Raw>>>),
    Zstd(Box<Zstd>),
}

impl Input {
    /// Looks at the first bytes, and not at any name, to tell whether the data is compressed. `size` is how many bytes
    /// there are, where that is known. This is one of `captures`.
    pub fn new(reader: Box<dyn Read + Send>, size: Option<u64>, captures: u64) -> io::Result<Self> {
        let mut raw = Raw { magic: [0; MAGIC], from: 0, to: 0, reader, position: 0, size };
        // A pipe may bring them one by one.
        while raw.to < MAGIC {
            match read(&mut raw.reader, &mut raw.magic[raw.to..])? {
                0 => break,
                count => raw.to += count,
            }
        }
        Ok(match raw.magic {
            [0x1f, 0x8b, _, _] => {
                Self::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(COMPRESSED, raw))))
            }
            // A frame with data, or one to be skipped.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => {
                Self::Zstd(Box::new(Zstd::new(raw, ZSTD_WINDOW.min(ZSTD_WINDOWS / captures.max(1)))))
            }
            _ => Self::Plain(raw),
        })
    }

    /// How many bytes were read so far, compressed as they are, and of how many.
    pub fn position(&self) -> (u64, Option<u64>) {
        let raw = match self {
            Self::Plain(raw) => raw,
            Self::Gzip(gzip) => gzip.get_ref().get_ref(),
            Self::Zstd(zstd) => zstd.source.get_ref(),
        };
        (raw.position, raw.size)
    }
}

impl Read for Input {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(raw) => raw.read(into),
            Self::Gzip(gzip) => gzip.read(into).map_err(|error| explained("gzip", &error)),
            Self::Zstd(zstd) => zstd.read(into).map_err(|error| explained("zstd", &error)),
        }
    }
}

/// An error of a decoder, with what it was decoding; the operating system's own errors speak for themselves.
fn explained(format: &str, error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            io::Error::other(format!("the {format} data ends early"))
        }
        None => io::Error::other(format!("the {format} data is damaged: {error}")),
    }
}

/// A reader whose first bytes were looked at, and which counts.
pub(super) struct Raw {
    magic: [u8; MAGIC],
    from: usize,
    to: usize,
    reader: Box<dyn Read + Send>,
    position: u64,
    size: Option<u64>,
}

impl Read for Raw {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = if self.from < self.to {
            let count = (self.to - self.from).min(into.len());
            into[..count].copy_from_slice(&self.magic[self.from..self.from + count]);
            self.from += count;
            count
        } else {
            read(&mut self.reader, into)?
        };
        self.position += count as u64;
        Ok(count)
    }
}

fn read(reader: &mut dyn Read, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Something that may bring nothing for a long time. When it is to stop, it is over.
pub(super) struct Pipe {
    file: File,
    stop: Arc<AtomicBool>,
}

impl Pipe {
    pub fn new(file: File, stop: Arc<AtomicBool>) -> Self {
        Self { file, stop }
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.stop.load(Ordering::Relaxed) {
            let mut waited = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waited, PollTimeout::from(PATIENCE_MS)) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                Ok(_) => return self.file.read(into),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }
}

/// Decodes one zstd frame after the other; the decoder itself knows a single one.
pub(super) struct Zstd {
    source: BufReader<Raw>,
    decoder: FrameDecoder,
    in_frame: bool,
    /// Most bytes of a frame's window.
    window: u64,
}

impl Zstd {
    fn new(raw: Raw, window: u64) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(window);
        Self { source: BufReader::with_capacity(COMPRESSED, raw), decoder, in_frame: false, window }
    }

    /// Starts with the next frame that has data. False where there is none.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    if io::copy(&mut (&mut self.source).take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => {
                    return Err(io::Error::other(format!(
                        "it needs a window of {} MiB, and {} MiB is the most; \
                         decompress it with `zstd -d --long=31` first",
                        requested.div_ceil(1 << 20),
                        self.window >> 20
                    )));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn check_sum(&self) -> io::Result<()> {
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("the checksum of a frame is wrong"));
        }
        Ok(())
    }
}

impl Read for Zstd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
        loop {
            if !self.in_frame {
                self.in_frame = self.next_frame()?;
                if !self.in_frame {
                    return Ok(0);
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                // Block by block, so that no more is kept than the frame's window.
                self.decoder.decode_blocks(&mut self.source, UptoBlocks(1)).map_err(io::Error::other)?;
            }
            let count = self.decoder.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            self.check_sum()?;
            self.in_frame = false;
        }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (position, size) = self.position();
        f.debug_struct("Input").field("position", &position).field("size", &size).finish_non_exhaustive()
    }
}
