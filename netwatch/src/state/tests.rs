use super::*;
use crate::analysis::slot::ServiceKey;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use netwatch_common::{Proto, Service};
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// A directory that goes with this value.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("netwatch-state-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    /// One that is there, with this text in its file.
    fn with(name: &str, text: &str) -> Self {
        let dir = Self::new(name);
        fs::create_dir(&dir.0).unwrap();
        fs::write(dir.0.join(NAME), text).unwrap();
        dir
    }

    fn text(&self) -> String {
        fs::read_to_string(self.0.join(NAME)).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn some() -> Learned {
    let (four, six) = (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    let mut learned = Learned::after(86_400_000_000_000);
    for (dest, proto, port) in [
        (IpAddr::from(four), Proto::Tcp, 22),
        (four.into(), Proto::Tcp, 80),
        (four.into(), Proto::Tcp, 81),
        (four.into(), Proto::Tcp, 65_535),
        (four.into(), Proto::Udp, 53),
        (six.into(), Proto::Tcp, 22),
    ] {
        learned.add(ServiceKey { dest: dest.into(), service: Service::new(proto, port) });
    }
    (8_000..=8_010).for_each(|port| learned.add_everywhere(Service::new(Proto::Tcp, port)));
    learned
}

const SOME: &str = r#"{
  "version": 1,
  "interfaces": {
    "eth0": {
      "learned_ms": 86400000,
      "services": {
        "192.0.2.1": [
          "tcp/22",
          "tcp/80-81",
          "tcp/65535",
          "udp/53"
        ],
        "2001:db8::1": [
          "tcp/22"
        ]
      },
      "everywhere": [
        "tcp/8000-8010"
      ]
    }
  }
}
"#;

#[test]
fn what_is_written_is_read() {
    let learned = BTreeMap::from([("eth0".to_owned(), some())]);
    assert_eq!(format::text(&learned), SOME);
    assert_eq!(format::read(SOME.as_bytes()).unwrap(), learned);
    // Nobody serves on port 0, and no file says so.
    let mut odd = some();
    odd.add_everywhere(Service::new(Proto::Udp, 0));
    assert_eq!(format::text(&BTreeMap::from([("eth0".to_owned(), odd)])), SOME);
}

#[tokio::test]
async fn a_later_run_finds_what_an_earlier_one_has_learned() {
    let dir = Dir::new("later");
    let state = State::open(&dir.0).unwrap();
    assert_eq!(state.learned("eth0"), None);
    let (learned, nothing) = (some(), Learned::default());
    state.finish([("eth0", &learned), ("eth1", &nothing)].into_iter()).await;
    assert_eq!(dir.text(), SOME);

    // What is not watched this time stays known.
    let state = State::open(&dir.0).unwrap();
    assert_eq!((state.learned("eth0"), state.learned("eth1")), (Some(&learned), None));
    let other = Learned::after(5_000_000);
    state.finish([("eth1", &other)].into_iter()).await;
    let state = State::open(&dir.0).unwrap();
    assert_eq!((state.learned("eth0"), state.learned("eth1")), (Some(&learned), Some(&other)));
    let files: Vec<_> = fs::read_dir(&dir.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, [NAME]);
    assert_eq!(fs::metadata(dir.0.join(NAME)).unwrap().permissions().mode() & 0o007, 0);
}

#[tokio::test]
async fn it_is_written_once_a_minute_at_most_and_only_what_is_new() {
    let dir = Dir::new("minute");
    let mut state = State::open(&dir.0).unwrap();
    let learned = some();
    let start = state.written;
    let keep = |state: &mut State, after| state.keep(start + after, [("eth0", &learned)].into_iter());
    keep(&mut state, PAUSE - Duration::from_nanos(1));
    assert!(state.writing.is_none());
    keep(&mut state, PAUSE);
    state.writing.as_mut().unwrap().await.unwrap().unwrap();
    state.writing = None;
    assert_eq!(dir.text(), SOME);
    fs::remove_file(dir.0.join(NAME)).unwrap();
    keep(&mut state, PAUSE * 2);
    assert!(state.writing.is_none() && !dir.0.join(NAME).exists());
    // What has failed is written again, although nothing is new.
    state.complain(Ok(Err(Error::Busy(dir.0.clone()))));
    state.finish([("eth0", &learned)].into_iter()).await;
    assert_eq!(dir.text(), SOME);
}

#[test]
fn what_cannot_be_used_is_told_with_what_to_do() {
    for (name, text, says) in [
        ("empty", "", "is damaged: EOF"),
        ("cut", &SOME[..200], "is damaged: EOF while parsing"),
        ("other", "[1]", "is damaged: "),
        ("newer", r#"{"version": 2, "more": []}"#, "is of version 2, and this netwatch reads version 1"),
        ("key", r#"{"version": 1, "interfaces": {}, "more": []}"#, "is damaged: unknown field `more`"),
        ("service", &SOME.replace("tcp/22", "tcp/ssh"), "is damaged: \"tcp/ssh\" is no service"),
        ("address", &SOME.replace("192.0.2.1", "192.0.2"), "is damaged: invalid IP address"),
    ] {
        let dir = Dir::with(name, text);
        let wrong = State::open(&dir.0).unwrap_err().to_string();
        assert!(wrong.contains("/learned.json: ") && wrong.contains(says), "{name}: {wrong}");
        assert!(wrong.contains("delete it to learn anew") && wrong.lines().count() == 1, "{name}: {wrong}");
        assert_eq!(dir.text(), text, "{name}: it stays as it is");
    }
}

#[test]
fn a_directory_is_made_and_belongs_to_one() {
    let dir = Dir::new("one");
    let below = State::open(&dir.0.join("below")).unwrap_err().to_string();
    assert!(below.contains("cannot use") && below.contains("name a directory"), "{below}");
    let _state = State::open(&dir.0).unwrap();
    let second = State::open(&dir.0).unwrap_err().to_string();
    assert!(second.contains("another netwatch keeps its state in"), "{second}");

    let file = Dir::with("file", SOME);
    let wrong = State::open(&file.0.join(NAME)).unwrap_err().to_string();
    assert!(wrong.contains("cannot use"), "{wrong}");
}

#[test]
fn nothing_is_written_where_a_link_leads() {
    let (dir, other) = (Dir::with("link", SOME), Dir::with("elsewhere", "mine"));
    symlink(other.0.join(NAME), dir.0.join(UNFINISHED)).unwrap();
    let wrong = State::open(&dir.0).unwrap_err().to_string();
    assert!(wrong.contains("cannot write"), "{wrong}");
    assert_eq!((other.text().as_str(), dir.text().as_str()), ("mine", SOME));

    fs::remove_file(dir.0.join(UNFINISHED)).unwrap();
    fs::remove_file(dir.0.join(NAME)).unwrap();
    fs::create_dir(dir.0.join(NAME)).unwrap();
    let wrong = State::open(&dir.0).unwrap_err().to_string();
    assert!(wrong.contains("is not a regular file"), "{wrong}");
}

#[test]
fn a_full_disk_may_have_room_later_and_a_strange_directory_will_not() {
    let passes = [libc::ENOSPC, libc::EDQUOT, libc::EROFS, libc::EIO, libc::EACCES, libc::EPERM]
        .map(|code| may_pass(&io::Error::from_raw_os_error(code)));
    assert_eq!(passes, [true, true, true, true, false, false]);
}
