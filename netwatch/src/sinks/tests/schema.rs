//! Lines of EVE against Suricata's own schema, by a validator that is not ours.
//!
//! Neither is ours to keep here: the schema comes out of Debian's source package, the validator from the Python Package
//! Index, both into `target/tools`. Where they cannot be had, the test says so and is skipped.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::*;
use crate::analysis::Digest;

/// Fetches the one tar archive, in a state of apt-get's own: the lists of the machine stay as they are. It comes from where
/// this machine's packages come from, and from Debian's development branch: the schema of Suricata 8 has
/// `alert.context`, that of 7 has not.
const FETCH: &str = "set -e; cd \"$1\"; mkdir -p lists/partial cache/archives/partial
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
test -n \"$mirror\"
echo \"deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror sid main\" > list
apt() { apt-get -q -o Dir::Etc::SourceList=\"$1/list\" -o Dir::Etc::SourceParts=- -o Dir::State::Lists=\"$1/lists\" \
-o Dir::Cache=\"$1/cache\" -o Acquire::http::Timeout=20 -o Acquire::Retries=1 \"$2\" $3 $4 $5; }
apt \"$1\" update
apt \"$1\" source --download-only --tar-only suricata
tar -xzf suricata_*.orig.tar.gz --wildcards 'suricata-*/etc/schema.json' --strip-components=2
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check --retries 1 --timeout 20 install 'jsonschema==4.26.0'
rm -rf lists cache suricata_*";

/// Prints what is wrong, and how many lines there were.
const VALIDATE: &str = "
import json, sys
from jsonschema.validators import validator_for
schema = json.load(open(sys.argv[1]))
kind = validator_for(schema)
kind.check_schema(schema)
validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
count = 0
for line in sys.stdin:
    count += 1
    for error in validator.iter_errors(json.loads(line)):
        print(list(error.absolute_path), error.message[:200], 'in', line)
print(count, 'lines')
";

/// The directory with schema and validator.
fn tools() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    let (done, half) = (folder.join("suricata"), folder.join(format!("suricata.{}", std::process::id())));
    if done.join("schema.json").is_file() {
        return Some(done);
    }
    fs::create_dir_all(&half).unwrap();
    // apt-get wants to know where it is, whoever asks from where.
    let half = half.canonicalize().unwrap();
    let log = File::create(half.join("log")).unwrap();
    let mut fetch = Command::new("timeout");
    fetch.args(["300", "sh", "-c", FETCH, "fetch"]).arg(&half).stdin(Stdio::null());
    fetch.stdout(log.try_clone().unwrap()).stderr(log);
    if fetch.status().is_ok_and(|status| status.success()) {
        // Another test may have been faster; then its is as good. A virtual environment can be moved if its python is
        // called by its path, which is all that is done with it.
        if fs::rename(&half, &done).is_err() {
            let _ = fs::remove_dir_all(&half);
        }
        return Some(done);
    }
    let log = fs::read_to_string(half.join("log")).unwrap_or_default();
    let last = log.lines().last().unwrap_or_default();
    eprintln!("skipped: Suricata's schema, or a validator, cannot be had: {last}");
    let _ = fs::remove_dir_all(&half);
    None
}

#[test]
fn lines_of_every_rule_in_every_form_are_valid_by_suricatas_schema() {
    let Some(tools) = tools() else { return };
    let reasons = [CloseReason::Quiet, CloseReason::Shutdown, CloseReason::Allowed, CloseReason::Disabled];
    let states = [State::Open, State::Update].into_iter().chain(reasons.map(State::Close));
    let mut lines = String::new();
    let mut count = 0;
    for state in states {
        for rule in RuleId::ALL {
            let told = Transition { state, ..rules::example(rule) };
            // By IPv6, in a network; and with all that is there sometimes only.
            let v6 = Peer { addr: "2001:db8::".parse().unwrap(), bits: 64, host: None };
            let more = Transition {
                source: told.source.map(|_| v6),
                dest: told.dest.map(|_| "2001:db8::1".parse().unwrap()),
                degraded: true,
                suppressed: 3,
                evidence_file: Some("/var/lib/a \"b\"\u{1b}/7f3a-1.pcapng".into()),
                interface: "e\"\\\u{e9}\u{1b}".into(),
                ..told.clone()
            };
            for told in [told, more] {
                lines.push_str(&render(&told, Format::Json, false));
                count += 1;
            }
        }
    }
    let digest =
        Digest { at_ns: SECOND, cap: 60, weight: Severity::Low, openings: [3; RuleId::COUNT], updates: 12 };
    let mut out = Vec::new();
    renderer(Format::Json, false).render_digest(&digest, &mut out).unwrap();
    lines.push_str(&String::from_utf8(out).unwrap());
    count += 1;

    assert_eq!(validate(&tools, &lines), format!("{count} lines\n"));
    // And it would have been said.
    let more = r#"{"timestamp":"2026-11-21T02:50:11.123456+0000","event_type":"alert","netwatch":1}"#;
    assert!(validate(&tools, more).starts_with("[] Additional properties are not allowed ('netwatch' was"));
}

/// What is wrong with lines, and how many there are.
fn validate(tools: &Path, lines: &str) -> String {
    let mut python = Command::new(tools.join("venv/bin/python"));
    python.args(["-c", VALIDATE]).arg(tools.join("schema.json"));
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
