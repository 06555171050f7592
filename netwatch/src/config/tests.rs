mod evidence;
mod history;
mod outputs;
mod reload;
mod web;

use clap::Parser as _;

use super::*;
use crate::analysis::RuleId;
use crate::analysis::policy::LoginPorts;
use crate::analysis::rules::RULES;
use crate::cli::{Cli, Command};

fn parse(options: &str) -> Result<Config, String> {
    let arguments = ["netwatch", "run"].into_iter().chain(options.split_whitespace());
    match Cli::try_parse_from(arguments).map_err(|error| error.to_string())?.command {
        Command::Run(args) => Config::from_args(&args),
        _ => Err("not run".into()),
    }
}

#[test]
fn defaults_are_the_contracts() {
    let config = parse("").unwrap();
    assert_eq!((config.slot, config.slots), (Duration::from_secs(5), 12));
    assert_eq!(config.window(), Duration::from_secs(60));
    assert_eq!(config.policy_at(now()).of(RuleId::ScanVertical).threshold, 10);
    assert_eq!(config.policy_at(now()).of(RuleId::DosUnsolicited).threshold, 100);
    assert_eq!(config.policy_at(now()).of(RuleId::DosPackets).threshold, 100);
}

#[test]
fn good_options_are_taken() {
    let config = parse("-i a -i b -i a --slot 60s --threshold scan.vertical=20 --map-memory 64M").unwrap();
    assert_eq!(config.interfaces, ["a", "b"]);
    assert_eq!(config.slots, 1);
    assert_eq!(config.policy_at(now()).of(RuleId::ScanVertical).threshold, 20);
    assert_eq!(config.map_memory, 64 << 20);
}

#[test]
fn bad_options_are_named() {
    for (options, says) in [
        ("--slot 0", "--slot: must be 100ms to 60s, not 0ns"),
        ("--slot 61s --window 61s", "--slot: must be"),
        ("--window 0", "--window: must be a slot (5s) to 3600s, not 0ns"),
        ("--window 2h", "--window: must be"),
        ("--window 7s", "--window: 7s is not a whole number of slots of 5s"),
        ("--slot 100ms", "--slot: 600 slots in a window are more than"),
        ("--slot soon", "--slot: \"soon\" is not a duration"),
        ("--for 0s", "--for: must be more than zero"),
        ("--for 5000000000000h", "at most a year"),
        ("--slot 1.0005s", "is not a whole number of slots"),
        ("--threshold dos.packets=1000000000001", "from 1 to 1000000000000"),
        ("--threshold scan.vertical", "--threshold: \"scan.vertical\" lacks a number"),
        (
            "--threshold scan.diagonal=3",
            "--threshold: no rule named \"scan.diagonal\"; `netwatch rules list`",
        ),
        ("--threshold dos.packets=0", "--threshold: \"0\" is no threshold for dos.packets"),
        ("--threshold dos.packets=-1", "--threshold: \"-1\" is no threshold"),
        ("--threshold dos.packets=many", "--threshold: \"many\" is no threshold"),
        ("--map-memory 1K", "--map-memory: 1K is out of range"),
        ("--map-memory huge", "--map-memory: \"huge\" is not a size"),
        ("-i ../etc", "--interface: \"../etc\" cannot be the name"),
        ("-i an-interface-with-a-long-name", "cannot be the name"),
    ] {
        let error = parse(options).unwrap_err();
        assert!(error.contains(says), "{options}: {error}");
    }
}

