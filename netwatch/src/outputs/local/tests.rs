use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use super::*;
use crate::outputs::transport::{Transport, Trouble};
use crate::outputs::unix::Unix;
use crate::report::{Step, Told};
use crate::sinks::line::LineFormat;
use crate::sinks::tests::told::{run, told};

/// A path that goes with its test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> (Self, Unix) {
        let path = std::env::temp_dir().join(format!("netwatch-local-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        let unix = Unix::new(&path, LineFormat::Text, &Arc::new(run()));
        (Self(path), unix)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn batch(numbers: core::ops::RangeInclusive<u64>) -> Vec<Arc<Told>> {
    numbers.map(|number| Arc::new(told(number, Step::Open))).collect()
}

/// Not known to be read, and said so.
fn late(unix: &mut Unix, batch: &[Arc<Told>]) {
    let mut done = 0;
    let Err(Trouble::Again(why, _)) = unix.deliver(batch, &mut done) else { panic!("delivered") };
    assert!(why.contains("does not read what was sent"), "{why}");
    assert_eq!(done, 0);
}

fn delivered(unix: &mut Unix, batch: &[Arc<Told>]) {
    unix.deliver(batch, &mut 0).unwrap();
}

fn lines(numbers: core::ops::RangeInclusive<u64>) -> String {
    numbers.map(|number| format!("line {number}\n")).collect()
}

#[test]
fn what_a_stream_has_not_read_is_not_delivered_nor_written_twice() {
    let (place, mut unix) = Place::new("stream");
    let listener = UnixListener::bind(&place.0).unwrap();
    // More than a socket holds, so that some of it is not even written.
    let long = batch(1..=60_000);
    late(&mut unix, &long);
    let (mut stream, _) = listener.accept().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = vec![0; lines(1..=60_000).len()];
        stream.read_exact(&mut bytes).unwrap();
        (stream, String::from_utf8(bytes).unwrap())
    });
    delivered(&mut unix, &long);
    let (stream, text) = reader.join().unwrap();
    assert!(text == lines(1..=60_000), "something came twice, or not at all");
    // One that goes without having read gets it again where it comes back.
    let short = batch(1..=3);
    late(&mut unix, &short);
    drop(stream);
    let Err(Trouble::Again(..)) = unix.deliver(&short, &mut 0) else { panic!("delivered") };
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 21];
        listener.accept().unwrap().0.read_exact(&mut bytes).unwrap();
        bytes
    });
    delivered(&mut unix, &short);
    assert_eq!(String::from_utf8_lossy(&reader.join().unwrap()), lines(1..=3));
}

#[test]
fn datagrams_that_were_not_read_are_not_delivered_nor_sent_twice() {
    let (place, mut unix) = Place::new("datagrams");
    let receive = |socket: &UnixDatagram| {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let socket = UnixDatagram::bind(&place.0).unwrap();
    let some = batch(1..=3);
    late(&mut unix, &some);
    let text: String = (0..3).map(|_| receive(&socket)).collect();
    assert_eq!(text, lines(1..=3));
    delivered(&mut unix, &some);
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut [0; 64]).is_err(), "something came twice");
    // One that goes without having read gets it again where it comes back.
    late(&mut unix, &some);
    drop(socket);
    let Err(Trouble::Again(..)) = unix.deliver(&some, &mut 0) else { panic!("delivered") };
    fs::remove_file(&place.0).unwrap();
    let socket = UnixDatagram::bind(&place.0).unwrap();
    let reader = std::thread::spawn(move || (0..3).map(|_| receive(&socket)).collect::<Vec<_>>());
    let begin = std::time::Instant::now();
    // The reader may be gone once it has read, before that is looked at.
    while unix.deliver(&some, &mut 0).is_err() && !reader.is_finished() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(60));
    }
    assert_eq!(reader.join().unwrap().concat(), lines(1..=3));
}
