//! Tells pasted slashes from typed ones. A paste is data, so a pasted line that begins with `/` is
//! no command.

/// Tracks the origin of the first `/` of the line that is being typed.
#[derive(Default)]
pub(super) struct PastedSlashes {
    /// True while a paste arrives and the line before it is blank.
    is_coming: bool,
    brought_the_slash: bool,
}

impl PastedSlashes {
    /// Notes the beginning of a paste behind this text.
    pub(super) fn begin(&mut self, before: &str) {
        self.is_coming = before.trim().is_empty();
    }

    /// Notes the new text of the line. Blanks before a `/` do not count, because the server ignores
    /// those before `/exit`.
    pub(super) fn note_line(&mut self, line: &str) {
        let has_come = std::mem::take(&mut self.is_coming);
        let has_slash = line.trim_start().starts_with('/');
        self.brought_the_slash = has_slash && (has_come || self.brought_the_slash);
    }

    /// Returns true if the line begins with a pasted `/`.
    pub(super) fn brought_the_slash(&self) -> bool {
        self.brought_the_slash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_d_only_pasted_slash_is_data() {
        let mut pasted = PastedSlashes::default();
        let mut after = |before: Option<&str>, line: &str| {
            if let Some(before) = before {
                pasted.begin(before);
            }
            pasted.note_line(line);
            pasted.brought_the_slash()
        };
        assert!(!after(None, "/kick "));
        assert!(!after(Some("/kick "), "/kick bob"));
        assert!(!after(None, ""));
        assert!(after(Some(""), "/exit"));
        assert!(after(None, "/exit now"));
        assert!(!after(None, ""));
        assert!(!after(None, "/exit"));
        assert!(!after(Some(""), "bob"));
        assert!(!after(None, "/bob"));
        assert!(after(Some(" "), "  /exit"));
    }
}
