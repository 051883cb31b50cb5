//! Draws the prompt: our own lines that the server has not accepted yet, and the line that is being
//! typed.
//!
//! Programs and terminals disagree about the width of some characters, above all emoji sequences. A
//! program that expects two rows where the terminal used one would erase the room's last line. So
//! nothing here depends on the terminal's count: we break every row, automatic wrapping is off, and
//! the cursor is placed by writing the text before it again.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::sanitize::visible;
use crate::tty::{TerminalSize, most_columns};

/// Automatic wrapping at the end of a row (DECAWM).
pub(super) const WRAP_ON: &str = "\x1b[?7h";
const WRAP_OFF: &str = "\x1b[?7l";

/// The content to draw.
pub(super) struct PromptView<'a> {
    /// Rows above the prompt, which fit the width.
    pub(super) above: &'a [String],
    pub(super) prompt: &'a str,
    pub(super) text: &'a str,
    /// The cursor as a byte offset in the text.
    pub(super) cursor: usize,
}

/// The prompt on the screen.
#[derive(Default)]
pub(super) struct Prompt {
    /// The cursor's row, counted from the first row of the prompt.
    row: usize,
}

impl Prompt {
    /// Erases the prompt and moves the cursor to its first row.
    pub(super) fn erase(&mut self, out: &mut String) {
        up(self.row, out);
        out.push_str("\r\x1b[J");
        self.row = 0;
    }

    /// Notes that the prompt is not on the screen any more: the screen was cleared, or another
    /// program had the terminal.
    pub(super) fn forget(&mut self) {
        self.row = 0;
    }

    /// Draws the prompt from the beginning of an empty row.
    pub(super) fn draw(&mut self, view: &PromptView<'_>, size: TerminalSize, out: &mut String) {
        let typed = TypedRows::lay_out(view, size.columns);
        let rows = typed.rows.len().min(size.rows);
        let first = (typed.rows.len() - rows).min(typed.cursor_row);
        let above = view.above.len().min(size.rows - rows);
        out.push_str(WRAP_OFF);
        for row in &view.above[view.above.len() - above..] {
            out.push_str(row);
            out.push_str("\r\n");
        }
        out.push_str(&typed.rows[first..first + rows].join("\r\n"));
        let row = typed.cursor_row - first;
        up(rows - 1 - row, out);
        out.push('\r');
        out.push_str(&typed.rows[typed.cursor_row][..typed.cursor]);
        out.push_str(WRAP_ON);
        self.row = above + row;
    }
}

fn up(rows: usize, out: &mut String) {
    if rows > 0 {
        out.push_str(&format!("\x1b[{rows}A"));
    }
}

/// The prompt and the text in rows.
struct TypedRows {
    rows: Vec<String>,
    cursor_row: usize,
    /// The cursor as a byte offset in that row.
    cursor: usize,
}

impl TypedRows {
    fn lay_out(view: &PromptView<'_>, width: usize) -> Self {
        let mut typed = Self { rows: vec![view.prompt.into()], cursor_row: 0, cursor: 0 };
        let mut column = most_columns(view.prompt);
        for (at, cluster) in view.text.grapheme_indices(true) {
            let shown = shown(cluster);
            let columns = most_columns(&shown);
            if column > 0 && column + columns > width {
                typed.rows.push(String::new());
                column = 0;
            }
            if at == view.cursor {
                typed.mark_cursor();
            }
            if cluster.ends_with('\n') {
                typed.rows.push(String::new());
                column = 0;
            } else {
                typed.last_row().push_str(&shown);
                column += columns;
            }
        }
        if view.cursor >= view.text.len() {
            if column >= width {
                typed.rows.push(String::new());
            }
            typed.mark_cursor();
        }
        typed
    }

    fn last_row(&mut self) -> &mut String {
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    fn mark_cursor(&mut self) {
        self.cursor_row = self.rows.len() - 1;
        self.cursor = self.last_row().len();
    }
}

/// Returns a cluster as it is drawn, with control characters made visible.
fn shown(cluster: &str) -> String {
    match cluster.ends_with('\n') {
        true => String::new(),
        false => visible(cluster),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, cursor: usize, width: usize) -> (Vec<String>, usize, usize) {
        let typed =
            TypedRows::lay_out(&PromptView { above: &[], prompt: "> ", text, cursor }, width);
        (typed.rows, typed.cursor_row, typed.cursor)
    }

    fn owned(rows: &[&str]) -> Vec<String> {
        rows.iter().map(|row| (*row).into()).collect()
    }

    #[test]
    fn rows_break_at_width_and_line_end() {
        assert_eq!(rows("", 0, 5), (owned(&["> "]), 0, 2));
        assert_eq!(rows("abcd", 4, 5), (owned(&["> abc", "d"]), 1, 1));
        assert_eq!(rows("abc", 3, 5), (owned(&["> abc", ""]), 1, 0));
        assert_eq!(rows("abcd", 3, 5), (owned(&["> abc", "d"]), 1, 0));
        assert_eq!(rows("a\n\nb", 2, 5), (owned(&["> a", "", "b"]), 1, 0));
        assert_eq!(rows("ab日", 2, 5), (owned(&["> ab", "日"]), 1, 0));
    }

    #[test]
    fn field_m_emoji_get_their_widest_form() {
        // A terminal that does not join the sequence uses two columns for each person.
        let family = "👨\u{200d}👩\u{200d}👧";
        assert_eq!(rows(family, 0, 8), (owned(&["> 👨\u{200d}👩\u{200d}👧"]), 0, 2));
        assert_eq!(rows(family, 0, 7).0, owned(&["> ", family]));
        // A heart takes one column on some terminals and two on others.
        assert_eq!(rows("❤\u{fe0f}", 0, 3).0, owned(&["> ", "❤\u{fe0f}"]));
    }

    #[test]
    fn field_f_zero_width_terminates() {
        for width in 0..3 {
            let (rows, row, _) = rows("日a\u{301}\n\u{301}\x1b", 3, width);
            assert!(rows.len() < 8 && row < rows.len(), "{rows:?}");
        }
    }

    #[test]
    fn field_f_tall_text_shows_cursor_row() {
        let text = "line\n".repeat(100_000);
        let size = TerminalSize { columns: 10, rows: 4 };
        let mut drawing = Prompt::default();
        for (cursor, row) in [(0, 0), (text.len(), 3)] {
            let view = PromptView { above: &["above".into()], prompt: "> ", text: &text, cursor };
            let mut out = String::new();
            drawing.draw(&view, size, &mut out);
            assert_eq!((drawing.row, out.matches("\r\n").count()), (row, 3));
            assert!(!out.contains("above"));
        }
    }
}
