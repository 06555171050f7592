//! A report is read without netwatch.

use std::fs;

use netwatch::handout::{self, Asked};
use netwatch::store::Archive;

use crate::axe;
use crate::scene::{Scene, ago, incident};

#[test]
fn axe_finds_nothing_serious_in_a_report() {
    let Some(scene) = Scene::new() else { return };
    let Some(source) = axe::source() else { return };
    let text = "198.18.0.1 probed 11 tcp ports by syn in 60 s on nw0";
    scene.remember((1..=300).rev().map(|number| incident(number, text)));
    let asked = Asked {
        since: ago(86_400),
        until: ago(0),
        now: ago(0),
        title: "A day".into(),
        host: "host".into(),
        command: "netwatch report".into(),
        dir: scene.state.path().display().to_string(),
    };
    let report = handout::report(&Archive::open(scene.state.path()).unwrap(), &asked).unwrap();
    let file = scene.state.path().join("report.html");
    fs::write(&file, report).unwrap();
    let browser = scene.browser();
    let mut found = Vec::new();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        // On a small screen, tables do not fit.
        browser.resize(360, 740);
        browser.go(&format!("file://{}", file.display()));
        assert_eq!(browser.run("return document.querySelectorAll('td.what').length"), 300);
        found.extend(axe::troubles(&browser, source).iter().map(|line| format!("{scheme}: {line}")));
    }
    found.extend(browser.console(&["SEVERE", "WARNING"]));
    assert!(found.is_empty(), "{found:#?}");
}
