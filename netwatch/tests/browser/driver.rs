//! A browser that does what a test says, by way of chromedriver, which speaks WebDriver: JSON over HTTP.
//!
//! Both run in a namespace of the laboratory, so that the browser reaches what netwatch serves there, and nothing else.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use xtask::lab::Side;

use crate::process::PATIENCE;
use crate::scene::Dir;

/// The names under which distributions have Chromium.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
/// How often something is looked for.
const PAUSE: Duration = Duration::from_millis(25);
/// How an element is named in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What every page runs before its own scripts: it writes down what a test wants to know of it later.
const WITNESS: &str = r#"
window.__seen = { violations: [], longTasks: [], errors: [], firstChart: null };
addEventListener('securitypolicyviolation', (event) => __seen.violations.push(
  `${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile || ''}:${event.lineNumber}`));
addEventListener('error', (event) => __seen.errors.push(String(event.message)));
addEventListener('unhandledrejection', (event) => __seen.errors.push(String(event.reason)));
try {
  new PerformanceObserver((list) => __seen.longTasks.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: 'longtask', buffered: true });
} catch {}
new MutationObserver((_, observer) => {
  if (document.querySelector('main svg path, main svg polyline, main svg rect, main svg line')) {
    __seen.firstChart = performance.now();
    observer.disconnect();
  }
}).observe(document, { childList: true, subtree: true });
"#;

/// Where the two programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    chromedriver: PathBuf,
    browser: PathBuf,
}

impl Programs {
    /// Finds both on `PATH`, or says why there are none to test with.
    pub fn find() -> Result<Self, String> {
        static FOUND: OnceLock<Result<Programs, String>> = OnceLock::new();
        FOUND.get_or_init(Self::look).clone()
    }

    fn look() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let find =
            |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
        let (Some(chromedriver), Some(browser)) = (find("chromedriver"), BROWSERS.into_iter().find_map(find))
        else {
            return Err("chromium and chromedriver are not here".to_owned());
        };
        // Neither drives the other when they are not of the same version; which one is unknown says so itself.
        if let (Some(driver), Some(driven)) = (major(&chromedriver), major(&browser))
            && driver != driven
        {
            return Err(format!(
                "chromedriver {driver} does not drive chromium {driven}; install both from one place"
            ));
        }
        Ok(Self { chromedriver, browser })
    }
}

/// The first number of a program's version.
fn major(program: &Path) -> Option<u32> {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    major_of(&String::from_utf8_lossy(&said.stdout))
}

fn major_of(said: &str) -> Option<u32> {
    said.split_whitespace().find_map(|word| word.split_once('.')?.0.parse().ok())
}

/// A browser with one tab. It ends with this value.
pub struct Browser<'a> {
    side: &'a Side,
    driver: Child,
    agent: Agent,
    session: String,
    origin: String,
    _profile: Dir,
}

