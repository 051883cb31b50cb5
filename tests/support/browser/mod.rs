//! Chromium without a screen, driven through chromedriver.
//!
//! Nothing but an empty profile is shared between a browser and the machine. At its end a browser has
//! shown no error in its console and broken no policy of the page, else the test fails.

mod driver;
mod page;

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::namespace::skip_outside_ci;
use driver::Driver;
pub use page::*;

/// Switches of Chromium: no screen, no sandbox (which root may not have), and nothing that it does for
/// itself.
const SWITCHES: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-breakpad",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
];

/// A browser with one page at first. It is ended, and its profile removed, when it is dropped.
pub struct Browser {
    driver: RefCell<Driver>,
    /// Path of the session, which begins every call.
    session: String,
    /// The page that calls go to.
    current: RefCell<String>,
    profile: Profile,
    /// Parts of messages in the console that the test expects.
    expected: RefCell<Vec<String>>,
}

impl Browser {
    /// Starts a browser. Without one on this machine, prints that `what` is not tested, except in CI, where
    /// the test fails.
    pub fn start(what: &str) -> Option<Self> {
        Self::start_in(what, "en-US")
    }

    /// Starts a browser with one more switch of Chromium.
    pub fn start_with(what: &str, switch: &str) -> Option<Self> {
        Self::or_skip(what, Self::try_start("en-US", &[switch]))
    }

    /// Starts a browser in another language, such as `ja`.
    pub fn start_in(what: &str, language: &str) -> Option<Self> {
        Self::or_skip(what, Self::try_start(language, &[]))
    }

    fn or_skip(what: &str, browser: Result<Self, String>) -> Option<Self> {
        browser.inspect_err(|why| skip_outside_ci(what, why)).ok()
    }

    fn try_start(language: &str, switches: &[&str]) -> Result<Self, String> {
        let profile = Profile::new();
        let driver = Driver::start(&profile.path);
        let mut driver = RefCell::new(driver.map_err(|error| format!("chromedriver: {error}"))?);
        let capabilities = profile.capabilities(language, switches);
        let session = driver.get_mut().call("POST", "/session", &capabilities)?;
        let id = session["sessionId"].as_str().expect("a session");
        let browser = Self {
            driver,
            session: format!("/session/{id}"),
            current: RefCell::default(),
            profile,
            expected: RefCell::default(),
        };
        *browser.current.borrow_mut() = browser.call("GET", "/window", &json!({})).to_string();
        Ok(browser)
    }

    /// Returns the page that is open at first.
    pub fn page(&self) -> Page<'_> {
        Page::new(self, self.current.borrow().clone())
    }

    /// Opens one more page in a tab.
    pub fn open_tab(&self) -> Page<'_> {
        let tab = self.call("POST", "/window/new", &json!({"type": "tab"}));
        Page::new(self, tab["handle"].to_string())
    }

    /// Expects messages in the console that contain this, such as those of a server that has gone.
    pub fn expect_in_console(&self, part: &str) {
        self.expected.borrow_mut().push(part.into());
    }

    /// Calls the driver for the page that is current.
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        self.driver.borrow_mut().call(method, &format!("{}{path}", self.session), body)
    }

    /// Makes a page the current one. It stays as visible as it was.
    fn switch_to(&self, handle: &str) {
        if *self.current.borrow() != handle {
            let name: Value = serde_json::from_str(handle).expect("a handle");
            self.call("POST", "/window", &json!({"handle": name}));
            *self.current.borrow_mut() = handle.into();
        }
    }

    /// Returns the errors and warnings in the console of all pages that the test does not expect. A policy
    /// that is only reported is a warning.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().expect("a list").iter();
        let bad = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        let messages = bad.map(|entry| entry["message"].to_string());
        let expected = self.expected.borrow();
        messages.filter(|message| !expected.iter().any(|part| message.contains(part))).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let is_failing = thread::panicking();
        let complaints = if is_failing { Vec::new() } else { self.complaints() };
        // Chromium ends its children in order, unless it has crashed.
        let _ = self.try_call("DELETE", "", &json!({}));
        assert!(complaints.is_empty(), "in the console: {complaints:#?}");
    }
}

/// The folder of a browser's profile, which is removed when it is dropped.
struct Profile {
    path: PathBuf,
}

impl Profile {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("reactor-chat-browser-{}-{count}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).expect("a new folder");
        Self { path }
    }

    fn capabilities(&self, language: &str, more: &[&str]) -> Value {
        let switches = SWITCHES.iter().chain(more).copied().map(String::from);
        let own = [
            format!("--user-data-dir={}", self.path.display()),
            format!("--lang={language}"),
            "about:blank".into(),
        ];
        let arguments: Vec<String> = switches.chain(own).collect();
        json!({"capabilities": {"alwaysMatch": {
            "acceptInsecureCerts": true,
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                "args": arguments,
                "prefs": {"intl.accept_languages": language},
            },
        }}})
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A test may have failed before there was anything.
        let _ = fs::remove_dir_all(&self.path);
    }
}
