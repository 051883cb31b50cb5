//! One page of a browser: the things that a person does there and sees.

use std::thread;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::Browser;

/// Deadline for anything that is expected to happen. Browsers are slow on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Time between two looks at a page.
const PAUSE: Duration = Duration::from_millis(5);

/// The key of an element's id in JSON (WebDriver, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys without a character (WebDriver, section 17.4.2).
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";
pub const SHIFT: &str = "\u{E008}";
pub const CONTROL: &str = "\u{E009}";
pub const ALT: &str = "\u{E00A}";
pub const ESCAPE: &str = "\u{E00C}";
pub const UP: &str = "\u{E013}";
pub const DOWN: &str = "\u{E015}";

/// A tab of a browser.
pub struct Page<'a> {
    browser: &'a Browser,
    handle: String,
}

impl<'a> Page<'a> {
    pub(super) fn new(browser: &'a Browser, handle: String) -> Self {
        Self { browser, handle }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.browser.switch_to(&self.handle);
        self.browser.call(method, path, body)
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        self.browser.switch_to(&self.handle);
        self.browser.try_call(method, path, body)
    }

    /// Loads a page and waits until its scripts have run.
    pub fn open(&self, url: &str) {
        self.call("POST", "/url", &json!({"url": url}));
    }

    pub fn reload(&self) {
        self.call("POST", "/refresh", &json!({}));
    }

    pub fn close(self) {
        self.call("DELETE", "/window", &json!({}));
    }

    pub fn title(&self) -> String {
        self.call("GET", "/title", &json!({})).as_str().expect("a title").into()
    }

    /// Runs the body of a function in the page, and returns its result. A promise is waited for.
    pub fn run(&self, script: &str) -> Value {
        self.run_with(script, &json!([]))
    }

    /// Like [`Self::run`], with these `arguments`.
    pub fn run_with(&self, script: &str, arguments: &Value) -> Value {
        self.call("POST", "/execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// Waits until the body of a function returns something that is true, and returns it.
    #[track_caller]
    pub fn wait(&self, script: &str) -> Value {
        self.wait_with(script, &json!([]))
    }

    /// Like [`Self::wait`], with these `arguments`.
    #[track_caller]
    pub fn wait_with(&self, script: &str, arguments: &Value) -> Value {
        let is_true = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        self.retry(|| {
            let body = json!({"script": script, "args": arguments});
            let value = self.try_call("POST", "/execute/sync", &body)?;
            is_true(&value).then_some(value).ok_or_else(|| format!("{script} {arguments}"))
        })
    }

    /// Waits for an element.
    #[track_caller]
    pub fn wait_for(&self, selector: &str) {
        self.wait_with("return Boolean(document.querySelector(arguments[0]))", &json!([selector]));
    }

    /// Waits until an element that the selector names contains this text.
    #[track_caller]
    pub fn wait_for_text(&self, selector: &str, text: &str) {
        self.wait_with(
            "return [...document.querySelectorAll(arguments[0])]
                .some(element => element.textContent.includes(arguments[1]))",
            &json!([selector, text]),
        );
    }

    /// Waits until no element that the selector names is left.
    #[track_caller]
    pub fn wait_for_absence(&self, selector: &str) {
        self.wait_with("return !document.querySelector(arguments[0])", &json!([selector]));
    }

    /// Waits until a title has this property.
    #[track_caller]
    pub fn wait_for_title(&self, is_expected: impl Fn(&str) -> bool) {
        self.retry(|| {
            let title = self.title();
            is_expected(&title).then_some(()).ok_or_else(|| format!("title {title:?}"))
        });
    }

    /// Returns the texts of all elements that the selector names.
    pub fn texts(&self, selector: &str) -> Vec<String> {
        let script = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)";
        serde_json::from_value(self.run_with(script, &json!([selector]))).expect("texts")
    }

    /// Clicks an element when it can be clicked.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.act(selector, "click", &json!({}));
    }

    /// Types at the end of an input field when it takes keys.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        self.act(selector, "value", &json!({"text": text}));
    }

    /// Replaces the text of an input field.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        self.act(selector, "clear", &json!({}));
        self.type_into(selector, text);
    }

    #[track_caller]
    fn act(&self, selector: &str, action: &str, body: &Value) {
        // Between both calls the page may draw the element anew.
        self.retry(|| {
            let by = json!({"using": "css selector", "value": selector});
            let found = self.try_call("POST", "/element", &by)?;
            let id = found[ELEMENT].as_str().expect("an element");
            self.try_call("POST", &format!("/element/{id}/{action}"), body)
        });
    }

    /// Presses and releases keys one after the other, wherever the focus is.
    pub fn press(&self, keys: &[&str]) {
        let strokes = keys.iter().flat_map(|key| [stroke("keyDown", key), stroke("keyUp", key)]);
        self.perform(&strokes.collect::<Vec<_>>());
    }

    /// Presses a key while another one is held.
    pub fn press_with(&self, held: &str, key: &str) {
        let strokes = [("keyDown", held), ("keyDown", key), ("keyUp", key), ("keyUp", held)];
        self.perform(&strokes.map(|(kind, key)| stroke(kind, key)));
    }

    fn perform(&self, strokes: &[Value]) {
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.call("POST", "/actions", &json!({"actions": [keyboard]}));
    }

    /// Inserts text at the focus, as an input method does, which knows more characters than a keyboard.
    pub fn insert(&self, text: &str) {
        self.command("Input.insertText", &json!({"text": text}));
    }

    /// Sends a command of Chromium's own protocol.
    pub fn command(&self, name: &str, parameters: &Value) -> Value {
        self.call("POST", "/goog/cdp/execute", &json!({"cmd": name, "params": parameters}))
    }

    /// Runs a script in every later document of this page, before the scripts of the document.
    pub fn prepare(&self, script: &str) {
        self.command("Page.addScriptToEvaluateOnNewDocument", &json!({"source": script}));
    }

    /// Sets the size of the page's area, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Makes the page hidden, as that of another tab is.
    pub fn hide(&self) {
        self.call("POST", "/window/minimize", &json!({}));
    }

    /// Makes a hidden page visible again, and gives it the focus.
    pub fn show(&self) {
        self.call("POST", "/window/rect", &json!({"width": 1000, "height": 700}));
        self.command("Page.bringToFront", &json!({}));
    }

    /// Returns a picture of the page's area, as PNG.
    pub fn picture(&self) -> Vec<u8> {
        let picture = self.call("GET", "/screenshot", &json!({}));
        BASE64_STANDARD.decode(picture.as_str().expect("a picture")).expect("base64")
    }

    #[track_caller]
    fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T, String>) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            let missing = match attempt() {
                Ok(value) => return value,
                Err(missing) => missing,
            };
            if Instant::now() > end {
                let shown = self.run("return document.body ? document.body.innerText : ''");
                panic!("waited in vain for {missing}; the page shows {shown}");
            }
            thread::sleep(PAUSE);
        }
    }
}

fn stroke(kind: &str, key: &str) -> Value {
    json!({"type": kind, "value": key})
}
