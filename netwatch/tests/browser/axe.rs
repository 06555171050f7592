//! axe-core, which finds what keeps people from using a page. It is fetched when it is needed, one version of it, and not
//! committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::driver::Browser;
use crate::scene::{Dir, give_back};

/// Where it may come from, and what its SHA-256 is then: the registry of node, else a package of Python that has it inside.
const ORIGINS: [(&str, &str); 2] = [
    (
        "npm pack --silent --fetch-retries=1 --fetch-timeout=60000 axe-core@4.14.1 && tar xzf axe-core-*.tgz",
        "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
    ),
    (
        "python3 -m pip --retries 1 --timeout 30 download --no-deps axe-playwright-python==0.1.8 && python3 -m zipfile -e *.whl .",
        "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc",
    ),
];
/// Where it lies in what was fetched.
const PLACES: [&str; 2] = ["package/axe.min.js", "axe_playwright_python/axe.min.js"];

/// Its source; none where it cannot be had, which is said once.
pub fn source() -> Option<&'static str> {
    static SOURCE: OnceLock<Option<String>> = OnceLock::new();
    let found = SOURCE.get_or_init(|| kept().or_else(fetched));
    if found.is_none() {
        crate::skip("axe-core is not here, and neither npm nor pip fetches it");
    }
    found.as_deref()
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/axe/axe.min.js")
}

fn is_known(content: &[u8]) -> bool {
    let sum: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    ORIGINS.iter().any(|(_, known)| *known == sum)
}

fn kept() -> Option<String> {
    fs::read_to_string(file()).ok().filter(|content| is_known(content.as_bytes()))
}

fn fetched() -> Option<String> {
    for (line, _) in ORIGINS {
        let dir = Dir::new("axe");
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
        if !command.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            continue;
        }
        for place in PLACES {
            let Ok(content) = fs::read_to_string(dir.path().join(place)) else { continue };
            assert!(is_known(content.as_bytes()), "`{line}` gave something else than it did");
            let file = file();
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            // It gets its name only when it is complete: others may read it.
            let half = file.with_extension(std::process::id().to_string());
            fs::write(&half, &content).unwrap();
            give_back(&half);
            fs::rename(half, file).unwrap();
            return Some(content);
        }
    }
    None
}

/// What is serious or critical on the page, one line for each element.
#[track_caller]
pub fn troubles(browser: &Browser<'_>, source: &str) -> Vec<String> {
    browser.run(&format!("{source}\n;window.axe = axe;"));
    let found = browser.run(
        "return axe.run(document, { resultTypes: ['violations'] }).then((found) => found.violations.map(
           (one) => ({ id: one.id, impact: one.impact, help: one.help,
             nodes: one.nodes.map((node) => `${node.target.join(' ')}: ${node.failureSummary}`) })))",
    );
    let mut lines = Vec::new();
    for one in found.as_array().into_iter().flatten() {
        if ["serious", "critical"].contains(&one["impact"].as_str().unwrap_or("")) {
            let nodes = one["nodes"].as_array().cloned().unwrap_or_default();
            let nodes: Vec<_> = nodes.iter().filter_map(Value::as_str).take(5).collect();
            lines.push(format!("{} ({}): {}: {}", one["id"], one["impact"], one["help"], nodes.join("; ")));
        }
    }
    lines
}
