//! What holds of every page.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::axe;
use crate::driver::Browser;
use crate::process::Netwatch;
use crate::scene::{SCANNER, Scene, give_back, incident};

/// The Tab key, in WebDriver's alphabet.
const TAB: char = '\u{e004}';

/// All pages that there are, and netwatch with something to show on each.
fn pages(scene: &Scene) -> (Netwatch, Vec<String>) {
    let text = "198.18.0.1 probed 11 tcp ports by syn in 60 s on nw0";
    scene.remember((1..=300).rev().map(|number| incident(number, text)));
    let netwatch = scene.netwatch("");
    scene.scan(SCANNER);
    netwatch.wait_for_line("scan.vertical");
    let mut pages: Vec<String> =
        ["/", "/incidents", "/packets", "/rules", "/feeds", "/status"].map(String::from).into();
    pages.extend([format!("/sources/{SCANNER}"), "/incidents/made-000001".into()]);
    (netwatch, pages)
}

/// Goes to a page. Whether it is one of ours: what is missing is told by one test, and not by each.
#[track_caller]
fn visit(browser: &Browser<'_>, page: &str) -> bool {
    browser.go(page);
    browser.run("return document.querySelector('main h1') !== null") == true
}

#[test]
fn pages_keep_to_themselves_and_complain_of_nothing() {
    let Some(scene) = Scene::new() else { return };
    let (_netwatch, pages) = pages(&scene);
    let browser = scene.browser();
    let mut troubles = Vec::new();
    for page in &pages {
        if !visit(&browser, page) {
            troubles.push(format!("{page}: no page: {}", browser.text("body")));
            continue;
        }
        // Long enough for the stream to open and to bring something.
        browser.run("return new Promise((done) => setTimeout(done, 1500))");
        let seen = browser.run("return window.__seen");
        for kind in ["violations", "errors"] {
            if seen[kind] != Value::Array(Vec::new()) {
                troubles.push(format!("{page}: {kind}: {}", seen[kind]));
            }
        }
        troubles.extend(browser.console(&["SEVERE", "WARNING"]).iter().map(|line| format!("{page}: {line}")));
        let strange = browser.requests().into_iter();
        let strange =
            strange.filter(|url| !url.starts_with("http://127.0.0.1:8400/") && !url.starts_with("data:"));
        troubles.extend(strange.map(|url| format!("{page} fetches {url}")));
    }
    assert!(troubles.is_empty(), "{troubles:#?}");
}

#[test]
fn axe_finds_nothing_serious_in_either_theme_or_on_a_small_screen() {
    let Some(scene) = Scene::new() else { return };
    let Some(source) = axe::source() else { return };
    let (_netwatch, pages) = pages(&scene);
    let browser = scene.browser();
    let mut found = Vec::new();
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 360)] {
        browser.prefer(scheme);
        browser.resize(width, 900);
        for page in &pages {
            if !visit(&browser, page) {
                continue;
            }
            let lines = axe::troubles(&browser, source);
            found.extend(lines.iter().map(|line| format!("{scheme} {width} {page}: {line}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn nothing_is_wider_than_the_smallest_screen_and_the_skip_link_comes_first() {
    let Some(scene) = Scene::new() else { return };
    let (_netwatch, pages) = pages(&scene);
    let browser = scene.browser();
    browser.resize(360, 740);
    let mut troubles = Vec::new();
    for page in &pages {
        if !visit(&browser, page) {
            continue;
        }
        let wide = browser.run(
            "const room = document.documentElement.clientWidth;
             if (document.documentElement.scrollWidth <= room) return [];
             return [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > room + 1
               && !one.closest('.scroll')).slice(0, 5).map((one) => one.outerHTML.slice(0, 120));",
        );
        if wide != Value::Array(Vec::new()) {
            troubles.push(format!("{page} is wider than 360 px: {wide}"));
        }
        browser.press(TAB);
        let focus = browser.run(
            "const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
             return { href: one.getAttribute('href'), shown: box.top >= 0 && box.left >= 0 && box.width > 1,
               outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 };",
        );
        if focus["href"] != "#main" || focus["shown"] != true || focus["outlined"] != true {
            troubles.push(format!("{page}: Tab leads to {focus}"));
        }
    }
    assert!(troubles.is_empty(), "{troubles:#?}");
}

/// Writes `target/screenshots/PAGE-WIDTH-THEME.png`, to be looked at.
#[test]
fn every_page_has_its_picture_taken() {
    let Some(scene) = Scene::new() else { return };
    let (_netwatch, pages) = pages(&scene);
    scene.stir();
    let browser = scene.browser();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/screenshots");
    fs::create_dir_all(&folder).unwrap();
    let folder = folder.canonicalize().unwrap();
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for (width, height) in [(360, 740), (1280, 900), (3840, 2160)] {
            browser.resize(width, height);
            for page in &pages {
                if !visit(&browser, page) {
                    continue;
                }
                let name = page.trim_matches('/').split('/').next().unwrap();
                let is_one = page.matches('/').count() > 1;
                let name = match (name, is_one) {
                    ("", _) => "overview".to_owned(),
                    (name, true) => name.trim_end_matches('s').to_owned(),
                    (name, false) => name.to_owned(),
                };
                let file = folder.join(format!("{name}-{width}-{scheme}.png"));
                browser.screenshot(&file);
                give_back(&file);
            }
        }
    }
    println!("pictures of {} pages are in {}", pages.len(), folder.display());
}