/// Reads a text as the file `test.toml`, with options of the command line.
fn with_file(options: &str, text: &str) -> Result<Config, String> {
    let arguments = ["netwatch", "run"].into_iter().chain(options.split_whitespace());
    let Command::Run(args) = Cli::try_parse_from(arguments).unwrap().command else { panic!("run") };
    let file = file::parse("test.toml", text).map_err(|problems| problems.join("\n"))?;
    Config::build((&args.settings, &args.place), typed::command_line(&args.settings, &args.place)?, file)
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

#[test]
fn the_command_line_wins_over_the_file_over_the_profile_over_defaults() {
    for (options, text, slot, threshold, notify) in [
        ("", "", 5, 10, None),
        ("", "profile = 'literal'", 60, 10, Some(true)),
        ("--profile literal", "", 60, 10, Some(true)),
        ("--profile balanced", "profile = 'literal'", 5, 10, None),
        ("", "profile = 'literal'\nslot = '10s'", 10, 10, Some(true)),
        ("--slot 2s", "profile = 'literal'\nslot = '10s'", 2, 10, Some(true)),
        ("", "profile = 'literal'\nrules.'dos.packets'.notify = false", 60, 10, Some(false)),
        ("", "rules.'scan.vertical'.threshold = 20", 5, 20, None),
        ("--threshold scan.vertical=30", "rules.'scan.vertical'.threshold = 20", 5, 30, None),
        ("", "window = 120\nprofile = 'literal'", 60, 10, Some(true)),
    ] {
        let config = with_file(options, text).unwrap();
        let policy = config.policy_at(now());
        assert_eq!(config.slot.as_secs(), slot, "{options} {text}");
        assert_eq!(policy.of(RuleId::ScanVertical).threshold, threshold, "{options} {text}");
        assert_eq!(policy.of(RuleId::DosPackets).notify, notify, "{options} {text}");
    }
}

#[test]
fn entries_of_the_allow_list_end() {
    let count = |until: &str| {
        let text = format!("[[allow]]\nprefix = '192.0.2.0/24'\nuntil = {until}\n");
        with_file("", &text).unwrap().policy_at(now()).allow.len()
    };
    for (until, live) in [
        ("2026-11-21", 1),
        ("2026-11-20", 0),
        ("'2026-11-21'", 1),
        ("2026-11-21T12:00:00Z", 0),
        ("2026-11-21T12:00:01Z", 1),
        ("2026-11-21T12:00:01+01:00", 0),
    ] {
        assert_eq!(count(until), live, "{until}");
    }
}

#[test]
fn what_is_too_much_is_refused_by_its_name() {
    let entry = "[[allow]]\nprefix = '192.0.2.1'\n";
    let many =
        |count: u32| (0..count).map(|n| format!("'192.0.{}.{}',", n / 256, n % 256)).collect::<String>();
    for (text, says) in [
        (entry.repeat(ALLOW_MAX + 1), "allow: at most 1024 entries, not 1025"),
        (format!("local = [{}]", many(257)), "test.toml:1:9: local: at most 256 entries"),
        ("interfaces = [".to_owned() + &"'a',".repeat(65) + "]", "interfaces: at most 64 entries"),
        ((0..60).map(|n| format!("key{n} = 1\n")).collect(), "test.toml: 10 more"),
        ("a = ".to_owned() + &"[".repeat(100_000), "test.toml:1:"),
        ("allow = 3".into(), "allow: write [[allow]]"),
        ("rules = 3".into(), "rules: write [rules.\"scan.vertical\"]"),
        ("[rules]\n'scan.vertical' = 3".into(), "test.toml:2:19: write [rules.\"scan.vertical\"]"),
        ("# \u{e4}\n\u{e4} = 3".into(), "test.toml:2:1: "),
        ("slot = '\u{e4}' # \u{e4}\nlocal = 3".into(), "test.toml:2:9: local: must be a list"),
        ("window = '2h'".into(), "test.toml:1:1: window: must be a slot (5s) to 3600s, not 7200s"),
        ("slot = 7".into(), "test.toml:1:1: slot: 60s is not a whole number of slots of 7s"),
    ] {
        let error = with_file("", &text).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(with_file("", &entry.repeat(ALLOW_MAX)).is_ok());
}

#[test]
fn what_is_shown_can_be_read() {
    let text = "local = ['192.0.2.0/24', '2001:db8::1']\nstate_dir = '/a \"b'\nprofile = 'literal'\nevidence.dir = '/c'\n\
                evidence.max_age = '1.5d'\nevidence.max_bytes = 1048577\n[rules.'scan.vertical']\nseverity = 'info'\n[rules.'port.unusual']\nservices = ['22', 'udp/1-9']\nlearn = '90m'\n[[allow]]\nprefix = '::/0'\ncomment = \"\\u001b \\\"\\\\\"\n";
    let config = with_file("--slot 500ms --window 5s", text).unwrap();
    let again = with_file("", &config.toml(true)).unwrap();
    let values = |config: &Config| config.rows.iter().map(Row::key_and_value).collect::<Vec<_>>();
    assert_eq!(values(&config), values(&again));
    assert!(!config.toml(true).contains('\u{1b}'));
}

#[test]
fn the_example_is_the_defaults_and_names_every_key() {
    let example = include_str!("../../../netwatch.example.toml");
    let values = |config: &Config| config.rows.iter().map(Row::key_and_value).collect::<Vec<_>>();
    let (set, defaults) = (with_file("", example).unwrap(), with_file("", "").unwrap());
    assert_eq!(values(&set), values(&defaults));
    // What is there as a comment only is right too, and with it every key is there.
    let mut optional = example.replace("# [[allow]]", "[[allow]]") + "\n";
    optional = optional.replace("# [[feeds]]", "[[feeds]]");
    for key in file::ALLOW_KEYS.iter().chain(&file::FEED_KEYS).chain(&["window"]) {
        optional = optional.replace(&format!("# {key} ="), &format!("{key} ="));
    }
    let all = with_file("", &optional).unwrap();
    assert_eq!((all.policy_at(now()).allow.len(), all.feeds.len()), (1, 1));
    assert_eq!(values(&all)[..values(&defaults).len()], values(&defaults));
    let has = |text: &str, key: &str| text.lines().any(|line| line.starts_with(&format!("{key} =")));
    for key in file::KEYS.iter().chain(&file::ALLOW_KEYS).chain(&file::FEED_KEYS) {
        let is_table = optional.contains(&format!("[{key}."));
        assert!(
            has(&optional, key) || is_table || optional.contains(&format!("[{key}]")),
            "{key} is missing"
        );
    }
    let table = optional.split("\n[evidence]").nth(1).unwrap();
    for key in file::evidence::KEYS {
        assert!(has(table, key), "{key} of evidence is missing");
    }
    let table = optional.split("\n[web]").nth(1).unwrap();
    for key in file::web::KEYS {
        assert!(has(table, key), "{key} of web is missing");
    }
    let table = optional.split("\n[history]").nth(1).unwrap();
    for key in file::history::KEYS {
        assert!(has(table, key), "{key} of history is missing");
    }
    for rule in &RULES {
        let table = optional.split("[rules.").find(|part| part.starts_with(&format!("{:?}]", rule.name)));
        for key in file::rules::keys(rule) {
            assert!(has(table.unwrap(), key), "{key} of {} is missing", rule.name);
        }
    }
    assert_eq!(example.lines().filter(|line| line.chars().count() > 118).count(), 0);
}

#[test]
fn help_tells_the_true_defaults() {
    use clap::CommandFactory as _;
    let defaults = with_file("", "").unwrap();
    let command = Cli::command();
    let run = command.find_subcommand("run").unwrap();
    for key in ["profile", "window", "slot", "map_memory", "xdp_mode", "mode", "format", "min_severity"] {
        let row = defaults.rows.iter().map(Row::key_and_value).find(|(found, _)| found == key).unwrap();
        let option = run.get_arguments().find(|arg| arg.get_id() == key).unwrap();
        let says = format!("[default: {}]", row.1.trim_matches('"'));
        assert!(option.get_help().unwrap().to_string().contains(&says), "{key}: {says}");
    }
}

#[test]
fn every_rule_has_its_own_keys() {
    let text = "[rules.'scan.slow']\nwindow = '8h'\nclosed_percent = 90\n\
                [rules.'ddos.destination']\nsources = 7\nlearned_factor = 9\n\
                [rules.'flood.syn']\nwindow = '30s'\n[rules.'netwatch.degraded']\nthreshold = 0\n\
                [rules.'port.hammer']\nports = [2222, 22, 22]\n";
    let config = with_file("--threshold netwatch.degraded=1", text).unwrap();
    let policy = config.policy_at(now());
    assert_eq!(policy.memory_ns(RuleId::ScanSlow), 8 * 3_600 * 1_000_000_000);
    assert_eq!(policy.param(RuleId::ScanSlow, 0), 90);
    assert_eq!(policy.of(RuleId::DdosDestination).params, [7, 9]);
    assert_eq!(policy.of(RuleId::FloodSyn).window_ns, Some(30_000_000_000));
    assert_eq!(policy.of(RuleId::ScanVertical).window_ns, None);
    assert_eq!(policy.of(RuleId::Degraded).threshold, 1);
    assert_eq!(policy.login_ports, LoginPorts::These(vec![22, 2222]));
    let any = with_file("", "rules.'port.hammer'.ports = 'any'").unwrap();
    assert_eq!(any.policy_at(now()).login_ports, LoginPorts::Any);
    let expected = |text: &str| {
        let config = with_file("", &format!("[rules.'port.unusual']\n{text}")).unwrap();
        let expected = config.policy_at(now()).expected;
        let services: Vec<String> = expected.services.iter().map(ToString::to_string).collect();
        (services.join(" "), expected.learn_ns / 1_000_000_000)
    };
    for (text, services, learn_s) in [
        ("", "", 86_400),
        ("services = []", "", 86_400),
        (
            "services = ['443', 'tcp/22', 'udp/53', 'tcp/8000-8010', 'tcp/443']",
            "tcp/22 tcp/443 tcp/8000-8010 udp/53",
            0,
        ),
        ("services = ['tcp/22']\nlearn = '1h'", "tcp/22", 3_600),
        ("learn = 'off'", "", 0),
        ("learn = '0s'", "", 0),
        ("learn = 1", "", 1),
        ("learn = '720h'", "", 2_592_000),
    ] {
        assert_eq!(expected(text), (services.to_owned(), learn_s), "{text}");
    }
    // What is not said follows the window.
    let shown = with_file("--window 2m", text).unwrap().toml(true);
    for line in [
        "[rules.\"scan.vertical\"]\nthreshold = 10  # default\nseverity = \"auto\"  # default\nnotify = true  # default\n\
         enabled = true  # default\nwindow = \"120s\"  # as window above\n",
        "window = \"28800s\"  # test.toml:2\nclosed_percent = 90  # test.toml:3\n",
        "window = \"600s\"  # default\nsources = 20  # default\n",
        "ports = [22, 2222]  # test.toml:12\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
}

#[test]
fn keys_that_a_rule_does_not_have_are_named() {
    for (rule, text, says) in [
        ("scan.slow", "window = '5m'", ":2:1: window: of scan.slow must be 600s to 28800s, not 300s"),
        ("scan.slow", "window = '9h'", ":2:1: window: of scan.slow must be"),
        (
            "scan.slow",
            "closed_percent = 0",
            ":2:18: closed_percent: must be a whole number from 1 to 100, not 0",
        ),
        (
            "scan.slow",
            "closed_percent = '80'",
            "closed_percent: must be a whole number from 1 to 100, not a string",
        ),
        (
            "scan.slow",
            "closed = 80",
            "unknown key \"closed\"; scan.slow has threshold, severity, notify, enabled, \
                                     window, closed_percent",
        ),
        (
            "scan.vertical",
            "closed_percent = 80",
            "unknown key \"closed_percent\"; scan.vertical has threshold",
        ),
        ("scan.vertical", "ports = [22]", "unknown key \"ports\"; scan.vertical has"),
        (
            "dos.rate",
            "bits_per_secnd = 1",
            ":2:1: unknown key \"bits_per_secnd\"; did you mean \"bits_per_second\"? \
                                          dos.rate has threshold, severity, notify, enabled, bits_per_second",
        ),
        (
            "dos.rate",
            "window = '5s'",
            ":2:10: window: dos.rate looks at one slot, and how long that is says slot",
        ),
        ("flood.syn", "window = '7s'", ":2:1: window: 7s is not a whole number of slots of 5s"),
        ("flood.syn", "window = 0", ":2:1: window: must be a slot (5s) to 3600s, not 0ns"),
        ("flood.syn", "window = '2h'", ":2:1: window: must be a slot (5s) to 3600s, not 7200s"),
        ("flood.syn", "window = '10m'", ":2:1: window: 120 slots in a window are more than 60"),
        ("port.hammer", "ports = [22, 0]", ":2:14: ports: must be a whole number from 1 to 65535, not 0"),
        ("port.hammer", "ports = [65536]", ":2:10: ports: must be a whole number from 1 to 65535, not 65536"),
        ("port.hammer", "ports = ['ssh']", "ports: must be a whole number from 1 to 65535, not a string"),
        ("port.hammer", "ports = []", "ports: lists none; write enabled = false"),
        ("port.hammer", "ports = 'all'", "ports: must be a list of ports like [22, 23], or \"any\""),
        (
            "port.unusual",
            "services = ['tpc/22']",
            ":2:13: services: \"tpc/22\" is no service; did you mean \"tcp/22\"?",
        ),
        (
            "port.unusual",
            "services = ['tcp/9-7']",
            "services: \"tcp/9-7\" ends before it begins; write tcp/7-9",
        ),
        ("port.unusual", "services = 'tcp/22'", ":2:12: services: must be a list of strings, not a string"),
        (
            "port.unusual",
            "services = [22]",
            ":2:13: services: must be a string in quotes, not a whole number",
        ),
        (
            "port.unusual",
            "service = ['tcp/22']",
            ":2:1: unknown key \"service\"; did you mean \"services\"? port.unusual has",
        ),
        (
            "port.unusual",
            "learn = '500ms'",
            ":2:9: learn: must be \"off\", or a duration from 1s to 720h, not \"500ms\"",
        ),
        ("port.unusual", "learn = '721h'", "learn: must be \"off\", or a duration from 1s to 720h"),
        ("port.unusual", "learn = 'never'", "learn: \"never\" is not a duration"),
        ("port.hammer", "learn = '1h'", "unknown key \"learn\"; port.hammer has"),
        (
            "netwatch.degraded",
            "threshold = -1",
            "\"-1\" is no threshold for netwatch.degraded; give a whole number from 0",
        ),
    ] {
        let error = with_file("", &format!("[rules.'{rule}']\n{text}\n")).unwrap_err();
        assert!(error.starts_with("test.toml") && error.contains(says), "{says}: {error}");
    }
    for (text, says) in [
        ("ipv6_prefix = 31", "test.toml:1:15: ipv6_prefix: must be a whole number from 32 to 128, not 31"),
        (
            "notifications_per_minute = 0",
            "notifications_per_minute: must be a whole number from 1 to 100000, not 0",
        ),
        ("mode = 'auto'", "mode: \"auto\" is unknown; give one of host, mirror, flags"),
        (
            "[[allow]]\nprefix = '::/0'\nrule = 'netwatch.degraded'",
            "test.toml:3:8: rule: netwatch.degraded is about",
        ),
    ] {
        let error = with_file("", text).unwrap_err();
        assert!(error.contains(says), "{says}: {error}");
    }
}

#[test]
fn modes_and_prefixes_are_said_by_both_or_one() {
    let config =
        with_file("--mode mirror", "mode = 'flags'\nipv6_prefix = 48\nnotifications_per_minute = 7").unwrap();
    assert_eq!((config.mode, config.ipv6_prefix), (WatchMode::Mirror, 48));
    assert_eq!(config.policy_at(now()).notifications_per_minute, 7);
    let defaults = with_file("", "").unwrap();
    assert_eq!((defaults.mode, defaults.ipv6_prefix), (WatchMode::Host, 64));
    assert_eq!(defaults.policy_at(now()), Policy::default());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,80}", cut in 0..4000usize, length in 0..40usize) {
        let _ = with_file("", &text);
        // The example with something else in the middle comes further.
        let example: Vec<char> = include_str!("../../../netwatch.example.toml").chars().collect();
        let (start, end) = (cut.min(example.len()), (cut + length).min(example.len()));
        let (head, tail) = (example[..start].iter(), example[end..].iter());
        let mixed: String = head.copied().chain(text.chars()).chain(tail.copied()).collect();
        let _ = with_file("", &mixed.replace("# prefix", "prefix").replace("# [[", "[["));
    }
}
