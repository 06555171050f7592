//! The thread that writes: the disk may keep it waiting, and it keeps nobody else waiting.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Instant;

use tracing::warn;

use super::counts::{Complaints, Counters, Reason, add};
use super::folder::Folder;
use super::limits::SWEEP;

/// What there is to write.
#[derive(Debug)]
pub(super) enum Message {
    /// A file begins. Whether it does is answered where somebody still waits for that; else it does not.
    Begin { file: u64, name: String, head: Vec<u8>, answer: SyncSender<bool> },
    /// A packet.
    Packet { file: u64, block: Vec<u8> },
    /// A file has all its packets.
    Complete { file: u64 },
}

/// The thread's side.
#[derive(Debug)]
pub(super) struct Writer {
    folder: Folder,
    open: HashMap<u64, Open>,
    counters: Arc<Counters>,
    complaints: Complaints,
}

/// A file that is not complete.
#[derive(Debug)]
struct Open {
    name: String,
    file: File,
    bytes: u64,
}

impl Writer {
    pub fn new(folder: Folder, counters: Arc<Counters>) -> Self {
        Self { folder, open: HashMap::new(), counters, complaints: Complaints::default() }
    }

    /// Writes until nobody sends any more; what is open is complete then.
    pub fn run(mut self, queue: &Receiver<Message>) {
        let mut swept = Instant::now();
        loop {
            match queue.recv_timeout(SWEEP.saturating_sub(swept.elapsed())) {
                Ok(message) => {
                    self.handle(message);
                    add(&self.counters.handled);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if swept.elapsed() >= SWEEP {
                if let Err(error) = self.folder.sweep() {
                    self.complain("old files are not removed", &error);
                }
                swept = Instant::now();
            }
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Begin { file, name, head, answer } => self.begin(file, name, &head, &answer),
            Message::Packet { file, block } => self.packet(file, &block),
            Message::Complete { file } => {
                if let Some(Open { name, bytes, .. }) = self.open.remove(&file) {
                    self.folder.complete(name, bytes);
                }
            }
        }
    }

    fn begin(&mut self, id: u64, name: String, head: &[u8], answer: &SyncSender<bool>) {
        let begun = self.folder.begin(&name, head);
        let is_begun = matches!(begun, Ok(Some(_)));
        let is_heard = answer.send(is_begun).is_ok();
        let bytes = head.len() as u64;
        match begun {
            Ok(Some(file)) if is_heard => {
                add(&self.counters.files);
                self.open.insert(id, Open { name, file, bytes });
            }
            // Whoever asked has gone on, counted that, and tells nobody of the file.
            Ok(Some(_)) => self.folder.forget(&name, bytes),
            _ if !is_heard => {}
            Ok(None) => {
                self.counters.no_file(Reason::Full);
                self.say_full();
            }
            Err(error) => {
                self.counters.no_file(Reason::Failed);
                self.complain(&format!("no packets are kept in {name}"), &error);
            }
        }
    }

    fn packet(&mut self, file: u64, block: &[u8]) {
        let Some(open) = self.open.get_mut(&file) else {
            self.counters.no_packet(Reason::Failed);
            return;
        };
        match self.folder.add(&mut open.file, open.bytes, block) {
            Ok(true) => {
                open.bytes += block.len() as u64;
                add(&self.counters.packets);
            }
            Ok(false) => {
                self.counters.no_packet(Reason::Full);
                self.say_full();
            }
            Err(error) => {
                let name = open.name.clone();
                self.counters.no_packet(Reason::Failed);
                self.complain(&format!("packets are missing in {name}"), &error);
            }
        }
    }

    fn say_full(&mut self) {
        if self.complaints.is_due(Reason::Full) {
            warn!(
                "evidence: {} is full of packets of incidents that have just begun; raise evidence.max_bytes or \
                 evidence.max_files, or lower evidence.packets",
                self.folder.path().display()
            );
        }
    }

    fn complain(&mut self, what: &str, error: &io::Error) {
        if self.complaints.is_due(Reason::Failed) {
            warn!("evidence: {what}: {}: {error}", self.folder.path().display());
        }
    }
}