impl<'a> Browser<'a> {
    /// Starts one, in which paths are those of `origin`.
    #[track_caller]
    pub fn start(side: &'a Side, programs: &Programs, origin: &str) -> Self {
        let profile = Dir::new("browser");
        let mut command = side.command(&programs.chromedriver);
        // Debian's chromium is a script, which complains of what it does not find.
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().expect("chromedriver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let port = lines
            .find_map(|line| {
                line.split_once("started successfully on port ").map(|(_, port)| port.to_owned())
            })
            .expect("chromedriver says its port");
        let port = port.trim_end_matches('.');
        thread::spawn(move || lines.for_each(drop));
        let config = Agent::config_builder().timeout_global(Some(2 * PATIENCE)).http_status_as_error(false);
        let mut browser = Self {
            side,
            driver,
            agent: config.build().into(),
            session: format!("http://127.0.0.1:{port}/session"),
            origin: origin.to_owned(),
            _profile: profile,
        };
        let options = json!({
            "binary": programs.browser,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-default-apps", "--disable-extensions", "--hide-scrollbars", "--mute-audio",
                // Whatever it would ask of the world, it does not find.
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                // It ends with chromedriver, even where that is killed.
                "--remote-debugging-pipe",
                "--window-size=1280,900",
                format!("--user-data-dir={}", browser._profile.path().display()),
            ],
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "script": 60_000, "pageLoad": 60_000 },
        }}});
        let made = browser.ask("POST", "", &wanted).unwrap_or_else(|wrong| panic!("no browser: {wrong}"));
        let id = made["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser.cdp("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WITNESS }));
        // The browser's own first page is none of ours.
        browser.go("about:blank");
        drop((browser.requests(), browser.console(&[])));
        browser
    }

    /// Goes to a path of netwatch, or to a whole URL.
    #[track_caller]
    pub fn go(&self, path: &str) {
        let url = if path.starts_with('/') { format!("{}{path}", self.origin) } else { path.to_owned() };
        self.post("/url", &json!({ "url": url }));
    }

    /// As if somebody pressed the button.
    #[track_caller]
    pub fn reload(&self) {
        self.post("/refresh", &json!({}));
    }

    /// Likewise.
    #[track_caller]
    pub fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// What stands in the address bar, behind the origin.
    #[track_caller]
    pub fn path(&self) -> String {
        let url = self.ask("GET", "/url", &Value::Null).unwrap_or_else(|wrong| panic!("{wrong}"));
        let url = url.as_str().expect("a URL");
        url.strip_prefix(&self.origin).unwrap_or(url).to_owned()
    }

    /// Runs the body of a function in the page, for its value; a promise is waited for.
    #[track_caller]
    pub fn run(&self, script: &str) -> Value {
        self.try_run(script).unwrap_or_else(|wrong| panic!("{script}: {wrong}"))
    }

    fn try_run(&self, script: &str) -> Result<Value, String> {
        self.ask("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Runs it again and again until its value is neither null, false, 0 nor empty.
    #[track_caller]
    pub fn wait(&self, what: &str, script: &str) -> Value {
        let start = Instant::now();
        let mut last = Ok(Value::Null);
        while start.elapsed() < PATIENCE {
            // While one page takes the place of another, there is none to run it in.
            last = self.try_run(script);
            match &last {
                Ok(Value::Null | Value::Bool(false)) | Err(_) => {}
                Ok(value) if *value == json!(0) || *value == json!("") || *value == json!([]) => {}
                Ok(value) => return value.clone(),
            }
            thread::sleep(PAUSE);
        }
        panic!("waited for {what}: {script}: {last:?} on {}:\n{}", self.path(), self.text("body"));
    }

    /// The text of the first element of these, once there is one.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        let found = self.try_run(&format!("return document.querySelector({css:?})?.innerText ?? null"));
        found.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Waits until the page has this text somewhere.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        self.wait(text, &format!("return document.body.innerText.includes({text:?})"));
    }

    #[track_caller]
    fn element(&self, css: &str) -> String {
        self.wait(css, &format!("return document.querySelector({css:?}) !== null"));
        let wanted = json!({ "using": "css selector", "value": css });
        let found = self.post("/element", &wanted);
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// Clicks on the first of these, as a person would: where something lies above it, that is an error.
    #[track_caller]
    pub fn click(&self, css: &str) {
        let start = Instant::now();
        // A part of the page may be replaced between the two questions.
        loop {
            let element = self.element(css);
            match self.ask("POST", &format!("/element/{element}/click"), &json!({})) {
                Ok(_) => return,
                Err(wrong) if start.elapsed() > PATIENCE => panic!("click on {css}: {wrong}"),
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Types into the first of these, in place of what was there.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses a key and lets it go, wherever the focus is.
    #[track_caller]
    pub fn press(&self, key: char) {
        let key = key.to_string();
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }));
    }

    /// Forgets all cookies.
    #[track_caller]
    pub fn forget(&self) {
        self.ask("DELETE", "/cookie", &Value::Null).unwrap_or_else(|wrong| panic!("{wrong}"));
    }

    /// The cookies of this page.
    #[track_caller]
    pub fn cookies(&self) -> Vec<Value> {
        let found = self.ask("GET", "/cookie", &Value::Null).unwrap_or_else(|wrong| panic!("{wrong}"));
        found.as_array().cloned().unwrap_or_default()
    }

    /// What WebDriver has no words for.
    #[track_caller]
    pub fn cdp(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// Makes the page so wide and high, in its own pixels.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let parameters = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.cdp("Emulation.setDeviceMetricsOverride", &parameters);
    }

    /// What the person has asked of the machine: `dark` or `light`.
    #[track_caller]
    pub fn prefer(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        self.cdp("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    /// Whether pages may run scripts.
    #[track_caller]
    pub fn allow_scripts(&self, allow: bool) {
        self.cdp("Emulation.setScriptExecutionDisabled", &json!({ "value": !allow }));
    }

    /// Writes what is to be seen, from the top to the bottom of the page, into a file.
    #[track_caller]
    pub fn screenshot(&self, file: &Path) {
        let shot = self.cdp(
            "Page.captureScreenshot",
            &json!({ "format": "png", "captureBeyondViewport": true, "optimizeForSpeed": true }),
        );
        let bytes = unbase64(shot["data"].as_str().expect("a picture"));
        std::fs::write(file, bytes).unwrap();
    }

    /// What the console has said since this was asked last, at these levels: `SEVERE` are errors.
    #[track_caller]
    pub fn console(&self, levels: &[&str]) -> Vec<String> {
        let is_wanted = |entry: &Value| levels.contains(&entry["level"].as_str().unwrap_or(""));
        let entries = self.log("browser");
        let wanted = entries.iter().filter(|entry| is_wanted(entry));
        wanted.map(|entry| entry["message"].as_str().unwrap_or("").to_owned()).collect()
    }

    /// What was fetched since this was asked last.
    #[track_caller]
    pub fn requests(&self) -> Vec<String> {
        let mut urls = Vec::new();
        for entry in self.log("performance") {
            let message: Value = serde_json::from_str(entry["message"].as_str().unwrap_or("")).unwrap();
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                urls.push(message["params"]["request"]["url"].as_str().unwrap_or("").to_owned());
            }
        }
        urls
    }

    #[track_caller]
    fn log(&self, kind: &str) -> Vec<Value> {
        self.post("/se/log", &json!({ "type": kind })).as_array().cloned().unwrap_or_default()
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, body).unwrap_or_else(|wrong| panic!("{path}: {wrong}"))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        // Connections are made by a thread in the namespace, and stay there.
        let ask = || {
            let sent = match method {
                "GET" => self.agent.get(&url).call(),
                "DELETE" => self.agent.delete(&url).call(),
                _ => self.agent.post(&url).content_type("application/json").send(body.to_string()),
            };
            let mut answer = sent.map_err(|wrong| wrong.to_string())?;
            let body = answer.body_mut().with_config().limit(1 << 28).read_to_string();
            body.map_err(|wrong| wrong.to_string())
        };
        let text = self.side.run(ask).map_err(|wrong| wrong.to_string())??;
        let mut answer: Value = serde_json::from_str(&text).map_err(|wrong| format!("{wrong}: {text}"))?;
        let value = answer["value"].take();
        match value["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", value["message"].as_str().unwrap_or(""))),
            None => Ok(value),
        }
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // The browser closes in order, and then what drives it.
        let _ = self.ask("DELETE", "", &Value::Null);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn unbase64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut have) = (0_u32, 0);
    for sextet in text.bytes().filter_map(value) {
        bits = bits << 6 | u32::from(sextet);
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have & 0xff) as u8);
        }
    }
    bytes
}

#[test]
fn pictures_are_decoded() {
    assert_eq!(unbase64("UE5HIQ=="), b"PNG!");
    assert_eq!(unbase64("/+8="), [0xff, 0xef]);
}

#[test]
fn versions_are_read() {
    assert_eq!(major_of("Chromium 142.0.7444.59 built on Debian GNU/Linux 12 (bookworm)"), Some(142));
    assert_eq!(major_of("ChromeDriver 141.0.1 (a21ce95-refs/branch-heads/8078@{#1704})"), Some(141));
    assert_eq!(major_of("no such thing."), None);
}
