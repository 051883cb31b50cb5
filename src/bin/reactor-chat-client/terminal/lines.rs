//! The lines of the conversation, laid out for the width of the window. They are kept unwrapped
//! until they are drawn, because a window that changes its width needs them again.

use std::collections::VecDeque;

use jiff::Zoned;
use jiff::civil::Date;

use super::style::Style;
use super::wrap::wrap;
use crate::tty::{TerminalSize, columns};

/// The least width of a terminal on which names have a column of their own.
const WIDE: usize = 60;
/// The width of that column.
const NAME_COLUMNS: usize = 10;
/// The least width of the text.
const LEAST_TEXT: usize = 16;

/// The columns of a time.
const TIME_COLUMNS: usize = "HH:MM".len();

/// The most lines that are kept for drawing again: more than any screen has.
const MOST: usize = 500;
/// The most bytes of these lines.
const MOST_BYTES: usize = 1024 * 1024;

/// A line of the conversation.
#[derive(Clone)]
pub(super) struct RoomLine {
    /// `HH:MM`, or empty.
    pub(super) time: String,
    pub(super) label: Label,
    pub(super) text: String,
}

/// The label before the text.
#[derive(Clone)]
pub(super) enum Label {
    /// A message of this member.
    Name(String),
    /// No message of a member: `*` or `--`.
    Mark(&'static str),
    /// The sender is unknown.
    Nothing,
    /// Our own message that the server has not accepted yet.
    Waiting(String),
}

impl RoomLine {
    pub(super) fn size(&self) -> usize {
        let label = if let Label::Name(name) = &self.label { name.len() } else { 0 };
        self.text.len() + label + TIME_COLUMNS
    }

    /// Returns the rows of the line for this width. A URL is one row however long it is: the
    /// terminal wraps it, so that it can be copied in one piece.
    pub(super) fn rows(&self, style: &Style, width: usize) -> Vec<String> {
        let label = self.label(style);
        let time = format!("{:TIME_COLUMNS$}", self.time);
        let column = if width >= WIDE { NAME_COLUMNS.max(label.0) } else { label.0 };
        let before = TIME_COLUMNS + 1 + column + usize::from(column > 0);
        // One column stays free, because terminals differ in what they do after the last one.
        let left = width.saturating_sub(before + 1);
        let first = [&style.dim(&time), &*" ".repeat(1 + column - label.0), &label.1].concat();
        let (indent, left, mut rows, mut start) = match left < LEAST_TEXT {
            true => (2, width.saturating_sub(3).max(1), vec![first], "  ".into()),
            false => (before, left, Vec::new(), first + &" ".repeat(usize::from(column > 0))),
        };
        // Rows that are drawn repeatedly must have a known height.
        let keeps_urls = !matches!(self.label, Label::Waiting(_));
        for part in wrap(&self.text, left, keeps_urls) {
            rows.push(start + &self.dressed(style, part));
            start = " ".repeat(indent);
        }
        rows
    }

    /// Returns the label and its width.
    fn label(&self, style: &Style) -> (usize, String) {
        match &self.label {
            Label::Name(name) => (columns(name) + 1, style.name(name) + ":"),
            Label::Mark(mark) => (columns(mark), style.dim(mark)),
            Label::Nothing => (0, String::new()),
            Label::Waiting(me) => (columns(me) + 1, style.dim(&format!("{me}:"))),
        }
    }

    fn dressed(&self, style: &Style, part: &str) -> String {
        match &self.label {
            Label::Name(name) if style.is_me(name) => part.into(),
            Label::Name(_) => style.mentions(part),
            Label::Mark(_) | Label::Waiting(_) => style.dim(part),
            Label::Nothing => part.into(),
        }
    }
}

/// The day of the last line.
#[derive(Default)]
pub(super) struct Days {
    last: Option<Date>,
}

impl Days {
    /// Returns the date line before the first line of a day.
    pub(super) fn note(&mut self, now: &Zoned) -> Option<RoomLine> {
        let is_new = self.last.replace(now.date()) != Some(now.date());
        let text = now.strftime("%A, %Y-%m-%d").to_string();
        is_new.then(|| RoomLine { time: String::new(), label: Label::Mark("--"), text })
    }
}

/// The last lines that were drawn.
#[derive(Default)]
pub(super) struct Scrollback {
    lines: VecDeque<RoomLine>,
    bytes: usize,
}

impl Scrollback {
    pub(super) fn push(&mut self, line: RoomLine) {
        self.bytes += line.size();
        self.lines.push_back(line);
        while self.lines.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes -= oldest.size();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns the lines that fill a screen of either size, so that visible lines stay visible or
    /// can be scrolled back to.
    pub(super) fn visible_in(
        &self,
        sizes: [TerminalSize; 2],
        style: &Style,
    ) -> impl Iterator<Item = &RoomLine> {
        let mut left = sizes.map(|size| size.rows);
        let mut first = self.lines.len();
        while first > 0 && left.iter().any(|left| *left > 0) {
            first -= 1;
            for (left, size) in left.iter_mut().zip(sizes) {
                *left = left.saturating_sub(self.lines[first].rows(style, size.columns).len());
            }
        }
        self.lines.range(first..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> RoomLine {
        RoomLine { time: "12:34".into(), label: Label::Name("ann".into()), text: text.into() }
    }

    #[test]
    fn text_has_its_own_column() {
        let style = Style::new(false, "bob");
        let rows = |width, text| line(text).rows(&style, width);
        assert_eq!(rows(80, "hi"), ["12:34       ann: hi"]);
        assert_eq!(
            rows(40, "one two three four five six seven"),
            ["12:34 ann: one two three four five six", "           seven"]
        );
        assert_eq!(rows(20, "one two three four"), ["12:34 ann:", "  one two three", "  four"]);
    }

    #[test]
    fn field_m_url_is_never_broken() {
        let style = Style::new(false, "bob");
        let url = "https://example.org/".to_owned() + &"path/".repeat(30);
        let rows = line(&format!("see {url} there")).rows(&style, 40);
        assert_eq!(rows, ["12:34 ann: see", &format!("           {url}"), "           there"]);
    }

    #[test]
    fn field_m_days_begin_with_date() {
        let mut days = Days::default();
        let mut date = |time: &str| {
            let now = time.parse().expect("a time");
            days.note(&now).map(|line| line.text)
        };
        assert_eq!(date("2026-11-27T23:58[UTC]").as_deref(), Some("Friday, 2026-11-27"));
        assert_eq!(date("2026-11-27T23:59[UTC]"), None);
        assert_eq!(date("2026-11-28T00:00[UTC]").as_deref(), Some("Saturday, 2026-11-28"));
        assert_eq!(date("2027-11-28T00:00[UTC]").as_deref(), Some("Sunday, 2027-11-28"));
    }

    #[test]
    fn scrollback_is_bounded() {
        let style = Style::new(false, "bob");
        let mut drawn = Scrollback::default();
        for at in 0..2 * MOST {
            drawn.push(line(&at.to_string()));
        }
        assert_eq!(drawn.lines.len(), MOST);
        let sizes = [(80, 5), (20, 6)].map(|(columns, rows)| TerminalSize { columns, rows });
        assert_eq!(drawn.visible_in(sizes, &style).count(), 5);
        drawn.push(line(&"x".repeat(MOST_BYTES + 1)));
        assert_eq!((drawn.lines.len(), drawn.bytes), (0, 0));
    }
}
