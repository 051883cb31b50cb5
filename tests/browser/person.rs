//! A person at the chat page, who sees the room that is shown.

use serde_json::json;

use crate::support::Server;
use crate::support::browser::*;

/// The room that is shown.
pub const ROOM: &str = "section.room:not([hidden])";

/// The field for messages, when it takes keys.
pub const COMPOSER: &str = "section.room:not([hidden]) textarea:not(:disabled)";

/// Paths of messages, as the line at the bottom has them.
pub const UDP: &str = "webtransport";
pub const TCP: &str = "websocket";

/// Notes each notification in place of showing it.
pub const NOTIFICATIONS: &str = "
    globalThis.notes = [];
    globalThis.Notification = class {
        static permission = 'granted';
        static async requestPermission() { return 'granted'; }
        constructor(title, { body }) { notes.push([title, body]); }
        addEventListener() {}
        close() {}
    };";

pub struct Person<'a> {
    pub page: Page<'a>,
}

impl<'a> Person<'a> {
    /// Opens the chat page of a server.
    pub fn visit(page: Page<'a>, server: &Server) -> Self {
        page.open(&address(server));
        Self { page }
    }

    /// Creates a room that shows newcomers what was said before.
    #[track_caller]
    pub fn create(&self, room: &str, name: &str) {
        self.begin_create(room, name, "");
        self.page.wait_for_text(&format!("{ROOM} .room-name"), room);
        self.page.wait_for(COMPOSER);
    }

    /// Fills in the dialog that creates a room, and sends it.
    #[track_caller]
    pub fn begin_create(&self, room: &str, name: &str, password: &str) {
        self.page.fill("#own-name", name);
        self.page.fill("#find-room", room);
        self.page.click("#create-room");
        self.page.type_into("#enter-password", password);
        self.page.click("#enter-submit");
    }

    /// Joins a room that needs no password.
    #[track_caller]
    pub fn join(&self, room: &str, name: &str) {
        self.page.fill("#own-name", name);
        self.page.fill("#find-room", room);
        self.page.click("#join-room");
        self.page.wait_for_text(&format!("{ROOM} .room-name"), room);
        self.page.wait_for(COMPOSER);
    }

    /// Types a message and sends it.
    #[track_caller]
    pub fn say(&self, text: &str) {
        self.page.type_into(COMPOSER, text);
        self.page.type_into(COMPOSER, ENTER);
    }

    /// Sends messages one after the other, as fast as the page takes them.
    pub fn say_at_once(&self, texts: &[String]) {
        let script = "const [composer, texts] = arguments;
            const field = document.querySelector(composer);
            for (const text of texts) {
                field.value = text;
                field.form.requestSubmit();
            }";
        self.page.run_with(script, &json!([COMPOSER, texts]));
    }

    /// Waits until the room shows a message of `who`.
    #[track_caller]
    pub fn expect(&self, who: &str, text: &str) {
        self.page.wait_with(
            "const [room, who, text] = arguments;
            return [...document.querySelectorAll(`${room} .message:not(.waiting)`)].some(line =>
                line.querySelector('.who bdi').textContent === who
                && line.querySelector('.text').textContent === text)",
            &json!([ROOM, who, text]),
        );
    }

    /// Waits for a notice.
    #[track_caller]
    pub fn expect_notice(&self, text: &str) {
        self.page.wait_for_text(&format!("{ROOM} .notice"), text);
    }

    /// Waits until the messages travel on this path.
    #[track_caller]
    pub fn expect_path(&self, path: &str) {
        self.page.wait_for(&format!("{ROOM} .status-line[data-state=open][data-path={path}]"));
    }

    /// Returns the texts of all messages in the room, in order.
    pub fn messages(&self) -> Vec<String> {
        self.page.texts(&format!("{ROOM} .message:not(.waiting) .text"))
    }

    /// Waits for these members, the host first.
    #[track_caller]
    pub fn expect_members(&self, names: &[&str]) {
        let script = "const [room, names] = arguments;
            const shown = [...document.querySelectorAll(`${room} .member-name bdi`)];
            return JSON.stringify(shown.map(name => name.textContent)) === JSON.stringify(names)";
        self.page.wait_with(script, &json!([ROOM, names]));
    }

    /// Shows another panel: the home panel, or a room by its name.
    #[track_caller]
    pub fn show(&self, tab: &str) {
        let script = "const tab = [...document.querySelectorAll('#tabs [role=tab]')]
                .find(tab => tab.querySelector('.tab-name').textContent === arguments[0]);
            tab?.click();
            return Boolean(tab)";
        self.page.wait_with(script, &json!([tab]));
    }
}

/// Returns the address of a server's chat page.
pub fn address(server: &Server) -> String {
    format!("http://{}/", server.tcp)
}
