//! A process that writes is killed again and again: what it has acknowledged is there, and the database is sound.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use rusqlite::{Connection, OpenFlags};

use super::*;

/// Where the child writes, and which of them it is.
const CHILD: &str = "NETWATCH_TEST_HISTORY";
/// How often it is killed.
const KILLS: u64 = 110;
/// Incidents whose steps take turns in each run.
const INCIDENTS: u64 = 40;

/// Not a test by itself: what the child does.
#[test]
fn child() {
    let Some(value) = env::var_os(CHILD) else { return };
    let value = value.into_string().unwrap();
    let (run, dir) = value.split_once(':').unwrap();
    let Opened { mut store, open } = start(Path::new(dir));
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "open {}", open.len()).unwrap();
    let (mut offered, mut acknowledged) = (0_u64, 0);
    loop {
        // Not more than the queue holds, so that nothing is dropped and steps are written in their order.
        while offered < store.state().written + 2_000 {
            offered += 1;
            store.offer(&told(incident(&name(run, offered), offered, "open")));
        }
        let state = store.state();
        assert_eq!((state.dropped, state.trouble), (0, None));
        if state.written > acknowledged {
            acknowledged = state.written;
            writeln!(stdout, "acknowledged {acknowledged}").unwrap();
            stdout.flush().unwrap();
        }
    }
}

/// The name of the incident of a step.
fn name(run: &str, step: u64) -> String {
    format!("run-{run}-{}", step % INCIDENTS)
}

#[test]
fn what_was_acknowledged_outlives_a_kill_at_any_moment() {
    let dir = Dir::new("killed");
    // What looks like chance, and is the same each time.
    let mut chance = 7_u64;
    // The last step of each incident that was acknowledged.
    let mut expected = HashMap::<String, u64>::new();
    for run in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed::child", "--nocapture", "--test-threads", "1"])
            .env(CHILD, format!("{run}:{}", dir.0.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (first, acknowledges) = channel();
        let numbers = thread::spawn(move || {
            let mut last = 0;
            for line in lines.map_while(Result::ok) {
                // A line that was cut off by the kill is none.
                if let Some(number) = line.strip_prefix("acknowledged ") {
                    last = number.parse().unwrap_or(last).max(last);
                    let _ = first.send(());
                }
            }
            last
        });
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Two of three while they write, and one in whatever it does at its start.
        if run % 3 > 0 {
            acknowledges.recv_timeout(PATIENCE).unwrap();
        }
        thread::sleep(Duration::from_micros((chance >> 33) % 150_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged: u64 = numbers.join().unwrap();
        for step in acknowledged.saturating_sub(INCIDENTS - 1).max(1)..=acknowledged {
            expected.insert(name(&run.to_string(), step), step);
        }
        check(&dir.file(), &expected, run);
    }
    assert!(expected.len() > 1_000, "only {} incidents were acknowledged", expected.len());
    // And the next one continues all of them.
    let open = start(&dir.0).open;
    assert!(open.len() >= expected.len());
}

fn check(file: &Path, expected: &HashMap<String, u64>, run: u64) {
    if !file.exists() {
        assert!(expected.is_empty());
        return;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let database = Connection::open_with_flags(file, flags).unwrap();
    let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    if tables == 0 {
        assert!(expected.is_empty());
        return;
    }
    let says: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(says, "ok", "after kill {run}");
    let mut statement = database
        .prepare("SELECT i.id, d.doc ->> 'observed' FROM incidents i JOIN incident_docs d ON d.seq = i.seq")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    let found: HashMap<String, i64> = rows.map(Result::unwrap).collect();
    for (id, step) in expected {
        let there = found.get(id).copied().unwrap_or(-1);
        assert!(there >= i64::try_from(*step).unwrap(), "after kill {run}: {id} is {there}, not {step}");
    }
}
