//! Somebody who listens on a Unix socket.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use netwatch::config::OutputTarget;
use netwatch::sinks::line::LineFormat;

use crate::common::{Folder, Receiver, down_and_back, too_long};

type Lines = Arc<Mutex<Vec<String>>>;

/// A thread that reads lines until it is told to stop.
struct Listener {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Receiver for Listener {
    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

fn streams(path: &Path, lines: &Lines) -> Listener {
    let _ = fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (is_over, lines) = (Arc::new(AtomicBool::new(false)), Arc::clone(lines));
    let over = Arc::clone(&is_over);
    let thread = thread::spawn(move || {
        let mut stream = None;
        while !over.load(Ordering::Relaxed) {
            match &mut stream {
                None => match listener.accept() {
                    Ok((new, _)) => {
                        new.set_nonblocking(false).unwrap();
                        new.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
                        stream = Some((BufReader::new(new), String::new()));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(10)),
                },
                Some((reader, line)) => match reader.read_line(line) {
                    Ok(0) => stream = None,
                    Ok(_) => lines.lock().unwrap().push(core::mem::take(line).trim_end().to_owned()),
                    Err(_) => {}
                },
            }
        }
    });
    Listener { is_over, thread }
}

fn datagrams(path: &Path, lines: &Lines) -> Listener {
    let _ = fs::remove_file(path);
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let (is_over, lines) = (Arc::new(AtomicBool::new(false)), Arc::clone(lines));
    let over = Arc::clone(&is_over);
    let thread = thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while !over.load(Ordering::Relaxed) {
            if let Ok(length) = socket.recv(&mut buffer) {
                let line = String::from_utf8_lossy(&buffer[..length]);
                lines.lock().unwrap().push(line.trim_end().to_owned());
            }
        }
    });
    Listener { is_over, thread }
}

fn each(listen: fn(&Path, &Lines) -> Listener) {
    for too_long_away in [false, true] {
        let folder = Folder::new("unix");
        let (path, lines) = (folder.path().join("socket"), Lines::default());
        let target = OutputTarget::Unix { path: path.clone(), format: LineFormat::Text };
        let received = || lines.lock().unwrap().clone();
        if too_long_away {
            too_long(target, || listen(&path, &lines), received);
        } else {
            down_and_back(target, || listen(&path, &lines), received);
        }
    }
}

#[test]
fn a_stream() {
    each(streams);
}

#[test]
fn datagrams_of_a_line() {
    each(datagrams);
}
