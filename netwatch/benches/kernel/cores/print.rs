//! How it is told.

use serde_json::{Value, json};

use super::{Cores, Row, TIME};
use crate::support::table;

impl Cores {
    pub fn print(&self) {
        let Self { rounds, counts, rows, busy } = self;
        let cpus = |count: &usize| if *count == 1 { "1 CPU".to_owned() } else { format!("{count} CPUs") };
        let mut heading = vec!["scene".to_owned(), "program, net ns".to_owned()];
        heading.extend(counts.iter().map(cpus));
        heading.extend(counts.iter().skip(1).map(|count| format!("{count} to 1")));
        let cells = |row: &Row| {
            let mut cells = vec![row.scene.to_owned(), row.program.to_owned()];
            cells.extend(row.net.iter().map(|ns| format!("{ns:.1}")));
            cells.extend(row.ratios().skip(1).map(|ratio| format!("{ratio:.2}")));
            cells
        };
        let heading: Vec<_> = heading.iter().map(String::as_str).collect();
        table::print(&heading, &rows.iter().map(cells).collect::<Vec<_>>());
        println!();
        println!(
            "ns per packet on so many CPUs at once, medians of {rounds} rounds of {} ms, mean of \
             the CPUs, less what reference_pass takes on as many (which has nothing taken off). All count in the same \
             maps, with the default memory, and what netwatch counted is what was sent. reference_shared adds to one hash \
             map for all CPUs. Where there were several, all were busy with it for {:.0} % of the time, in the worst run for \
             {:.0} %; in the rest of the time they did not disturb each other.",
            TIME.as_millis(),
            busy[1] * 100.0,
            busy[0] * 100.0,
        );
    }

    pub fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "scene": row.scene,
                "program": row.program,
                "ns_per_packet": row.ns,
                "net_ns_per_packet": row.net,
                "ratio": row.ratios().collect::<Vec<_>>(),
            })
        });
        json!({ "cpus": self.counts, "busy": self.busy, "rows": rows.collect::<Vec<_>>() })
    }
}
