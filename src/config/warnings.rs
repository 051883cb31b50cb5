//! Warnings about settings that this project's own client cannot comply with.

use std::time::Duration;

use super::Config;
use crate::protocol::stream::completion::MAX_KEEP_ALIVE;

/// Keep-alive interval of a client with text or named delivery. It ignores the idle timeout.
const KEEP_ALIVE: Duration = Duration::from_secs(MAX_KEEP_ALIVE);

/// Bytes of the longest request of our client, which has the longest name and password, partly escaped.
const LONGEST_REQUEST: usize = 2048;

/// Number of times that our client asks for a password.
const PASSWORD_TRIES: u32 = 3;

impl Config {
    /// Returns a line for each setting that our own client cannot comply with.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = [
            self.short_idle_timeout(),
            self.short_silence(),
            self.small_payload(),
            self.few_password_tries(),
        ];
        warnings.into_iter().flatten().collect()
    }

    /// The client must survive the loss of two datagrams in a row.
    fn short_idle_timeout(&self) -> Option<String> {
        let least = (3 * KEEP_ALIVE).as_secs();
        let given = self.chat.idle_timeout?.as_secs();
        (given < least).then(|| {
            format!(
                "--idle-timeout {given} is below {least}: our client with text or named delivery \
                 sends every {MAX_KEEP_ALIVE} s, so its member may be removed by mistake"
            )
        })
    }

    fn short_silence(&self) -> Option<String> {
        let given = self.chat.replace_silent.filter(|given| *given <= KEEP_ALIVE)?.as_secs();
        Some(format!(
            "--replace-silent {given} is not above {MAX_KEEP_ALIVE}: our client may be silent for \
             {MAX_KEEP_ALIVE} s, and another join from its IP can replace it meanwhile"
        ))
    }

    fn small_payload(&self) -> Option<String> {
        let given = self.connections.max_payload;
        (given < LONGEST_REQUEST).then(|| {
            format!(
                "--max-payload {given} is below {LONGEST_REQUEST}: requests of our client with a long \
                 name or password will be refused"
            )
        })
    }

    /// After a restart of the server, a wrong token counts too.
    fn few_password_tries(&self) -> Option<String> {
        let given = self.chat.wrong_passwords.filter(|given| *given < PASSWORD_TRIES)?;
        Some(format!(
            "--wrong-passwords {given} is below {PASSWORD_TRIES}: our client asks for a password \
             {PASSWORD_TRIES} times, and after a wrong one the right one may be refused for a while"
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::options::{self, Invocation};

    fn warnings(args: &[&str]) -> Vec<String> {
        match options::parse(args.iter().map(|word| word.into())) {
            Ok(Invocation::Serve { config, .. }) => config.warnings(),
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn field_l_warnings_name_their_option() {
        for (option, too_little, enough) in [
            ("--idle-timeout", "59", "60"),
            ("--replace-silent", "20", "21"),
            ("--max-payload", "2047", "2048"),
            ("--wrong-passwords", "2", "3"),
        ] {
            let lines = warnings(&[option, too_little]);
            assert!(lines.len() == 1 && lines[0].starts_with(option), "{lines:?}");
            for fine in [enough, "0"] {
                assert_eq!(warnings(&[option, fine]), Vec::<String>::new(), "{option} {fine}");
            }
        }
        assert_eq!(warnings(&[]), Vec::<String>::new());
        assert_eq!(warnings(&["--idle-timeout", "15", "--replace-silent", "5"]).len(), 2);
    }
}
