//! Quotes words of commands that the user may copy into a shell.

/// Returns the word, quoted if a shell would not read it as this one word.
pub(crate) fn quoted(word: &str) -> String {
    let is_harmless = |c: char| c.is_alphanumeric() || "_-./:@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_harmless) {
        true => word.into(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn shell_reads_back_quoted_words() {
        let words = [
            "r1",
            "",
            "a b",
            "it's",
            "$HOME",
            "`id`",
            "\"",
            "*",
            "~",
            "a;b",
            "a&b",
            "日本",
            "\\",
            "#x",
            "!x",
            "a=b",
            "-b",
            "fe80::1%eth0",
            "'",
            "(x)",
            "a\tb",
        ];
        for word in words {
            let line = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &line]).output().expect("sh(1)");
            assert_eq!(String::from_utf8_lossy(&output.stdout), *word);
        }
        assert_eq!(["r1", "部屋", "a.example"].map(quoted), ["r1", "部屋", "a.example"]);
    }
}
