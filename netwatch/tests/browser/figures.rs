//! How much is sent, and how soon it is there. Sizes are asserted; times are printed, since machines differ.

use crate::scene::{SCANNER, Scene, incident};

#[test]
fn the_first_page_is_small() {
    let Some(scene) = Scene::new() else { return };
    scene.remember((1..=300).rev().map(|number| incident(number, "198.18.0.1 probed 11 tcp ports")));
    let netwatch = scene.netwatch("");
    scene.scan(SCANNER);
    netwatch.wait_for_line("scan.vertical");
    let browser = scene.browser();
    browser.go("/");
    browser.wait("a chart", "return window.__seen.firstChart");
    let seen = browser.run(
        "const [page] = performance.getEntriesByType('navigation');
         const parts = performance.getEntriesByType('resource').filter((one) => one.initiatorType !== 'fetch');
         const paint = performance.getEntriesByName('first-contentful-paint')[0];
         return { page: page.transferSize, all: page.transferSize + parts.reduce((sum, one) => sum + one.transferSize, 0),
           parts: parts.map((one) => `${new URL(one.name).pathname} ${one.transferSize}`).join(', '),
           chart: window.__seen.firstChart, paint: paint?.startTime ?? null };",
    );
    let all = seen["all"].as_f64().unwrap();
    println!(
        "the first page: {all} bytes ({} of itself; {}); first chart after {:.0} ms, first paint after {}",
        seen["page"],
        seen["parts"].as_str().unwrap_or(""),
        seen["chart"].as_f64().unwrap_or(0.0),
        seen["paint"].as_f64().map_or("?".into(), |paint| format!("{paint:.0} ms")),
    );
    assert!(all > 1_000.0 && all <= 100_000.0, "{all} bytes: {seen}");
}

#[test]
fn ten_thousand_incidents_stay_smooth() {
    let Some(scene) = Scene::new() else { return };
    scene
        .remember((1..=10_000).rev().map(|number| incident(number, "198.18.0.1 probed 11 tcp ports by syn")));
    let netwatch = scene.netwatch("");
    let browser = scene.browser();
    for page in ["/", "/incidents", "/incidents?q=probed", "/incidents?severity=critical&rule=scan.slow"] {
        browser.go(page);
        let rows = browser.run("return document.querySelectorAll('.incidents > li').length");
        let times = browser.run(
            "const [page] = performance.getEntriesByType('navigation');
             return `${page.responseStart.toFixed(0)} ms to the answer, ${page.domContentLoadedEventEnd.toFixed(0)} ms to the page`",
        );
        println!("{page}: {rows} rows; {}", times.as_str().unwrap_or(""));
        assert!(rows.as_u64().unwrap() <= 1_000, "{page} has {rows} rows");
    }
    // Something new comes into the long list, while somebody looks at it.
    browser.go("/incidents");
    browser.run("window.__marked = true; window.__seen.longTasks.length = 0;");
    scene.scan(SCANNER);
    netwatch.wait_for_line("scan.vertical");
    browser.wait_for_text(&SCANNER.to_string());
    assert_eq!(browser.run("return window.__marked"), true, "the page was reloaded");
    let long = browser.run("return window.__seen.longTasks.map((one) => Math.round(one))");
    println!("a new incident in the list of 10,000: tasks over 50 ms: {long} ms");
}
