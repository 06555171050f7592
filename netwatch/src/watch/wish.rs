//! What the user typed, as what the program needs.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{Format, WatchArgs, When};
use crate::kernel::view::{Direction, Rate};
use crate::units;

/// Packets a second on a terminal, where nothing else was said: more nobody reads.
const TERMINAL_RATE: u32 = 1_000;
/// Bytes of a packet: headers and some more, a whole packet of Ethernet, and all that a record holds.
const SNAP_LINES: u32 = 256;
const SNAP_PAYLOAD: u32 = 2_048;
const SNAP_FILE: u32 = 16_384;
/// Memory for packets on their way out of the kernel, in bytes.
const BUFFER: u64 = 4 << 20;
/// Bounds of it.
const BUFFER_BOUNDS: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;
/// Most packets a second that a rate can be.
const RATE_MOST: u32 = 100_000_000;

/// What is to be shown, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The interface; that of the default route where there is none.
    pub interface: Option<String>,
    /// The filter.
    pub filter: Option<String>,
    /// Which packets.
    pub direction: Direction,
    /// Of how many packets one is shown.
    pub one_of: u32,
    /// How many are shown at most, and how the user would say that.
    pub rate: Option<(Rate, String)>,
    /// After how many packets to stop.
    pub count: Option<u64>,
    /// After how long.
    pub stop_after: Option<Duration>,
    /// Bytes of each packet.
    pub snap_bytes: u32,
    /// Memory for packets on their way out of the kernel, in bytes.
    pub buffer: u32,
    /// The file that packets are written to.
    pub file: Option<PathBuf>,
    /// Whether and how they are printed.
    pub print: Option<Print>,
}

/// How packets are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// Text or JSON.
    pub format: Format,
    /// With colours.
    pub colour: bool,
    /// With the payload.
    pub payload: bool,
}

impl Wish {
    /// Reads the options.
    ///
    /// # Errors
    ///
    /// What is wrong with one of them.
    pub fn from_args(args: &WatchArgs) -> Result<Self, String> {
        Self::from_args_on(args, std::io::stdout().is_terminal())
    }

    fn from_args_on(args: &WatchArgs, terminal: bool) -> Result<Self, String> {
        let prints = args.write.is_none() || args.print;
        if args.print && args.write.as_ref().is_some_and(|file| file.as_os_str() == "-") {
            return Err("--print: packets and text cannot both go to stdout; name a file".to_owned());
        }
        let rate = match args.rate.as_deref() {
            Some("none") => None,
            Some(text) => Some(rate(text).map_err(|wrong| format!("--rate: {wrong}"))?),
            None if prints && terminal => Some(per_second(TERMINAL_RATE)),
            None => None,
        };
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = match args.color {
            When::Auto => terminal && !no_color,
            When::Always => true,
            When::Never => false,
        };
        let buffer = match args.buffer.as_deref() {
            Some(text) => units::size(text).map_err(|wrong| format!("--buffer: {wrong}"))?,
            None => BUFFER,
        };
        if !BUFFER_BOUNDS.contains(&buffer) {
            return Err("--buffer: it must be from 64K to 1G".to_owned());
        }
        let filter = args.filter.join(" ");
        Ok(Self {
            interface: args.interface.clone(),
            filter: (!filter.trim().is_empty()).then_some(filter),
            direction: args.direction,
            one_of: args.sample,
            rate: rate.map(|rate| (rate, args.rate.clone().unwrap_or_else(|| format!("{TERMINAL_RATE}/s")))),
            count: args.count,
            stop_after: args
                .stop_after
                .as_deref()
                .map(units::duration)
                .transpose()
                .map_err(|wrong| format!("--for: {wrong}"))?,
            snap_bytes: args.snaplen.unwrap_or(match (&args.write, args.payload) {
                (Some(_), _) => SNAP_FILE,
                (None, true) => SNAP_PAYLOAD,
                (None, false) => SNAP_LINES,
            }),
            // The kernel takes powers of two.
            buffer: u32::try_from(buffer.next_power_of_two()).unwrap_or(1 << 30),
            file: args.write.clone(),
            print: prints.then_some(Print { format: args.format, colour, payload: args.payload }),
        })
    }
}

