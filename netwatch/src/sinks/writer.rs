//! Writes lines to a stream, whole lines at once.

use std::io::{self, Write};

use bytes::{BufMut, BytesMut};

use super::{Renderer, Wall};
use crate::analysis::{Digest, Severity, Transition};

/// Lines are gathered up to so many bytes before they are written.
const BATCH: usize = 64 * 1024;

/// A stream of lines.
#[derive(Debug)]
pub struct Output<W> {
    stream: W,
    renderer: Renderer,
    min_severity: Severity,
    buffer: BytesMut,
    not_printed: [u64; Severity::COUNT],
}

impl<W: Write> Output<W> {
    /// A stream of the transitions that weigh at least [`Severity::Low`].
    pub fn new(stream: W, renderer: Renderer) -> Self {
        let not_printed = [0; Severity::COUNT];
        Self { stream, renderer, min_severity: Severity::Low, buffer: BytesMut::new(), not_printed }
    }

    /// The same stream for the transitions that weigh at least this much.
    #[must_use]
    pub fn with_min_severity(mut self, min_severity: Severity) -> Self {
        self.min_severity = min_severity;
        self
    }

    /// Writes one line per transition and flushes the stream.
    ///
    /// # Errors
    ///
    /// [`OutputError::Closed`] when nobody reads any more, which a command treats as its regular end, and
    /// [`OutputError::Failed`] otherwise. What was not written is gone.
    pub fn write<'a>(
        &mut self,
        transitions: impl IntoIterator<Item = &'a Transition>,
    ) -> Result<(), OutputError> {
        let written = self.write_lines(transitions);
        self.buffer.clear();
        Ok(written?)
    }

    /// Writes one line about what the cap on notifications held back, and flushes the stream. It weighs as much as the
    /// heaviest of that.
    ///
    /// # Errors
    ///
    /// Those of [`write`](Self::write).
    pub fn digest(&mut self, digest: &Digest) -> Result<(), OutputError> {
        if digest.weight < self.min_severity {
            self.not_printed[digest.weight as usize] += 1;
            return Ok(());
        }
        let written = self.renderer.render_digest(digest, (&mut self.buffer).writer());
        let written = written.and_then(|()| self.flush());
        self.buffer.clear();
        Ok(written?)
    }

    /// Goes on with another least weight.
    pub fn print_from(&mut self, min_severity: Severity) {
        self.min_severity = min_severity;
    }

    /// Goes on with this wall clock: the old one is wrong once somebody has set the clock.
    pub fn keep_time(&mut self, wall: Wall) {
        self.renderer.wall = wall;
    }

    /// What turns transitions into lines.
    pub const fn renderer(&self) -> &Renderer {
        &self.renderer
    }

    /// The stream, to end it.
    pub fn into_stream(self) -> W {
        self.stream
    }

    /// The stream.
    pub const fn stream(&self) -> &W {
        &self.stream
    }

    /// How many transitions of a weight were left out for being below the minimum.
    #[must_use]
    pub const fn not_printed(&self, severity: Severity) -> u64 {
        self.not_printed[severity as usize]
    }

    fn write_lines<'a>(&mut self, transitions: impl IntoIterator<Item = &'a Transition>) -> io::Result<()> {
        for transition in transitions {
            if transition.weight < self.min_severity {
                self.not_printed[transition.weight as usize] += 1;
                continue;
            }
            self.renderer.render(transition, (&mut self.buffer).writer())?;
            if self.buffer.len() >= BATCH {
                self.stream.write_all(&self.buffer)?;
                self.buffer.clear();
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.buffer)?;
        self.stream.flush()
    }
}

/// Why lines could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader of the pipe is gone.
    #[error("write alerts: the reader closed the pipe")]
    Closed,
    /// Anything else: look at the disk or the terminal.
    #[error("write alerts")]
    Failed(#[source] io::Error),
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::State;
    use crate::sinks::tests::{flood, scan};
    use crate::sinks::{Format, Wall};

    fn renderer() -> Renderer {
        Renderer { format: Format::Json, wall: Wall::new(0), run: "7f3a".into(), colour: false }
    }

    /// Takes each write as one piece, and ends like a pipe or like a disk.
    #[derive(Default)]
    struct Stream {
        pieces: Vec<Vec<u8>>,
        error: Option<io::ErrorKind>,
    }

    impl Write for &mut Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.error {
                Some(kind) => Err(kind.into()),
                None => {
                    self.pieces.push(bytes.to_vec());
                    Ok(bytes.len())
                }
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_whole_lines_are_written() {
        let mut stream = Stream::default();
        let many = vec![scan(State::Open); 500];
        Output::new(&mut stream, renderer()).write(&many).unwrap();
        assert!(stream.pieces.len() > 1);
        assert!(stream.pieces.iter().all(|piece| piece.ends_with(b"}\n")));
        let lines: usize =
            stream.pieces.iter().map(|piece| piece.split(|byte| *byte == b'\n').count() - 1).sum();
        assert_eq!(lines, 500);
    }

    #[test]
    fn what_is_not_severe_enough_is_counted() {
        let mut stream = Stream::default();
        let info = Transition { weight: Severity::Info, ..flood(State::Open) };
        let mut output = Output::new(&mut stream, renderer());
        output.write(&[info, flood(State::Open)]).unwrap();
        let mut output = output.with_min_severity(Severity::High);
        output.write(&[flood(State::Open), scan(State::Open)]).unwrap();
        output.write(&[]).unwrap();
        assert_eq!(Severity::ALL.map(|severity| output.not_printed(severity)), [1, 0, 1, 0, 0]);
        assert_eq!(stream.pieces.len(), 2);
    }

    #[test]
    fn a_closed_pipe_is_told_from_a_full_disk() {
        let check = |kind, expect: &str| {
            let mut stream = Stream { error: Some(kind), ..Stream::default() };
            let error = Output::new(&mut stream, renderer()).write(&[scan(State::Open)]).unwrap_err();
            assert_eq!(error.to_string(), expect);
            assert_eq!(matches!(error, OutputError::Closed), kind == io::ErrorKind::BrokenPipe);
        };
        check(io::ErrorKind::BrokenPipe, "write alerts: the reader closed the pipe");
        check(io::ErrorKind::StorageFull, "write alerts");
    }
}
