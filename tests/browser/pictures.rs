//! Takes pictures of the pages in every state, for people to look at:
//! `cargo test --test browser -- --ignored pictures`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;

use crate::person::*;
use crate::support::browser::*;
use crate::support::*;

/// Folder of the pictures. Without it, they are in the folder for temporary files.
const FOLDER: &str = "REACTOR_CHAT_PICTURES";

/// A phone, a tablet, a desktop.
const WIDTHS: [u32; 3] = [360, 768, 1280];

/// Messages in several scripts, by people whose names are short, long, and written from right to left.
const TALK: &[(&str, &str)] = &[
    ("bob", "Good morning! Did anybody look at the release notes? https://example.org/notes?v=2"),
    ("山田太郎", "おはようございます。今朝の会議は十時からです。"),
    ("ليلى", "صباح الخير، هل بدأ الاجتماع؟"),
    ("a-person-with-a-name-that-is-much-longer-than-the-names-of-other-people", "Short text."),
    ("bob", "🎉👩‍👩‍👧‍👦 🙂"),
    ("김민준", "안녕하세요"),
    ("דוד", "שלום לכולם, ann"),
    (
        "Zoë",
        "ann: could you please check the numbers in the report? They look too small to me, and the \
        picture on the third page is missing. I would like to send it before noon.",
    ),
    (
        "bob",
        "AWordThatIsTooLongForItsLineAndHasNoPlaceWhereItMayBeBrokenSoThatThePageMustBreakItSomewhereAnyway",
    ),
];

/// Height of a page, as on a laptop.
const HEIGHT: u32 = 760;

struct Album {
    folder: PathBuf,
}

impl Album {
    fn new() -> Self {
        let default = env::temp_dir().join("reactor-chat-pictures");
        let folder = env::var_os(FOLDER).map_or(default, PathBuf::from);
        fs::create_dir_all(&folder).expect("a folder");
        Self { folder }
    }

    /// Takes pictures of a state, of each size, light and dark.
    fn take(&self, page: &Page, state: &str) {
        for width in WIDTHS {
            for scheme in ["light", "dark"] {
                choose_look(page, scheme, width);
                self.store(page, &format!("{state}-{width}-{scheme}"));
            }
        }
    }

    fn store(&self, page: &Page, name: &str) {
        fs::write(self.folder.join(format!("{name}.png")), page.picture()).expect("a file");
    }
}

/// Shows a page in the colours of a scheme and with a width, and waits until it is drawn.
pub fn choose_look(page: &Page, scheme: &str, width: u32) {
    page.resize(width, HEIGHT);
    let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    page.command("Emulation.setEmulatedMedia", &features);
    // The page draws within two frames.
    page.run(
        "return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))",
    );
}

/// Shows the whole page instead of a window's part of it.
fn take_long(album: &Album, page: &Page, state: &str) {
    for width in WIDTHS {
        for scheme in ["light", "dark"] {
            choose_look(page, scheme, width);
            let height = page.run("return document.documentElement.scrollHeight");
            page.resize(
                width,
                height.as_u64().and_then(|height| height.try_into().ok()).expect("a height"),
            );
            album.store(page, &format!("{state}-{width}-{scheme}"));
        }
    }
}

