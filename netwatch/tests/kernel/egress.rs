//! Seeing what the host sends: by tcx, by the older clsact, and after somebody took the program away.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Stdio;

use aya::programs::{SchedClassifier, TcAttachType, TestRun as _, TestRunOptions, loaded_links};
use netwatch::kernel::{EgressHook, EgressWish, ModeWish, Watch};
use netwatch_common::classify::{ACK, SYN};
use netwatch_common::{Class, Verdict};
use xtask::lab::Side;
use xtask::traffic::Frame;

use crate::process::{Netwatch, PATIENCE};
use crate::{lab, options, skip};

const NEAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

fn watch_egress(side: &Side, wish: EgressWish) -> (Watch, EgressHook) {
    side.run(|| {
        let mut watch = Watch::load(&options()).unwrap();
        let hook = watch.watch_egress(side.interface(), wish, 0).unwrap();
        (watch, hook)
    })
    .unwrap()
}

/// netwatch's filters at the egress of the side's interface, as `tc` shows them.
fn filters(side: &Side) -> Vec<String> {
    let output = side.command("tc").args(["filter", "show", "dev", side.interface(), "egress"]).output();
    let text = String::from_utf8(output.expect("`tc` of iproute2").stdout).unwrap();
    text.lines().filter(|line| line.contains("netwatch_egress")).map(str::to_owned).collect()
}

#[test]
fn replies_are_known_whichever_way_egress_is_seen() {
    for (wish, hook) in [(EgressWish::Auto, EgressHook::Tcx), (EgressWish::Clsact, EgressHook::Clsact)] {
        let lab = lab();
        let (mut watch, got) = watch_egress(lab.watched(), wish);
        assert_eq!(got, hook);
        let attach = || {
            let index = nix::net::if_::if_nametoindex("nw0").unwrap();
            watch.attach("nw0", index, ModeWish::Native).unwrap();
            watch.watch_egress("nw0", wish, 0).unwrap();
            assert!(watch.egress_attached());
            assert_eq!(filters(lab.watched()).len(), usize::from(hook == EgressHook::Clsact));
        };
        lab.watched().run(attach).unwrap();

        let far = lab.outside().run(|| UdpSocket::bind((FAR, 9999)).unwrap()).unwrap();
        let near = lab.watched().run(|| UdpSocket::bind((NEAR, 7777)).unwrap()).unwrap();
        far.connect((NEAR, 7777)).unwrap();
        near.connect((FAR, 9999)).unwrap();
        for socket in [&far, &near] {
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let mut buffer = [0; 8];
        far.send(b"hello").unwrap();
        near.recv(&mut buffer).unwrap();
        for _ in 0..10 {
            near.send(b"question").unwrap();
            far.recv(&mut buffer).unwrap();
            far.send(b"answer").unwrap();
            near.recv(&mut buffer).unwrap();
        }
        let totals = watch.totals().unwrap();
        assert_eq!((totals.class(Class::Known), totals.verdict(Verdict::UdpNew)), (10, 1), "{hook:?}");
        assert_eq!((totals.sent, totals.flows_new), (10, 1), "{hook:?}");

        lab.watched().run(|| watch.detach()).unwrap();
        assert_eq!(filters(lab.watched()), [""; 0]);
        near.send(b"question").unwrap();
        far.recv(&mut buffer).unwrap();
        assert_eq!(watch.totals().unwrap().sent, 10, "{hook:?}");
    }
}

#[test]
fn connections_that_were_forgotten_and_come_back_are_counted() {
    let mut watch = Watch::load(&options()).unwrap();
    watch.watch_mirror(0).unwrap();
    let mut give = |source: u8, flags| {
        let frame = Frame::ipv4(Ipv4Addr::new(203, 0, 113, source), NEAR).tcp(40_000, 80, flags).build();
        let run = TestRunOptions { data_in: Some(&frame), repeat: 3, ..TestRunOptions::new() };
        watch.program().unwrap().test_run(run).unwrap();
        let totals = watch.totals().unwrap();
        (totals.flows_new, totals.flows_again)
    };
    assert_eq!(give(1, SYN), (1, 0));
    assert_eq!(give(1, ACK), (1, 0));
    // From the middle of a connection of which nobody knows.
    assert_eq!(give(2, ACK), (2, 1));
    assert_eq!(give(2, ACK), (2, 1));
}

#[test]
fn a_filter_goes_with_its_owner() {
    let lab = lab();
    let (watch, _) = watch_egress(lab.watched(), EgressWish::Clsact);
    assert_eq!(filters(lab.watched()).len(), 1);
    lab.watched().run(|| drop(watch)).unwrap();
    assert_eq!(filters(lab.watched()), [""; 0]);
}

#[test]
fn a_filter_that_a_crash_has_left_is_replaced() {
    const OWNER: &str = "NETWATCH_TEST_OWNS_A_FILTER";
    if std::env::var_os(OWNER).is_some() {
        return own_a_filter_until_killed();
    }
    let lab = lab();
    let mut crashing = lab.watched().command(std::env::current_exe().unwrap());
    crashing.env(OWNER, "1");
    crashing.args(["--exact", "egress::a_filter_that_a_crash_has_left_is_replaced", "--nocapture"]);
    let mut crashing = crashing.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(crashing.stdout.take().unwrap());
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("attached by Clsact")));
    crashing.kill().unwrap();
    crashing.wait().unwrap();
    let left = filters(lab.watched());
    assert_eq!(left.len(), 1, "a filter outlives its owner");

    let (watch, _) = watch_egress(lab.watched(), EgressWish::Clsact);
    let now = filters(lab.watched());
    assert!(now.len() == 1 && now != left, "{left:?} {now:?}");
    lab.watched().run(|| drop(watch)).unwrap();
    assert_eq!(filters(lab.watched()), [""; 0]);
}

/// The part of [`a_filter_that_a_crash_has_left_is_replaced`] that is killed, in a process of its own.
fn own_a_filter_until_killed() {
    let mut watch = Watch::load(&options()).unwrap();
    let hook = watch.watch_egress("nw0", EgressWish::Clsact, 0).unwrap();
    println!("attached by {hook:?}");
    let _ = std::io::stdin().read(&mut [0]);
}

/// The links by which programs are attached to the egress of the side's interface, by number.
fn links(side: &Side) -> Vec<u32> {
    let query = || SchedClassifier::query_tcx(side.interface(), TcAttachType::Egress).unwrap().1;
    let programs: Vec<_> = side.run(query).unwrap().iter().map(|program| program.id()).collect();
    let ours = loaded_links().filter_map(Result::ok).filter(|link| programs.contains(&link.program_id()));
    ours.map(|link| link.id()).collect()
}

#[test]
fn an_egress_program_that_somebody_detached_is_attached_again() {
    let lab = lab();
    let mut netwatch = Netwatch::start(lab.watched(), "");
    let [link] = links(lab.watched())[..] else { panic!("one link") };
    let detach = lab.watched().command("bpftool").args(["link", "detach", "id", &link.to_string()]).status();
    match detach {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return skip("bpftool is not installed (`apt install bpftool`)");
        }
        done => assert!(done.unwrap().success()),
    }
    netwatch.wait_for("somebody detached netwatch's egress program from nw0; attaching it again");
    // Said before it is done; the end of netwatch comes after it.
    let start = std::time::Instant::now();
    while links(lab.watched()).is_empty() {
        assert!(start.elapsed() < PATIENCE);
    }
    assert!(links(lab.watched()) != [link]);
    netwatch.alerts();
}
