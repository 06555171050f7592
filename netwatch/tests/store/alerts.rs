//! `netwatch alerts`, while the history is written and after it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

fn netwatch(dir: &Dir, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netwatch"));
    command.arg("alerts").arg("--state-dir").arg(&dir.0).args(options.split_whitespace());
    command
}

fn lines(output: &Output) -> Vec<String> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn what_was_told_is_printed_while_it_is_written_and_after() {
    let dir = Dir::new("alerts");
    let Opened { mut store, .. } = start(&dir.0);
    for (id, state) in [("a", "open"), ("b", "closed"), ("c", "open")] {
        store.offer(&told(incident(id, 7, state)));
    }
    until("all is written", || store.state().written == 3);
    let look = |options: &str| lines(&netwatch(&dir, options).output().unwrap());
    let check = || {
        let all = look("");
        assert_eq!(all.len(), 3, "{all:?}");
        // When it was told of last, how severe it is, whether it goes on, and what happened.
        assert!(
            all[1].contains("Z MEDIUM   closed scan.vertical     192.0.2.1 probed 7 tcp ports; incident b"),
            "{all:?}"
        );
        assert_eq!(look("--limit 2"), all[1..]);
        assert_eq!(look("--state closed").len(), 1);
        assert_eq!(look("--since 1h --src 192.0.2.1 --dest 198.51.100.1 --interface eth0").len(), 3);
        assert_eq!(look("--src 192.0.2.2").len(), 0);
        assert_eq!(look("--until 1h").len(), 0);
        assert_eq!(look("--severity high").len(), 0);
        let first: Incident = serde_json::from_str(&look("--format json")[0]).unwrap();
        assert_eq!((&*first.id, first.observed), ("a", 7));
    };
    check();
    let _ = store.finish(PATIENCE);
    check();
}

#[test]
fn what_is_wrong_has_its_exit_code() {
    let dir = Dir::new("none");
    for (options, code, says) in [
        ("", 13, "there is no history at"),
        ("--rule scan.vertica", 2, "did you mean scan.vertical?"),
        ("--since yesterday", 2, "--since: \"yesterday\" is no time"),
        ("--interface ../a", 2, "cannot be the name of an interface"),
    ] {
        let output = netwatch(&dir, options).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{options}: {error}");
        assert!(error.contains(says), "{options}: {error}");
    }
    fs::write(dir.file(), "not a database, but long enough to be looked at as one would look at it").unwrap();
    let output = netwatch(&dir, "").output().unwrap();
    assert_eq!(output.status.code(), Some(13));
}

#[test]
fn who_may_only_read_can_read() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let dir = Dir::new("reader");
    let Opened { mut store, .. } = start(&dir.0);
    store.offer(&told(incident("a", 1, "open")));
    until("it is written", || store.state().written == 1);
    let readable = || {
        fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(&dir.0).unwrap() {
            fs::set_permissions(entry.unwrap().path(), fs::Permissions::from_mode(0o644)).unwrap();
        }
    };
    let program = dir.0.join("netwatch");
    fs::copy(env!("CARGO_BIN_EXE_netwatch"), &program).unwrap();
    let look = || {
        let mut command = Command::new(&program);
        // Nobody in particular.
        command.arg("alerts").arg("--state-dir").arg(&dir.0).uid(65_534).gid(65_534);
        lines(&command.output().unwrap())
    };
    readable();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(look().len(), 1, "while it is written");
    let _ = store.finish(PATIENCE);
    readable();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(look().len(), 1, "after it");
}

#[test]
fn who_may_not_read_is_told_what_to_do() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can become somebody else");
        return;
    }
    let (dir, left) = (Dir::new("running"), Dir::new("left"));
    let Opened { mut store, .. } = start(&dir.0);
    store.offer(&told(incident("a", 1, "open")));
    until("it is written", || store.state().written == 1);
    // As a crash and a copy would leave it: a log without its index.
    for end in ["", "-wal"] {
        let name = format!("history.db{end}");
        fs::copy(dir.0.join(&name), left.0.join(&name)).unwrap();
    }
    let _ = store.finish(PATIENCE);
    let allow = |name: &str, mode| {
        fs::set_permissions(left.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    let bin = Dir::new("left-bin");
    let program = bin.0.join("netwatch");
    fs::copy(env!("CARGO_BIN_EXE_netwatch"), &program).unwrap();
    for path in [&bin.0, &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let look = || {
        let mut command = Command::new(&program);
        // Nobody in particular.
        command.arg("alerts").arg("--state-dir").arg(&left.0).uid(65_534).gid(65_534);
        command.output().unwrap()
    };
    let is_refused = |says: &str| {
        let output = look();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(13), "{error}");
        assert!(error.contains(says), "{error}");
    };
    let not_allowed = "permission denied; run as root, or as a member of the directory's group";
    allow("", 0o750);
    is_refused(not_allowed);
    allow("", 0o755);
    for [file, log] in [[0o640, 0o644], [0o644, 0o640]] {
        allow("history.db", file);
        allow("history.db-wal", log);
        is_refused(not_allowed);
    }
    allow("history.db-wal", 0o644);
    is_refused("its log needs somebody who may write there: run it once as root (sudo)");
    // Which helps.
    assert_eq!(lines(&netwatch(&left, "").output().unwrap()).len(), 1);
    assert_eq!(lines(&look()).len(), 1);
}

#[test]
fn what_comes_is_followed_until_a_signal_or_nobody_reads() {
    let dir = Dir::new("follow");
    let Opened { mut store, .. } = start(&dir.0);
    store.offer(&told(incident("a", 1, "open")));
    until("it is written", || store.state().written == 1);
    let follow = || {
        let mut child = netwatch(&dir, "--follow --format json").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, lines.map(|line| serde_json::from_str::<Incident>(&line.unwrap()).unwrap()))
    };
    let (mut child, mut seen) = follow();
    assert_eq!(seen.next().unwrap().observed, 1);
    store.offer(&told(incident("a", 2, "open")));
    assert_eq!(seen.next().unwrap().observed, 2);
    store.offer(&told(incident("b", 3, "closed")));
    assert_eq!(seen.next().unwrap().observed, 3);
    // Through a restart, and a file that is begun anew.
    let _ = store.finish(PATIENCE);
    fs::remove_file(dir.file()).unwrap();
    let Opened { mut store, .. } = start(&dir.0);
    store.offer(&told(incident("c", 4, "open")));
    assert_eq!(seen.next().unwrap().observed, 4);
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));

    let (mut child, mut seen) = follow();
    assert_eq!(seen.next().unwrap().observed, 4);
    drop(seen);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let _ = store.finish(PATIENCE);
}
