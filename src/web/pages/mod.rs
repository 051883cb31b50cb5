//! The sources of the pages, and their assembly: each page becomes one text of HTML at the start.
//!
//! The sources are modules that a browser can also load one by one, so that tests need no server. The order of
//! the lists is that of their imports: a module stands behind those that it imports from. All modules of a page
//! become one script. So a name at the top of a module exists once in a page, every `import` is a line of its
//! own, and `export` stands before a declaration. The tests below check that.

use std::io::{self, Write as _};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

/// A source file: its path below this folder, and its text.
type Source = (&'static str, &'static str);

macro_rules! source {
    ($path:literal) => {
        ($path, include_str!($path))
    };
}

/// The sources of a page.
#[derive(Debug)]
pub struct Sources {
    /// The frame, with a line for the style and one for the script.
    html: Source,
    styles: &'static [Source],
    /// Modules, in the order of their imports.
    scripts: &'static [Source],
}

/// The chat page.
pub const CHAT: Sources = Sources {
    html: source!("chat/index.html"),
    styles: &[
        source!("common/base.css"),
        source!("chat/style/layout.css"),
        source!("chat/style/log.css"),
        source!("chat/style/room.css"),
        source!("chat/style/home.css"),
    ],
    scripts: &[
        source!("common/settings.js"),
        source!("common/texts.js"),
        source!("chat/stream/datagram.js"),
        source!("chat/stream/body.js"),
        source!("chat/stream/round_trip.js"),
        source!("chat/stream/keep_alive.js"),
        source!("chat/stream/gaps.js"),
        source!("chat/stream/reassembly.js"),
        source!("chat/stream/sequencer.js"),
        source!("chat/stream/receiver.js"),
        source!("chat/stream/open_part.js"),
        source!("chat/stream/sender.js"),
        source!("chat/session/request_error.js"),
        source!("chat/session/requests.js"),
        source!("chat/session/deadline.js"),
        source!("chat/session/message_path.js"),
        source!("chat/session/websocket_path.js"),
        source!("chat/session/units.js"),
        source!("chat/session/webtransport_path.js"),
        source!("chat/session/dialer.js"),
        source!("chat/session/outgoing.js"),
        source!("chat/session/recovery.js"),
        source!("chat/session/comeback.js"),
        source!("chat/session/driver.js"),
        source!("chat/session/entries.js"),
        source!("chat/session/figures.js"),
        source!("chat/session/membership.js"),
        source!("chat/session/server.js"),
        source!("chat/text/clock.js"),
        source!("chat/text/fold.js"),
        source!("chat/text/links.js"),
        source!("chat/text/mentions.js"),
        source!("chat/text/pieces.js"),
        source!("chat/text/completion.js"),
        source!("chat/text/input_history.js"),
        source!("chat/text/member_list.js"),
        source!("chat/text/roster.js"),
        source!("chat/text/slash.js"),
        source!("chat/qr/correction.js"),
        source!("chat/qr/codewords.js"),
        source!("chat/qr/masks.js"),
        source!("chat/qr/patterns.js"),
        source!("chat/qr/qr_code.js"),
        source!("chat/texts/english.js"),
        source!("chat/texts/japanese.js"),
        source!("chat/texts/language.js"),
        source!("chat/ui/elements.js"),
        source!("chat/ui/announcer.js"),
        source!("chat/ui/attention.js"),
        source!("chat/ui/lines.js"),
        source!("chat/ui/log_view.js"),
        source!("chat/ui/pending_view.js"),
        source!("chat/ui/member_view.js"),
        source!("chat/ui/member_panel.js"),
        source!("chat/ui/suggestions.js"),
        source!("chat/ui/composer.js"),
        source!("chat/ui/status_line.js"),
        source!("chat/ui/request_texts.js"),
        source!("chat/ui/banner.js"),
        source!("chat/ui/room_view.js"),
        source!("chat/ui/rooms.js"),
        source!("chat/ui/home.js"),
        source!("chat/ui/enter_dialog.js"),
        source!("chat/ui/share_dialog.js"),
        source!("chat/ui/settings_dialog.js"),
        source!("chat/ui/shortcuts.js"),
        source!("chat/main.js"),
    ],
};

