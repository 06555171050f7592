//! Lines for whoever listens on a Unix socket: a stream, or datagrams with a line each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local::{Local, Unread, connect_local};
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
}

impl Transport for Unix {
    fn deliver(&mut self, batch: &[Arc<Told>], done: &mut usize) -> Result<(), Trouble> {
        let name = self.path.display();
        let socket = match self.socket.take() {
            Some(Local::Stream(stream)) if stream.is_over() => None,
            socket => socket,
        };
        let mut socket = match socket {
            Some(socket) => socket,
            None => {
                let what = format!("connect to {name}");
                connect_local(&self.path).map_err(|error| Trouble::io(&what, &error))?
            }
        };
        let sent = match &mut socket {
            Local::Stream(stream) => stream.send(|lines| {
                batch.iter().for_each(|told| self.format.write(told, &self.run, lines));
            }),
            Local::Datagrams(socket) => socket.send(batch, done, |told| {
                let mut line = Vec::new();
                self.format.write(told, &self.run, &mut line);
                line
            }),
        };
        if !matches!(sent, Err(Unread::Broken(_))) {
            self.socket = Some(socket);
        }
        sent.map_err(|unread| unread.trouble(&name, "datagram"))
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.socket = None;
        Ok(())
    }
}