/// Reads `100/s`, `600/m`, or `100`, which is by the second.
fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || format!("{text:?} is not a rate; write it like 100/s or 600/m, or none");
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let packets: u32 = number.trim().parse().map_err(|_| wrong())?;
    if packets == 0 || packets > RATE_MOST {
        return Err(format!("it must be from 1/s to {RATE_MOST}/s, or none"));
    }
    match unit.trim() {
        "s" => Ok(per_second(packets)),
        "m" | "min" if packets <= netwatch_common::sample::Rate::MOST => {
            Ok(Rate { packets, period_ns: 60_000_000_000 })
        }
        _ => Err(wrong()),
    }
}

/// So many packets a second, in periods as short as they come out even: what is shown comes evenly, then.
fn per_second(packets: u32) -> Rate {
    let even = [100, 10].into_iter().find(|parts| packets.is_multiple_of(*parts));
    // Where it is so much that the kernel cannot count it in one period, an even share will do.
    let parts = even.unwrap_or(if packets > netwatch_common::sample::Rate::MOST { 10 } else { 1 });
    Rate { packets: packets / parts, period_ns: 1_000_000_000 / u64::from(parts) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    use crate::cli::{Cli, Command};

    fn wish(line: &str, terminal: bool) -> Result<Wish, String> {
        let words = ["netwatch", "watch"].into_iter().chain(line.split_whitespace());
        match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
            Command::Watch(args) => Wish::from_args_on(&args, terminal),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_filter_may_come_in_words_before_and_behind_options() {
        let read = wish("-i eth0 tcp port 80 -c 5 and not host 192.0.2.1", false).unwrap();
        assert_eq!(read.filter.as_deref(), Some("tcp port 80 and not host 192.0.2.1"));
        assert_eq!((read.interface.as_deref(), read.count), (Some("eth0"), Some(5)));
        assert_eq!(wish("", false).unwrap().filter, None);
    }

    #[test]
    fn only_a_terminal_has_a_rate_unless_told_otherwise() {
        let rate = |line, terminal| wish(line, terminal).unwrap().rate.map(|(rate, _)| rate);
        let thousand = Rate { packets: 10, period_ns: 10_000_000 };
        assert_eq!(rate("", true), Some(thousand));
        assert_eq!(rate("", false), None);
        assert_eq!(rate("--rate none", true), None);
        assert_eq!(rate("-w a.pcapng", true), None);
        assert_eq!(rate("-w a.pcapng --print", true), Some(thousand));
        assert_eq!(rate("--rate 30", false), Some(Rate { packets: 3, period_ns: 100_000_000 }));
        assert_eq!(rate("--rate 7/s", false), Some(Rate { packets: 7, period_ns: 1_000_000_000 }));
        assert_eq!(rate("--rate 90/m", false), Some(Rate { packets: 90, period_ns: 60_000_000_000 }));
        for wrong in ["0", "x", "5/h", "-1", "1000000000"] {
            let said = wish(&format!("--rate={wrong}"), false).unwrap_err();
            assert!(said.starts_with("--rate: "), "{said}");
        }
    }

    #[test]
    fn as_much_of_a_packet_is_taken_as_is_shown_of_it() {
        let snap = |line| wish(line, false).unwrap().snap_bytes;
        assert_eq!((snap(""), snap("-x"), snap("-w -"), snap("-w - -s 96")), (256, 2048, 16_384, 96));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        assert!(wish("-w - --print", false).unwrap_err().contains("stdout"));
        assert!(wish("--print", false).is_err());
        assert!(wish("--buffer 1K", false).unwrap_err().starts_with("--buffer: "));
        assert!(wish("--for never", false).unwrap_err().starts_with("--for: "));
        assert!(wish("-s 20", false).is_err());
    }
}
