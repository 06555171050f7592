//! More clients than there may be.

use super::*;
use crate::web::counts::{Trouble, value};
use crate::web::limits::{CONNECTIONS, STREAMS};

/// Each connection takes a file here and one there; ordinary limits allow 1,024.
/// Returns whether so many are allowed.
fn allow_many_files() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both get a structure of the right kind that lives for longer than the call.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
    limit.rlim_max > 3 * CONNECTIONS as u64
}

#[test]
fn there_is_room_for_many_streams_and_not_for_all() {
    if !allow_many_files() {
        eprintln!("skipped: too few open files are allowed here");
        return;
    }
    let stage = Stage::new();
    let listen = || {
        let mut stream = stage.connect();
        stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream
    };
    let mut streams: Vec<_> = (0..STREAMS).map(|_| listen()).collect();
    until("all listen", || value(&stage.web.shared.counts.streams) == STREAMS as u64);
    let refused = stage.get("/api/v1/stream");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(stage.web.shared.counts.troubles(Trouble::Streams), 1);
    // The others are served as before, and who goes makes room.
    assert_eq!(stage.get("/alerts").status, 200);
    streams.pop();
    until("there is room again", || value(&stage.web.shared.counts.streams) < STREAMS as u64);
    let _again = listen();
    until("it is taken", || value(&stage.web.shared.counts.streams) == STREAMS as u64);

    // Nor may there be connections without end.
    let before = value(&stage.web.shared.counts.connections);
    let idle: Vec<_> = (before..CONNECTIONS as u64).map(|_| stage.connect()).collect();
    until("all are there", || value(&stage.web.shared.counts.connections) == CONNECTIONS as u64);
    let mut reply = String::new();
    let _ = stage.connect().read_to_string(&mut reply);
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 503"), "{reply}");
    until("it is counted", || stage.web.shared.counts.troubles(Trouble::Connections) == 1);
    drop(idle);
    until("there is room again", || value(&stage.web.shared.counts.connections) <= before);
    assert_eq!(stage.get("/livez").status, 200);
}

#[test]
fn the_server_yields_to_the_one_that_watches() {
    let _stage = Stage::new();
    // Behind the name in brackets, the seventeenth field is how nice a thread is.
    let nice = |stat: &str| stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().to_owned();
    let threads = || {
        let all = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        all.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok())
    };
    until("it is nice", || threads().any(|stat| stat.contains("(netwatch-web)") && nice(&stat) == "5"));
    let own = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    assert_eq!(nice(&own), nice(&std::fs::read_to_string("/proc/self/stat").unwrap()));
}

#[test]
fn however_many_look_at_a_page_it_is_made_once() {
    let history = Known { takes: Duration::from_millis(200), ..Known::default() };
    let stage = Stage::with(&on_loopback(), history, Patience { cached: LONG, ..Patience::default() });
    for (path, questions) in [("/", 2), ("/incidents?state=open", 1), ("/incidents?q=probed+ports", 1)] {
        stage.history.asked.lock().unwrap().clear();
        let mut viewers: Vec<_> = (0..40).map(|_| stage.connect()).collect();
        for viewer in &mut viewers {
            write!(viewer, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        }
        for mut viewer in viewers {
            let mut reply = String::new();
            viewer.read_to_string(&mut reply).unwrap();
            assert_eq!(Reply::read(&reply).status, 200, "{path}");
        }
        assert_eq!(stage.history.asked.lock().unwrap().len(), questions, "{path}");
    }
}