/// The picture of the loop.
pub const LOOP: Sources = Sources {
    html: source!("loop/index.html"),
    styles: &[source!("common/base.css"), source!("loop/loop.css")],
    scripts: &[
        source!("common/settings.js"),
        source!("loop/elements.js"),
        source!("loop/steps.js"),
        source!("loop/numbers.js"),
        source!("loop/picture.js"),
        source!("loop/strips.js"),
        source!("loop/group.js"),
        source!("loop/reasons.js"),
        source!("loop/groups.js"),
        source!("loop/experiments.js"),
        source!("loop/feed.js"),
        source!("loop/main.js"),
    ],
};

/// The line of a frame that the style replaces.
const STYLE: &str = "<!-- style -->";

/// The line of a frame that the script replaces.
const SCRIPT: &str = "<!-- script -->";

/// A page, ready to be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The text of HTML.
    pub html: Vec<u8>,
    /// The text, compressed with gzip (RFC 1952).
    pub gzip: Vec<u8>,
    /// The tag of this version (RFC 9110, section 8.8.3). It is weak, because it stands for both forms.
    pub etag: String,
    /// The source expression of the style in a Content-Security-Policy: its SHA-256.
    pub style_hash: String,
    /// The source expression of the script.
    pub script_hash: String,
}

impl Page {
    /// Assembles a page from its sources.
    ///
    /// # Errors
    /// If the compression fails.
    pub fn assemble(sources: &Sources) -> io::Result<Self> {
        let style: String = sources.styles.iter().map(|(_, text)| compact(text)).collect();
        let script: String = sources.scripts.iter().map(|(_, text)| inline(text)).collect();
        let html = compact(sources.html.1)
            .replacen(STYLE, &format!("<style>{style}</style>"), 1)
            .replacen(SCRIPT, &format!("<script type=\"module\">{script}</script>"), 1)
            .into_bytes();
        Ok(Self {
            gzip: compress(&html)?,
            etag: format!("W/\"{}\"", sha256(&html)),
            style_hash: format!("'sha256-{}'", sha256(style.as_bytes())),
            script_hash: format!("'sha256-{}'", sha256(script.as_bytes())),
            html,
        })
    }
}

/// Returns a module as a part of one script: without imports, and nothing is exported.
fn inline(module: &str) -> String {
    let lines = compact(module);
    lines.lines().filter(|line| !is_import(line)).fold(String::new(), |mut text, line| {
        text.push_str(line.strip_prefix("export ").unwrap_or(line));
        text.push('\n');
        text
    })
}

/// Returns a source without indentation, empty lines, and comments that begin a line: they are a quarter
/// of a compressed page. No text in the sources goes over several lines, so none loses anything.
fn compact(source: &str) -> String {
    let mut is_comment = false;
    let mut text = String::with_capacity(source.len());
    for line in source.lines().map(str::trim) {
        is_comment |= line.starts_with("/*");
        if !is_comment && !line.is_empty() && !line.starts_with("//") {
            text.push_str(line);
            text.push('\n');
        }
        is_comment &= !line.ends_with("*/");
    }
    text
}

fn is_import(line: &str) -> bool {
    line.starts_with("import ")
}

