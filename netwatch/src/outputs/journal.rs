//! journald, by its own protocol: a datagram for each entry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::local::{Local, Unread, connect_local};
use super::transport::{Transport, Trouble};
use crate::report::Told;
use crate::sinks::journal::entry;

/// journald's socket.
pub(super) struct Journal {
    path: PathBuf,
    socket: Option<Local>,
}

impl Journal {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), socket: None }
    }
}

impl Transport for Journal {
    fn deliver(&mut self, batch: &[Arc<Told>], done: &mut usize) -> Result<(), Trouble> {
        let name = self.path.display();
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let what = format!("connect to {name}");
                connect_local(&self.path).map_err(|error| Trouble::io(&what, &error))?
            }
        };
        let Local::Datagrams(journal) = &mut socket else {
            return Err(Trouble::again(format!("{name} is a stream; journald takes datagrams")));
        };
        let sent = journal.send(batch, done, |told| entry(told));
        if !matches!(sent, Err(Unread::Broken(_))) {
            self.socket = Some(socket);
        }
        sent.map_err(|unread| unread.trouble(&name, "entry"))
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.socket = None;
        Ok(())
    }
}
