//! What a file that is read again changes.

use super::*;

#[test]
fn a_reload_says_what_changed_and_keeps_what_cannot() {
    let path = std::env::temp_dir().join(format!("netwatch-reload-{}.toml", std::process::id()));
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("slot = '1s'\n[[allow]]\nprefix = '192.0.2.1'\n");
    let config = parse(&format!("--threshold dos.packets=7 -c {}", path.display())).unwrap();

    write(
        "slot = '2s'\nmin_severity = 'high'\n[rules.'scan.vertical']\nthreshold = 20\nenabled = false\n\
         [rules.'dos.packets']\nthreshold = 99\n[[allow]]\nprefix = '192.0.2.2'\nrule = 'scan.vertical'\n",
    );
    let Changes { config, applied, after_restart } = config.reload().unwrap();
    assert_eq!(
        applied,
        [
            "allow { prefix = \"192.0.2.1/32\" }: gone",
            "allow { prefix = \"192.0.2.2/32\", rule = \"scan.vertical\" }: new",
            "min_severity: \"low\" -> \"high\"",
            "rules.\"scan.vertical\".enabled: true -> false",
            "rules.\"scan.vertical\".threshold: 10 -> 20",
        ]
    );
    assert_eq!(after_restart, ["slot: \"1s\" -> \"2s\""]);
    assert_eq!((config.slot.as_secs(), config.min_severity), (1, Severity::High));
    let policy = config.policy_at(now());
    assert_eq!((policy.of(RuleId::ScanVertical).threshold, policy.of(RuleId::DosPackets).threshold), (20, 7));

    // The same file again changes nothing, but what waits for a restart still waits.
    let Changes { config, applied, after_restart } = config.reload().unwrap();
    assert_eq!((applied.len(), after_restart.len()), (0, 1));
    write("slot = 0\nmin_severity = 'low'\n");
    assert!(config.reload().unwrap_err().contains(":1:1: slot: must be 100ms to 60s"));
    std::fs::remove_file(&path).unwrap();
    assert!(config.reload().unwrap_err().contains("No such file"));
}

#[test]
fn a_reload_keeps_windows_and_modes() {
    let path = std::env::temp_dir().join(format!("netwatch-windows-{}.toml", std::process::id()));
    std::fs::write(&path, "rules.'scan.vertical'.window = '30s'").unwrap();
    let config = parse(&format!("-c {}", path.display())).unwrap();
    std::fs::write(
        &path,
        "state_dir = '/var/lib/netwatch'\nmode = 'mirror'\nipv6_prefix = 128\nwindow = '2m'\nnotifications_per_minute = 5\n\
         [rules.'scan.vertical']\nwindow = '10s'\n[rules.'scan.slow']\nclosed_percent = 50\n\
         [rules.'port.hammer']\nports = 'any'\n[rules.'port.unusual']\nservices = ['tcp/22']\n\
         [evidence]\ndir = '/var/lib/netwatch'\nmin_severity = 'high'\n",
    )
    .unwrap();
    let Changes { config, applied, after_restart } = config.reload().unwrap();
    std::fs::remove_file(&path).unwrap();
    let told: Vec<&str> = applied.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(
        told,
        [
            "notifications_per_minute",
            "rules.\"port.hammer\".ports",
            "rules.\"port.unusual\".learn",
            "rules.\"port.unusual\".services",
            "rules.\"scan.slow\".closed_percent",
        ]
    );
    assert_eq!(
        after_restart,
        [
            "evidence.dir: \"\" -> \"/var/lib/netwatch\"",
            "evidence.min_severity: \"low\" -> \"high\"",
            "ipv6_prefix: 64 -> 128",
            "mode: \"host\" -> \"mirror\"",
            "rules.\"scan.vertical\".window: \"30s\" -> \"10s\"",
            "state_dir: \"\" -> \"/var/lib/netwatch\"",
            "window: \"60s\" -> \"120s\"",
        ]
    );
    let policy = config.policy_at(now());
    assert_eq!(policy.of(RuleId::ScanVertical).window_ns, Some(30_000_000_000));
    assert_eq!((policy.notifications_per_minute, policy.login_ports), (5, LoginPorts::Any));
    assert_eq!((config.mode, config.ipv6_prefix, config.slots), (WatchMode::Host, 64, 12));
}