fn sha256(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(digest(&SHA256, bytes))
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::io::Read as _;
    use std::path::Path;

    use flate2::read::GzDecoder;

    use super::*;

    const PAGES: [&Sources; 2] = [&CHAT, &LOOP];

    fn text(page: &Page) -> &str {
        std::str::from_utf8(&page.html).expect("UTF-8")
    }

    /// Returns the text between two marks.
    fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
        text.split_once(begin).and_then(|(_, rest)| rest.split_once(end)).expect("both marks").0
    }

    /// Returns the name that a declaration at the top of a module introduces.
    fn declared(line: &str) -> Option<&str> {
        let line = line.strip_prefix("export ").unwrap_or(line);
        let line = line.strip_prefix("async ").unwrap_or(line);
        let (kind, rest) = line.split_once(' ')?;
        let is_declaration =
            ["const", "let", "var", "function", "function*", "class"].contains(&kind);
        is_declaration.then(|| rest.split([' ', '(', '=', ';']).next())?
    }

    /// Returns the names of an import and the path of its module from this folder.
    fn import(line: &str, importer: &str) -> (Vec<String>, String) {
        let names =
            between(line, "import {", "} from \"").split(',').map(|name| name.trim().into());
        let relative = between(line, "} from \"", "\";");
        let mut folders: Vec<&str> = importer.split('/').collect();
        folders.pop();
        for part in relative.split('/') {
            match part {
                "." => {}
                ".." => assert!(folders.pop().is_some(), "{importer}: {line}"),
                part => folders.push(part),
            }
        }
        (names.collect(), folders.join("/"))
    }

    #[test]
    fn h2_page_is_one_file() {
        for sources in PAGES {
            let page = Page::assemble(sources).expect("a page");
            let html = text(&page);
            assert!(!html.contains(STYLE) && !html.contains(SCRIPT), "both lines are replaced");
            assert_eq!((html.matches("</style").count(), html.matches("</script").count()), (1, 1));
            let style = between(html, "<style>", "</style>");
            assert_eq!(page.style_hash, format!("'sha256-{}'", sha256(style.as_bytes())));
            let script = between(html, "<script type=\"module\">", "</script>");
            assert_eq!(page.script_hash, format!("'sha256-{}'", sha256(script.as_bytes())));
            assert!(!script.lines().any(|line| is_import(line) || line.starts_with("export")));
            let mut plain = Vec::new();
            GzDecoder::new(&page.gzip[..]).read_to_end(&mut plain).expect("gzip");
            assert!(plain == page.html && page.gzip.len() < page.html.len());
        }
    }

    /// Returns the name of each attribute in a text of HTML.
    fn attributes(html: &str) -> impl Iterator<Item = &str> {
        html.split('=').filter_map(|before| before.split([' ', '\n']).next_back())
    }

    #[test]
    fn h2_page_loads_nothing() {
        for Sources { html: (path, frame), styles, scripts } in PAGES {
            let is_inline = |name: &str| ["style", "src"].contains(&name) || name.starts_with("on");
            assert_eq!(attributes(frame).find(|name| is_inline(name)), None, "{path}");
            for (path, text) in styles.iter().chain(*scripts) {
                assert!(!text.contains("@import") && !text.contains("<!--"), "{path}");
            }
            assert!(!frame.contains("<script") && !frame.contains("<style"), "{path}");
        }
    }

    #[test]
    fn h2_every_source_is_in_a_page() {
        let all =
            PAGES.into_iter().flat_map(|sources| sources.styles.iter().chain(sources.scripts));
        let listed: BTreeSet<&str> = all.map(|(path, _)| *path).collect();
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/pages");
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.strip_prefix(&top).expect("below").to_str().expect("UTF-8");
                let is_source = name.ends_with(".css") || name.ends_with(".js");
                assert!(!is_source || listed.contains(name), "{name} is in no page");
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
    }

    #[test]
    fn h2_etag_is_of_the_content() {
        let [chat, picture] = PAGES.map(|sources| Page::assemble(sources).expect("a page"));
        assert_ne!(chat.etag, picture.etag);
        assert_eq!(Page::assemble(&CHAT).expect("a page"), chat);
    }

    #[test]
    fn h2_modules_fit_one_script() {
        for sources in PAGES {
            let mut exports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            let mut names = BTreeMap::new();
            for (path, text) in sources.scripts {
                for line in text.lines().filter(|line| is_import(line)) {
                    let (wanted, from) = import(line, path);
                    let known = exports.get(from.as_str());
                    let known = known.unwrap_or_else(|| panic!("{path} stands before {from}"));
                    for name in wanted {
                        assert!(known.contains(name.as_str()), "{path}: {from} has no {name}");
                    }
                }
                let mut exported = BTreeSet::new();
                for line in text.lines() {
                    let Some(name) = declared(line) else {
                        assert!(!line.starts_with("export"), "{path}: {line}");
                        continue;
                    };
                    let other = names.insert(name, *path);
                    assert!(other.is_none(), "{name} is in {path} and {other:?}");
                    if line.starts_with("export ") {
                        exported.insert(name);
                    }
                }
                exports.insert(*path, exported);
            }
        }
    }
}
