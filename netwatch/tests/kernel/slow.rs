//! Scans that keep below the window: they take minutes, so all of them run at the same time.

use std::net::{TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use xtask::traffic::scenario;

use crate::incident::{expect, incidents, named, told};
use crate::lab;
use crate::process::Netwatch;
use crate::talk::{fetch, serve};
use crate::wire::{TARGET, host, nmap, send};

/// What is told of nmap when it takes its time.
fn patient_nmap(options: &str, ports: u64) {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "--slot 5s");
    let Some(()) = nmap(&lab, &format!("-sS -Pn {options} -p 1-{ports} 198.51.100.1")) else { return };
    let alerts = netwatch.alerts();
    expect(&alerts, vec![told("scan.slow 198.51.100.2", &["syn"], ports)]);
    assert_eq!(incidents(&alerts)[0].severity(), "low", "{options}");
}

/// Ten ports, and ten more when the window has passed over the first: slow, and not fast.
fn ten_and_ten_later() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "--slot 1s --window 3s");
    let ten =
        |first| scenario::syn_scan(host(1).into(), TARGET.into(), first..first + 10).collect::<Vec<_>>();
    send(&lab, &ten(1));
    thread::sleep(Duration::from_secs(6));
    assert!(lab.watched().counters().unwrap().rx_packets >= 10);
    send(&lab, &ten(101));
    expect(&netwatch.alerts(), vec![told("scan.slow 203.0.113.1", &["syn"], 20)]);
}

/// A client that is there for long and connects to many ports that are open, as a service mesh does.
fn a_patient_client() {
    let lab = lab();
    let netwatch = Netwatch::start(lab.watched(), "--slot 1s --window 3s");
    for port in 9001..=9024 {
        lab.watched().run(|| serve(TcpListener::bind((TARGET, port)).unwrap(), 10)).unwrap();
    }
    for ports in [9001..=9008, 9009..=9016, 9017..=9024] {
        lab.outside()
            .run(|| {
                for port in ports {
                    fetch(TcpStream::connect((TARGET, port)).unwrap(), 10);
                }
            })
            .unwrap();
        thread::sleep(Duration::from_secs(5));
    }
    assert_eq!(named(&netwatch.alerts()), [""; 0]);
}

/// All of the above, side by side, in three minutes.
pub fn all_at_once() {
    thread::scope(|scope| {
        // Twelve probes at six seconds each, and eleven at fifteen: one minute, and three.
        let runs = [
            scope.spawn(|| patient_nmap("--scan-delay 6s", 12)),
            scope.spawn(|| patient_nmap("-T1", 11)),
            scope.spawn(ten_and_ten_later),
            scope.spawn(a_patient_client),
        ];
        for run in runs {
            run.join().unwrap_or_else(|panic| resume_unwind(panic));
        }
    });
}
