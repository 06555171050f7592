//! A small HTTP server that a test tells what to answer.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::common::Receiver;

/// What it does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status, and lines of the header.
    Status(u16, &'static str),
    /// It takes the request and closes the connection.
    Nothing,
    /// It takes the request and says nothing for as long as it runs.
    Hang,
}

/// What came.
#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub answer: u16,
}

/// What is answered next, and what came.
#[derive(Clone, Default)]
pub struct Book {
    pub answers: Arc<Mutex<VecDeque<Answer>>>,
    pub requests: Arc<Mutex<Vec<Request>>>,
}

impl Book {
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().unwrap().extend(answers);
    }
}

pub struct Server {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Server {
    pub fn start(port: u16, book: &Book) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (is_over, book) = (Arc::new(AtomicBool::new(false)), book.clone());
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut hanging = Vec::new();
            while !over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                        hanging.extend(serve(stream, &book));
                    }
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Self { is_over, thread }
    }
}

impl Receiver for Server {
    fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

/// The connection, where it is to stay open.
fn serve(stream: TcpStream, book: &Book) -> Option<TcpStream> {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let line = next()?;
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = next()?.split_once(':') {
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = book.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(200, ""));
    let status = if let Answer::Status(status, _) = answer { status } else { 0 };
    book.requests.lock().unwrap().push(Request { line, headers, body, answer: status });
    let mut stream = stream;
    match answer {
        Answer::Status(status, header) => {
            let _ = write!(
                stream,
                "HTTP/1.1 {status} X\r\n{header}Content-Length: 2\r\nConnection: close\r\n\r\nno"
            );
            None
        }
        Answer::Nothing => None,
        Answer::Hang => Some(stream),
    }
}
