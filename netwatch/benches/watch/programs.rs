//! What the programs of a view cost by themselves.

use aya::programs::{TestRun as _, TestRunOptions};
use netwatch::filter::{Filter, LinkType};
use netwatch::kernel::view::{Direction, Rate};
use netwatch::kernel::{View, ViewOptions};
use netwatch_common::Settings;

use crate::support::process;
use crate::support::table::median;
use crate::support::traffic::{Kind, Traffic};

const PACKETS: u32 = 1_000_000;
/// A rate that is used up at once.
const NONE_LEFT: Rate = Rate { packets: 1, period_ns: 3_600_000_000_000 };

/// Nanoseconds for a packet, by what becomes of it.
pub fn measure(rounds: u32) -> anyhow::Result<Vec<(&'static str, f64)>> {
    process::stay_on_one_cpu()?;
    let filter = |text: &str| Filter::compile(text, LinkType::Ethernet).map(Some);
    let all = ViewOptions {
        settings: Settings::DEFAULT,
        snap_bytes: 256,
        one_of: 1,
        rate: None,
        ring_bytes: 4096,
        direction: Direction::In,
        filter: None,
    };
    let limited = ViewOptions { rate: Some(NONE_LEFT), ..all.clone() };
    let cases = [
        ("does not match `udp port 53`", ViewOptions { filter: filter("udp port 53")?, ..all.clone() }),
        (
            "does not match `host 192.0.2.1 and tcp port 443`",
            ViewOptions { filter: filter("host 192.0.2.1 and tcp port 443")?, ..all.clone() },
        ),
        ("not one of a million", ViewOptions { one_of: 1_000_000, ..all.clone() }),
        ("over the rate", limited.clone()),
        ("matches `tcp`, over the rate", ViewOptions { filter: filter("tcp")?, ..limited }),
        ("is looked at, and the ring is full", all),
    ];
    let mut views = cases.map(|(name, options)| (name, View::load(&options), Vec::new()));
    let frame = Traffic::ipv4(Kind::Syn).frame;
    for _ in 0..rounds {
        for (_, view, times) in &mut views {
            let Ok(view) = view else { continue };
            let program = view.program("netwatch_view_in")?;
            let run = TestRunOptions { data_in: Some(&frame), repeat: PACKETS, ..TestRunOptions::new() };
            times.push(program.test_run(run)?.duration.as_secs_f64() * 1e9);
        }
    }
    views.into_iter().map(|(name, view, times)| view.map(|_| (name, median(times)))).collect()
}
