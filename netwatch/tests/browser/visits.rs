//! What people do on the pages: look for something, acknowledge, log in, choose a theme.

use crate::driver::Browser;
use crate::scene::{SCANNER, Scene, incident};

const TEXT: &str = "198.18.0.1 probed 11 tcp ports by syn in 60 s on nw0";

/// What the severities in the list are, each once.
fn severities(browser: &Browser<'_>) -> Vec<String> {
    let found = browser.run(
        "return [...new Set([...document.querySelectorAll('.incidents > li > .badge')].map((one) => one.innerText.trim()))]",
    );
    let mut found: Vec<_> =
        found.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect();
    found.sort();
    found
}

fn choose(browser: &Browser<'_>, field: &str, value: &str) {
    browser.run(&format!(
        "const field = document.querySelector('.filters [name={field}]');
         field.value = {value:?};
         field.dispatchEvent(new Event('change', {{ bubbles: true }}));
         field.form.requestSubmit();"
    ));
    browser.wait("the address", &format!("return location.search.includes('{field}={value}')"));
    browser.wait("the page", "return document.readyState === 'complete'");
}

#[test]
fn what_is_looked_for_stands_in_the_address() {
    let Some(scene) = Scene::new() else { return };
    scene.remember((1..=300).rev().map(|number| incident(number, TEXT)));
    let _netwatch = scene.netwatch("");
    let browser = scene.browser();
    browser.go("/incidents");
    // The worst come first: the first hundred of three hundred are of two severities.
    assert_eq!(severities(&browser), ["critical", "high"]);
    choose(&browser, "severity", "critical");
    assert_eq!(severities(&browser), ["critical"]);
    choose(&browser, "rule", "scan.slow");
    let deep = browser.path();
    assert!(deep.contains("severity=critical") && deep.contains("rule=scan.slow"), "{deep}");
    // What the address says is what the form says, and the next page keeps it.
    let chosen = "return document.querySelector('.filters [name=severity]').value";
    assert_eq!(browser.run(chosen), "critical");
    browser.back();
    browser.wait("the page before", "return !location.search.includes('scan.slow')");
    browser.wait("its filter", &format!("{chosen} === 'critical'"));
    // A link from elsewhere leads to the same.
    browser.go("/status");
    browser.go(&deep);
    assert_eq!(severities(&browser), ["critical"]);
    let rules = browser.run(
        "return [...new Set([...document.querySelectorAll('.incidents a[href^=\"/rules#\"]')].map((one) => one.innerText))]",
    );
    assert_eq!(rules, serde_json::json!(["scan.slow"]));
    browser.go("/incidents?severity=low");
    browser.click("a[rel=next]");
    browser.wait("the next page", "return location.search.includes('cursor=')");
    assert!(browser.path().contains("severity=low"), "{}", browser.path());
}

#[test]
fn incidents_are_acknowledged_with_scripts_and_without() {
    let Some(scene) = Scene::new() else { return };
    let netwatch = scene.netwatch("");
    scene.scan(SCANNER);
    netwatch.wait_for_line("scan.vertical");
    let browser = scene.browser();
    for scripts in [true, false] {
        browser.allow_scripts(scripts);
        browser.go("/");
        browser.click(".incidents a.what");
        browser.fill("form[action$='/acknowledge'] [name=note]", "mine <b>bold</b>");
        browser.click("form[action$='/acknowledge'] button");
        let is_there = "return document.querySelector('main').innerText.includes('mine <b>bold</b>')";
        browser.wait("the note, as it was written", is_there);
        browser.reload();
        browser.wait("the note, after a reload", is_there);
        browser.go("/");
        browser.wait(
            "the overview to know",
            "return document.querySelector('main').innerText.toLowerCase().includes('acknowledged')",
        );
        browser.back();
        browser.click("form[action$='/acknowledge'] button");
        browser.wait("no note", "return document.querySelector('form [name=note]') !== null");
    }
}