/// People in the lobby, with their names.
type People = Vec<(&'static str, Member)>;

/// Says `rounds` times what people say. Those who are new join.
fn talk(server: &Server, people: &mut People, rounds: usize) {
    for (number, (name, text)) in TALK.iter().cycle().take(TALK.len() * rounds).enumerate() {
        if !people.iter().any(|(known, _)| known == name) {
            let payload = json!({"username": name}).to_string();
            people.push((name, Member::join(server, "lobby", &payload)));
        }
        let (_, member) = people.iter().find(|(known, _)| known == name).expect("a member");
        match number < TALK.len() {
            true => member.say(text),
            false => member.say(&format!("{text} ({number})")),
        }
    }
}

#[test]
#[ignore = "takes pictures for people to look at"]
fn pictures_of_the_chat() {
    let Some(browser) = Browser::start("pictures of the chat page") else { return };
    // The server goes.
    browser.expect_in_console("");
    let server = Server::start(&["--rate-limit", "0"]);
    let album = Album::new();
    let ann = Person::visit(browser.page(), &server);
    ann.page.wait_for_text("#list-state", "no rooms");
    album.take(&ann.page, "01-no-rooms");
    let hosts = open_rooms(&server);
    ann.page.reload();
    take_home(&album, &ann, &server);
    let mut people = People::new();
    take_talk(&album, &ann, &server, &mut people);
    take_many_lines(&album, &ann, &server, &mut people);
    hosts[0].say("/exit");
    ann.page.wait_for(&format!("{ROOM} .banner[data-state=ended]"));
    album.take(&ann.page, "15-host-left");
    take_lost_server(&album, &ann, server);
}

/// Opens rooms with names of several scripts. The first one needs no password.
fn open_rooms(server: &Server) -> Vec<Member> {
    let lobby = Member::create(server, "lobby", r#"{"username":"eve","history":300}"#);
    let secret = r#"{"username":"eve","password":"secret"}"#;
    let long = "a room with a name that is quite long for a list of rooms";
    let others = ["support", "日本語の部屋", "غرفة", long];
    let others = others.map(|room| Member::create(server, room, secret));
    [lobby].into_iter().chain(others).collect()
}

/// Takes the list of rooms, the dialogs of entering, and an empty room.
fn take_home(album: &Album, ann: &Person, server: &Server) {
    let page = &ann.page;
    page.wait_for("#room-list [data-room=lobby]");
    album.take(page, "02-rooms");
    page.click("#create-room");
    album.take(page, "03-create");
    page.press(&[ESCAPE]);
    page.fill("#own-name", "ann");
    page.click("#room-list [data-room=support]");
    page.type_into("#enter-password", "guess");
    page.click("#enter-submit");
    page.wait_for("#enter-error:not([hidden])");
    album.take(page, "04-wrong-password");
    page.press(&[ESCAPE]);
    server.freeze();
    page.click("#room-list [data-room=lobby]");
    page.wait_for("#home-status:not([hidden])");
    album.take(page, "05-joining");
    server.thaw();
    page.wait_for(COMPOSER);
    album.take(page, "06-empty-room");
}

/// Takes a room where people talk, and its dialogs.
fn take_talk(album: &Album, ann: &Person, server: &Server, people: &mut People) {
    let page = &ann.page;
    talk(server, people, 1);
    let report = "Good morning everybody. The report is done: http://127.0.0.1/report";
    ann.say(report);
    ann.expect("ann", report);
    album.take(page, "07-talk");
    page.type_into(COMPOSER, "/");
    album.take(page, "08-commands");
    page.fill(COMPOSER, "");
    page.click(&format!("{ROOM} .share-room"));
    album.take(page, "09-share");
    page.press(&[ESCAPE]);
    page.click("#open-settings");
    album.take(page, "10-settings");
    page.press(&[ESCAPE]);
}

/// Takes 200 lines, at their end and further up, the members, and a line that waits.
fn take_many_lines(album: &Album, ann: &Person, server: &Server, people: &mut People) {
    let page = &ann.page;
    talk(server, people, 25);
    page.wait_for_text(&format!("{ROOM} .lines"), "(224)");
    album.take(page, "11-many-lines");
    page.run_with("document.querySelector(`${arguments[0]} .log`).scrollTop = 300", &json!([ROOM]));
    page.wait_for(&format!("{ROOM} .to-end:not([hidden])"));
    album.take(page, "12-scrolled");
    page.press_with(ALT, "m");
    album.take(page, "13-members");
    page.press_with(ALT, "m");
    server.freeze();
    ann.say("Are you still there?");
    page.wait_for(&format!("{ROOM} .waiting"));
    album.take(page, "14-waiting");
    server.thaw();
    page.wait_for_absence(&format!("{ROOM} .waiting"));
}

/// Takes a room and the list of rooms without a server.
fn take_lost_server(album: &Album, ann: &Person, server: Server) {
    let page = &ann.page;
    ann.show("Rooms");
    ann.create("second", "ann");
    ann.say("Soon the server is gone.");
    ann.expect("ann", "Soon the server is gone.");
    drop(server);
    page.wait_for(&format!("{ROOM} .banner[data-state=reconnecting]"));
    ann.say("Typed while offline.");
    album.take(page, "16-reconnecting");
    ann.show("Rooms");
    page.wait_for_text("#list-state", "does not answer");
    album.take(page, "17-server-gone");
}

#[test]
#[ignore = "takes pictures for people to look at"]
fn pictures_of_the_loop() {
    let Some(browser) = Browser::start("pictures of the loop") else { return };
    browser.expect_in_console("/events");
    let server = Server::start(&["--rate-limit", "50"]);
    let album = Album::new();
    let page = browser.page();
    page.open(&format!("{}loop", address(&server)));
    page.wait_for_text("#verdict", "Idle");
    take_long(&album, &page, "21-loop-idle");
    let host = Member::create(&server, "lobby", &text("host"));
    let _members: Vec<Member> = (0..30)
        .map(|number| Member::join(&server, "lobby", &text(&format!("member-{number}"))))
        .collect();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                host.say("flood")
            }
        });
        page.wait_for_text("#verdict", "Busy");
        let seconds = "return new Promise(done => setTimeout(done, 15000))";
        page.run(seconds);
        take_long(&album, &page, "22-loop-flood");
        page.press(&[" "]);
        take_long(&album, &page, "23-loop-frozen");
        is_over.store(true, Ordering::Relaxed);
    });
    drop(server);
    page.wait_for("#state[data-state=lost]");
    take_long(&album, &page, "24-loop-lost");
}
