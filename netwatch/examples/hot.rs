#![allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::print_stdout)]
use aya::programs::{TestRun as _, TestRunOptions};
use netwatch::kernel::{Options, Watch, limits};
use std::net::Ipv4Addr;
use xtask::traffic::Frame;
use xtask::traffic::transport::{ACK, SYN};
fn main() {
    let mut cpu = nix::sched::CpuSet::new();
    cpu.set(0).map_err(|_| "does not load").unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cpu).map_err(|_| "does not load").unwrap();
    let mut watch =
        Watch::load(&Options::of_this_host(limits::DEFAULT_MAP_MEMORY)).map_err(|_| "does not load").unwrap();
    let args: Vec<String> = std::env::args().collect();
    if args.iter().any(|a| a == "mirror") {
        watch.watch_mirror(0).unwrap();
    }
    let (a, b) = (Ipv4Addr::new(203, 0, 113, 1), Ipv4Addr::new(198, 51, 100, 1));
    let flags = if args.iter().any(|a| a == "syn") { SYN } else { ACK };
    let bytes = Frame::ipv4(a, b).tcp(443, 40_000, flags).build();
    let n: u32 = args.iter().filter_map(|a| a.parse().ok()).next().unwrap_or(1_000_000);
    let mut times = vec![];
    for _ in 0..15 {
        let run = TestRunOptions { data_in: Some(&bytes), repeat: n, ..TestRunOptions::new() };
        times.push(watch.program().unwrap().test_run(run).unwrap().duration.as_nanos());
    }
    times.sort_unstable();
    println!("min {} median {}", times[0], times[7]);
}
