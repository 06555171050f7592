//! Lines for whoever listens on a Unix socket: a stream, or datagrams with a line each.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sockets::{Local, connect_local, is_gone, settle};
use super::transport::{Transport, Trouble};
use crate::report::Told;
use crate::report::snapshot::Run;
use crate::sinks::line::LineFormat;

/// A Unix socket.
pub(super) struct Unix {
    path: PathBuf,
    format: LineFormat,
    run: Arc<Run>,
    socket: Option<Local>,
}

impl Unix {
    pub(super) fn new(path: &Path, format: LineFormat, run: &Arc<Run>) -> Self {
        Self { path: path.to_owned(), format, run: Arc::clone(run), socket: None }
    }

    fn send(&self, socket: &Local, batch: &[Arc<Told>], done: &mut usize) -> std::io::Result<()> {
        let mut lines = Vec::new();
        match socket {
            Local::Stream(stream) => {
                batch.iter().for_each(|told| self.format.write(told, &self.run, &mut lines));
                let mut stream: &std::os::unix::net::UnixStream = stream;
                stream.write_all(&lines)?;
                // A reader that is there but late has it in its buffer, and would get it twice from another try.
                settle(stream)?;
            }
            Local::Datagrams(socket) => {
                for told in batch {
                    lines.clear();
                    self.format.write(told, &self.run, &mut lines);
                    socket.send(&lines)?;
                    *done += 1;
                }
                settle(socket)?;
            }
        }
        Ok(())
    }
}

impl Transport for Unix {
    fn deliver(&mut self, batch: &[Arc<Told>], done: &mut usize) -> Result<(), Trouble> {
        let name = self.path.display();
        let socket = match self.socket.take() {
            Some(Local::Stream(stream)) if is_gone(&stream) => None,
            socket => socket,
        };
        let socket = match socket {
            Some(socket) => socket,
            None => {
                let what = format!("connect to {name}");
                connect_local(&self.path).map_err(|error| Trouble::io(&what, &error))?
            }
        };
        match self.send(&socket, batch, done) {
            Ok(()) => {
                self.socket = Some(socket);
                Ok(())
            }
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                self.socket = Some(socket);
                Err(Trouble::Refused(format!("{name} takes no datagram of this length")))
            }
            Err(error) => Err(Trouble::io(&format!("send to {name}"), &error)),
        }
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.socket = None;
        Ok(())
    }
}