#[test]
fn what_somebody_writes_is_not_taken_away() {
    let Some(scene) = Scene::new() else { return };
    let netwatch = scene.netwatch("");
    scene.scan(SCANNER);
    netwatch.wait_for_line("scan.vertical");
    let browser = scene.browser();
    browser.go("/");
    browser.click(".incidents a.what");
    browser.fill("form[action$='/acknowledge'] [name=note]", "half a");
    // Somebody else is faster.
    browser.run(
        "return fetch(document.querySelector('form[action$=\"/acknowledge\"]').getAttribute('action'),
           { method: 'POST', body: new URLSearchParams({ action: 'acknowledge', note: 'theirs' }) }).then(() => true)",
    );
    browser
        .wait("the head", "return document.querySelector('[data-live=incident-head] .state-ack') !== null");
    let form = "const form = document.querySelector('form[action$=\"/acknowledge\"]');
                return `${form.elements.action.value} ${form.elements.note?.value ?? ''}`";
    assert_eq!(browser.run(form), "acknowledge half a");
    browser.run("window.__form = document.querySelector('form[action$=\"/acknowledge\"]'); document.activeElement.blur();");
    browser.wait("the card", "return document.querySelector('[data-live=ack]').innerText.includes('theirs')");
    assert_eq!(browser.run(form), "take-back ");
    assert_eq!(browser.run("return window.__form.isConnected"), false, "one form became the other");
}

#[test]
fn keys_can_be_turned_off() {
    let Some(scene) = Scene::new() else { return };
    let _netwatch = scene.netwatch("");
    let browser = scene.browser();
    let is_shown = "return document.querySelector('#help').open";
    browser.go("/status");
    browser.press('?');
    assert_eq!(browser.run(is_shown), true);
    browser.click("#letters");
    browser.click("#help form button");
    browser.press('?');
    assert_eq!(browser.run(is_shown), false);
    browser.go("/");
    browser.press('?');
    assert_eq!(browser.run(is_shown), false, "what was chosen is forgotten");
    browser.click("#keys");
    browser.click("#letters");
    browser.click("#help form button");
    browser.press('?');
    assert_eq!(browser.run(is_shown), true);
}

#[test]
fn who_has_the_token_logs_in_once() {
    let Some(scene) = Scene::new() else { return };
    let (options, token) = scene.with_token();
    let _netwatch = scene.netwatch(&options);
    let browser = scene.browser();
    browser.go("/incidents?state=open");
    browser.fill("[name=token]", "something else entirely");
    browser.click("form button");
    browser.wait("a refusal", "return document.querySelector('[name=token]') !== null");
    browser.fill("[name=token]", token);
    browser.click("form button");
    browser.wait("the page that was asked for", "return location.pathname === '/incidents'");
    assert_eq!(browser.path(), "/incidents?state=open");
    let cookies = browser.cookies();
    let [cookie] = &cookies[..] else { panic!("{cookies:?}") };
    assert_eq!((&cookie["httpOnly"], &cookie["sameSite"]), (&true.into(), &"Strict".into()));
    assert!(!cookie["value"].as_str().unwrap().contains(token), "the token itself is in the cookie");
    // The stream takes the cookie, too: an incident comes by itself.
    browser.go("/");
    browser.run("window.__marked = true");
    scene.scan(SCANNER);
    browser.wait("the incident", "return document.querySelector('.incidents a.what') !== null");
    assert_eq!(browser.run("return window.__marked"), true, "the page was reloaded");
    browser.forget();
    browser.go("/");
    browser.wait("the form", "return document.querySelector('[name=token]') !== null");
}

#[test]
fn the_theme_follows_the_machine_until_somebody_chooses() {
    let Some(scene) = Scene::new() else { return };
    let _netwatch = scene.netwatch("");
    let browser = scene.browser();
    let ground = "return getComputedStyle(document.body).backgroundColor";
    browser.prefer("dark");
    browser.go("/");
    let dark = browser.run(ground);
    browser.prefer("light");
    let light = browser.run(ground);
    assert_ne!(dark, light);
    for _ in 0..3 {
        if browser.run("return document.documentElement.dataset.theme ?? ''") == "dark" {
            break;
        }
        browser.click("#theme");
    }
    assert_eq!(browser.run(ground), dark, "the button leads to no dark theme");
    browser.reload();
    assert_eq!(browser.run(ground), dark, "what was chosen is forgotten");
    browser.go("/status");
    assert_eq!(browser.run(ground), dark, "other pages do not know what was chosen");
}
