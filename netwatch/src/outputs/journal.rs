//! journald, by its own protocol: a datagram for each entry.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sockets::{Local, connect_local, settle};
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
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let what = format!("connect to {name}");
                connect_local(&self.path).map_err(|error| Trouble::io(&what, &error))?
            }
        };
        let Local::Datagrams(journal) = &socket else {
            return Err(Trouble::again(format!("{name} is a stream; journald takes datagrams")));
        };
        for told in batch {
            let sent = journal.send(&entry(told));
            sent.map_err(|error| match error.raw_os_error() {
                Some(libc::EMSGSIZE) => Trouble::Refused(format!("{name} takes no entry of this length")),
                _ => Trouble::io(&format!("send to {name}"), &error),
            })?;
            *done += 1;
        }
        settle(journal).map_err(|error| Trouble::io(&format!("send to {name}"), &error))?;
        self.socket = Some(socket);
        Ok(())
    }

    fn reopen(&mut self) -> Result<(), Trouble> {
        self.socket = None;
        Ok(())
    }
}
