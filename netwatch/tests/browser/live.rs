//! What happens shows by itself.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use crate::process::Netwatch;
use crate::scene::{SCANNER, Scene};

/// When netwatch told of an incident on its stdout, in milliseconds as browsers count them.
fn told_at(netwatch: &Netwatch, incident: &str) -> f64 {
    let at = netwatch.wait_for_line(incident);
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3
}

/// Marks the page, so that a reload would be noticed, and notes when the first incident whose sentence has this text appears,
/// and which one it is. Sources have lists of their own, which are not meant.
fn watch_for(text: &str) -> String {
    format!(
        "window.__marked = true; window.__appeared = null;
         new MutationObserver((_, observer) => {{
           const what = [...document.querySelectorAll('main .incidents a.what')]
             .find((one) => one.textContent.includes({text:?}));
           if (what) {{
             window.__appeared = {{ at: performance.timeOrigin + performance.now(), id: what.closest('li').dataset.key }};
             observer.disconnect();
           }}
         }}).observe(document.body, {{ childList: true, subtree: true, characterData: true }});"
    )
}

#[test]
fn a_scan_appears_without_a_reload() {
    let Some(scene) = Scene::new() else { return };
    let netwatch = scene.netwatch("");
    let browser = scene.browser();
    browser.go("/");
    let scanner = SCANNER.to_string();
    browser.run(&watch_for(&scanner));
    // The stream is open when the first rates have come; without, the page would still be told of what it missed.
    let start = SystemTime::now();
    scene.scan(SCANNER);
    let appeared = browser.wait("the incident", "return window.__appeared");
    assert_eq!(browser.run("return window.__marked"), true, "the page was reloaded");
    let told = told_at(&netwatch, appeared["id"].as_str().expect("an incident has a name"));
    let appeared = appeared["at"].as_f64().unwrap();
    let sent = start.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3;
    println!(
        "the incident was on the page {:.0} ms after its line on stdout, {:.0} ms after the first probe was sent",
        appeared - told,
        appeared - sent
    );
    drop(browser);
    netwatch.signal(Signal::SIGTERM);
    assert!(netwatch.ended().status.success());
}

#[test]
fn a_page_goes_on_after_a_restart_of_netwatch() {
    let Some(scene) = Scene::new() else { return };
    let first = scene.netwatch("");
    let browser = scene.browser();
    browser.go("/");
    browser.run(&watch_for(&SCANNER.to_string()));
    first.signal(Signal::SIGTERM);
    assert!(first.ended().status.success());
    let _second = scene.netwatch("");
    scene.scan(SCANNER);
    browser.wait("the incident of the second run", "return window.__appeared");
    assert_eq!(browser.run("return window.__marked"), true, "the page was reloaded");
    // The chart, which the second run first drew without any line, is drawn by the script again.
    browser.wait(
        "the chart",
        "return document.querySelector('#chart-packets [data-line]')?.getAttribute('d') ?? ''",
    );
    browser.wait("the state", "return document.querySelector('#connection').textContent === 'live'");
}

#[test]
fn a_page_whose_session_is_gone_leads_to_the_login() {
    let Some(scene) = Scene::new() else { return };
    let (options, token) = scene.with_token();
    let first = scene.netwatch(&options);
    let browser = scene.browser();
    browser.go("/status");
    browser.fill("[name=token]", token);
    browser.click("form button");
    browser.wait("the state", "return document.querySelector('#connection').textContent === 'live'");
    first.signal(Signal::SIGTERM);
    assert!(first.ended().status.success());
    let _second = scene.netwatch(&options);
    browser.wait("the form", "return document.querySelector('[name=token]') !== null");
    assert!(browser.path().starts_with("/login?to="), "{}", browser.path());
}

#[test]
fn the_header_says_whether_the_page_is_live() {
    let Some(scene) = Scene::new() else { return };
    let _netwatch = scene.netwatch("");
    let browser = scene.browser();
    browser.go("/");
    let says = |text: &str| {
        browser.wait(text, &format!("return document.querySelector('#connection').textContent === {text:?}"));
    };
    says("live");
    browser.run("window.__fetch = fetch; window.fetch = async () => new Response('', { status: 503 });");
    says("stale: 503");
    browser.run("window.fetch = window.__fetch");
    says("live");
    let look = |is_hidden: bool| {
        browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{ value: {is_hidden}, configurable: true }});
             document.dispatchEvent(new Event('visibilitychange'));"
        ));
    };
    look(true);
    says("paused");
    look(false);
    says("live");
}
