//! What is no capture, and how that is said.

use std::fs::OpenOptions;
use std::io::{Write as _, pipe};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::build::*;
use super::merge::Folder;
use super::*;
use crate::capture::limits::FILES;

#[test]
fn what_is_no_capture_is_told_apart() {
    let pcap = pcap(Order::Little, MICROSECONDS, &samples(1));
    let section = Blocks::new(Order::Big).bytes;
    let mut version_2 = section.clone();
    version_2[13] = 2;
    let mut no_order = section.clone();
    no_order[8] = 0;
    let short = "it ends inside its header; capture it again";
    let text = "this is no capture: it looks like text";
    let unknown = "this is no capture: it starts like neither pcap nor pcapng";
    let version = "this is no pcapng file of version 1; convert it with `editcap`";
    for (bytes, expect) in [
        (&b""[..], "it is empty; a capture starts with the header of pcap or pcapng"),
        (&gzip(b""), "it is empty; a capture starts with the header of pcap or pcapng"),
        (&zstd(b""), "it is empty; a capture starts with the header of pcap or pcapng"),
        (b"t", text),
        (b"{\"event_type\": \"alert\"}\n", text),
        (&gzip(b"a,b\n1,2\n"), text),
        (&[0; 500], unknown),
        (&pcap[..3], unknown),
        (&pcap[..4], short),
        (&pcap[..23], short),
        (&section[..4], short),
        (&section[..27], short),
        (&gzip(&pcap[..20]), short),
        (&version_2, version),
        (&no_order, version),
        (
            &gzip(&gzip(&pcap)),
            "this is no capture: it looks like data that was compressed twice; unpack it once",
        ),
        (b"BZh91AY&SY", "this is no capture: it looks like bzip2; pipe it through `bzip2 -dc` and read `-`"),
        (&gzip(&pcap)[..9], "cannot read it: the gzip data ends early"),
        (&zstd(&pcap)[..4], "cannot read it: the zstd data is damaged: "),
    ] {
        let error = open(bytes).unwrap_err().to_string();
        let reason = error.strip_prefix("test: ").unwrap();
        if expect.ends_with(' ') {
            assert!(reason.starts_with(expect), "{reason}");
        } else {
            assert_eq!(reason, expect);
        }
        assert!(!error.contains('\n'));
    }
}

#[test]
fn paths_that_cannot_be_read() {
    let folder = Folder::new("paths");
    let capture = folder.file("a", &pcap(Order::Little, MICROSECONDS, &samples(1)));
    let refusal = |paths: &[PathBuf]| Captures::open(paths).unwrap_err().to_string();
    let missing = folder.path("missing");
    assert_eq!(
        refusal(&[capture.clone(), missing.clone()]),
        format!("{}: cannot open it: No such file or directory (os error 2)", missing.display())
    );
    assert_eq!(
        refusal(&[folder.path("")]),
        format!("{}: this is a directory; name the captures in it", folder.path("").display())
    );
    assert_eq!(
        refusal(&["-".into(), capture.clone(), "-".into()]),
        "standard input: it can be read only once; name it once"
    );
    let too_many = vec![capture.clone(); FILES + 1];
    let expect = "64 captures are the most that are read at once; merge some of them first";
    assert_eq!(refusal(&too_many), format!("{}: {expect}", capture.display()));
    assert_eq!(Outcome::of(Captures::open(&too_many[..FILES]).unwrap()).packets.len(), FILES);
    assert!(Outcome::of(Captures::open(&[]).unwrap()).packets.is_empty());
}

#[test]
fn a_packet_comes_out_of_a_pipe_before_the_next_is_written() {
    let folder = Folder::new("fifo");
    let path = folder.path("fifo");
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    let file = pcap(Order::Little, MICROSECONDS, &samples(2));
    let (header, record) = (24, (file.len() - 24) / 2);
    let writer = {
        let path = path.clone();
        thread::spawn(move || {
            let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
            pipe.write_all(&file[..header]).unwrap();
            (pipe, file)
        })
    };
    let mut captures = Captures::open(&[path]).unwrap();
    let (mut pipe, file) = writer.join().unwrap();
    // Were more than the record waited for, this would wait for ever.
    for (from, to) in [(header, header + record), (header + record, file.len())] {
        pipe.write_all(&file[from..to]).unwrap();
        assert!(captures.next().is_some());
    }
    drop(pipe);
    assert!(captures.next().is_none());
    assert_eq!((captures.problems(), captures.position()), (&[][..], (file.len() as u64, None)));
}

#[test]
fn a_silent_pipe_and_an_endless_one_are_over_when_somebody_wants_no_more() {
    let file = pcap(Order::Little, MICROSECONDS, &samples(1));
    let (header, half) = (24, 24 + (file.len() - 24) / 2);
    let section = Blocks::new(Order::Little).bytes;
    let endless = Blocks::new(Order::Little).block(0x0bad, &[0; 100]).bytes[section.len()..].repeat(100);
    // Nothing of a packet, half of one, and blocks to be skipped for ever.
    for (start, tail) in [(&file[..header], &[][..]), (&file[..half], &[]), (&section, &endless)] {
        let tail = tail.to_vec();
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(start).unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut captures = Captures::open_until(&[path], &stop).unwrap();
        let reading = thread::spawn(move || (captures.next().is_none(), captures.problems().len()));
        let writing = thread::spawn(move || {
            while !tail.is_empty() && writer.write_all(&tail).is_ok() {}
            writer
        });
        thread::sleep(Duration::from_millis(20));
        assert!(!reading.is_finished());
        stop.store(true, Ordering::Relaxed);
        assert_eq!(reading.join().unwrap(), (true, 0));
        drop(reader);
        writing.join().unwrap();
    }
}
