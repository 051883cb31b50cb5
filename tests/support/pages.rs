//! The project's pages in Markdown, for the tests that hold them to the code.

use std::fs;
use std::path::{Path, PathBuf};

/// The README and its companions, which stand beside the code that they describe.
const PATHS: &[&str] = &[
    "README.md",
    "src/bin/reactor-chat-client/MANUAL.md",
    "src/config/OPERATING.md",
    "src/config/VPS.md",
    "src/connection/SOCKETS.md",
    "src/protocol/PROTOCOL.md",
    "benches/README.md",
    "tests/README.md",
    ".github/CONTRIBUTING.md",
    ".github/SECURITY.md",
    ".github/CHANGELOG.md",
];

/// A page, by its path from the top.
pub struct Page {
    pub path: String,
    text: String,
}

/// A fenced block: the words on its fence, and its lines.
pub struct Block<'a> {
    pub kind: &'a str,
    pub body: &'a str,
}

/// Returns every page.
pub fn pages() -> Vec<Page> {
    PATHS.iter().map(|path| page(path)).collect()
}

/// Returns the fenced block that begins with these words on the fence or in its first line.
pub fn block(beginning: &str) -> String {
    let pages = pages();
    let blocks: Vec<_> = pages.iter().flat_map(Page::blocks).collect();
    let found = blocks
        .iter()
        .find(|block| block.kind == beginning || block.body.starts_with(beginning))
        .unwrap_or_else(|| panic!("no block {beginning:?} in any page"));
    found.body.into()
}

pub fn page(path: &str) -> Page {
    let text = fs::read_to_string(top().join(path));
    let text = text.unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(text.split("```").count() % 2 == 1, "{path}: a fence without its end");
    Page { path: path.into(), text }
}

/// Returns the folder of Cargo.toml.
pub fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let fenced = self.text.split("```").skip(1).step_by(2);
        let parts = fenced.map(|text| text.split_once('\n').expect("a body"));
        parts.map(|(kind, body)| Block { kind, body }).collect()
    }

    /// Returns the words between backticks, outside fenced blocks.
    pub fn inline_code(&self) -> Vec<String> {
        let prose = self.prose();
        assert!(prose.split('`').count() % 2 == 1, "{}: a backtick without its pair", self.path);
        prose.split('`').skip(1).step_by(2).map(String::from).collect()
    }

    /// Returns the targets of the links: a path from this page, then `#` and a heading.
    pub fn links(&self) -> Vec<String> {
        let targets = self.prose();
        let targets = targets.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        targets.filter(|target| !target.starts_with("https://")).map(String::from).collect()
    }

    /// Returns the path that a link of this page leads to.
    pub fn target(&self, link: &str) -> PathBuf {
        top().join(&self.path).parent().expect("a folder").join(link)
    }

    /// Returns the headings as links name them: `#the-wire` for "The wire".
    pub fn anchors(&self) -> Vec<String> {
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// Returns the rows below the head of a table.
    pub fn table(&self, head: &str) -> Vec<&str> {
        let (_, table) = self.text.split_once(head).unwrap_or_else(|| panic!("no table {head}"));
        let rows = table.lines().skip_while(|line| !line.starts_with("| ---")).skip(1);
        rows.take_while(|line| line.starts_with('|')).collect()
    }

    /// Returns the text outside fenced blocks.
    pub fn prose(&self) -> String {
        self.text.split("```").step_by(2).collect()
    }
}

fn anchor(heading: &str) -> String {
    let words = heading.to_lowercase().replace(' ', "-");
    words.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}
