//! Explains the trust in a server: the questions about its key and about cleartext, and the failures
//! of TLS. Every failure ends with the next step.

use std::path::{Path, PathBuf};

use reactor_chat::fingerprint::Fingerprint;

use crate::address::ServerAddress;
use crate::explain::{failed_exchange, refused_by_server};
use crate::failure::Failure;
use crate::quoting::quoted;
use crate::request_error::{PATIENCE, RequestError};
use crate::sanitize::plain;
use crate::tls::{HandshakeError, SILENCE};
use crate::trust::FINGERPRINT_VARIABLE;

/// The line of known_hosts that has a server's key.
pub(crate) struct PinPlace {
    pub(crate) path: PathBuf,
    pub(crate) line: usize,
}

impl PinPlace {
    /// Returns the command that removes the line.
    fn removal(&self) -> String {
        format!("sed -i {}d {}", self.line, quoted(&self.path.to_string_lossy()))
    }
}

/// Asks for a key that nothing is known about.
pub(crate) fn key_question(server: &ServerAddress, key: Fingerprint) -> String {
    let place = plain(&server.place());
    format!(
        "The server at {place} is new here. Its fingerprint:\n  {key}\n\
         The server prints it when it starts. Trust this key from now on? [y/N] "
    )
}

/// Asks for cleartext.
pub(crate) fn clear_question(server: &ServerAddress, error: &HandshakeError) -> String {
    let why = plain(&missing_tls(server, error));
    format!(
        "{}{}.\nWithout it, others on the way can read and change everything, passwords too.\n\
         Go on without encryption? [y/N] ",
        why[..1].to_uppercase(),
        &why[1..]
    )
}

/// Explains that the user has not accepted the key.
pub(crate) fn declined_key(server: &ServerAddress) -> Failure {
    let place = server.place();
    Failure::sentence(&format!(
        "the key of the server at {place} is not accepted; ask its operator for the fingerprint"
    ))
}

/// Explains that the user has not accepted cleartext.
pub(crate) fn declined_clear(server: &ServerAddress) -> Failure {
    let place = server.place();
    Failure::sentence(&format!(
        "nothing was sent to {place} without encryption; ask its operator for TLS"
    ))
}

/// Explains that nobody can be asked for a key.
pub(crate) fn unknown_key(server: &ServerAddress, key: Fingerprint) -> Failure {
    let place = server.place();
    Failure::sentence(&format!(
        "the server at {place} is new here, and only a terminal can ask you whether to trust it; if \
         its fingerprint is {key}, give it with --fingerprint or in {FINGERPRINT_VARIABLE}"
    ))
}

/// Explains that known_hosts has another key.
pub(crate) fn changed_key(server: &ServerAddress, key: Fingerprint, pin: &PinPlace) -> Failure {
    let (server, removal) = (server.place(), pin.removal());
    let (file, line) = (pin.path.display(), pin.line);
    Failure::sentence(&format!(
        "the server at {server} has another key than before: somebody may be reading along, or it \
         has a new one; ask its operator whether the fingerprint is {key}, and if it is, remove \
         line {line} of {file} with: {removal}"
    ))
}

/// Explains that the key has changed between two connections of one run.
pub(crate) fn key_changed_meanwhile(server: &ServerAddress, key: Fingerprint) -> Failure {
    let place = server.place();
    Failure::sentence(&format!(
        "the server at {place} has another key than a moment ago, {key}: somebody may be reading \
         along; ask its operator, and start the client again"
    ))
}

/// Explains that the key is not the one of `--fingerprint`.
pub(crate) fn foreign_key(server: &ServerAddress, key: Fingerprint) -> Failure {
    let place = server.place();
    Failure::sentence(&format!(
        "the fingerprint of the server at {place} is {key}, and not the given one: somebody may be \
         reading along; ask its operator, and check --fingerprint or {FINGERPRINT_VARIABLE}"
    ))
}

/// Explains that a server in known_hosts has no TLS any more.
pub(crate) fn lost_tls(server: &ServerAddress, error: &HandshakeError, pin: &PinPlace) -> Failure {
    let (why, removal) = (missing_tls(server, error), pin.removal());
    let (file, line) = (pin.path.display(), pin.line);
    Failure::sentence(&format!(
        "{why}, but had it before: somebody may want to read along; ask its operator, and if it has \
         none any more, remove line {line} of {file} with: {removal}"
    ))
}

/// Explains why there is no TLS session.
pub(crate) fn failed_handshake(server: &ServerAddress, error: &HandshakeError) -> Failure {
    let place = server.place();
    let in_clear = match server.trust.may_turn_plain() {
        true => "if its operator says that it has no TLS, add --plain",
        false => "ask its operator",
    };
    match error {
        HandshakeError::Foreign => failed_exchange(&server.into(), &RequestError::Invalid),
        HandshakeError::TimedOut => {
            failed_exchange(&server.into(), &RequestError::TimedOut(PATIENCE))
        }
        HandshakeError::Refused(status) => {
            Failure::sentence(&refused_by_server(&server.into(), *status))
        }
        HandshakeError::Acknowledged | HandshakeError::Silent => {
            let why = missing_tls(server, error);
            Failure::sentence(&match server.trust.may_turn_plain() {
                true => format!(
                    "{why}; to go on without encryption, which lets others on the way read along, \
                     add --plain"
                ),
                false => format!("{why} although it should; ask its operator"),
            })
        }
        HandshakeError::Ended => Failure::sentence(&format!(
            "the server at {place} ended the connection instead of beginning TLS, or somebody on \
             the way did; try again, and {in_clear}"
        )),
        HandshakeError::Broken(why) => Failure::sentence(&format!(
            "the connection to {place} broke before TLS began: {why}; try again, and {in_clear}"
        )),
        HandshakeError::Failed(why) => {
            Failure::sentence(&format!("there is no TLS with {place}: {why}; ask its operator"))
        }
    }
}

/// Says that the server has no TLS.
fn missing_tls(server: &ServerAddress, error: &HandshakeError) -> String {
    let place = server.place();
    match error {
        HandshakeError::Silent => {
            let seconds = SILENCE.as_secs();
            format!("the server at {place} has not answered TLS for {seconds} s")
        }
        _ => format!("the server at {place} has no TLS"),
    }
}

/// Says that a connection on loopback goes on in the clear.
pub(crate) fn clear_loopback(server: &ServerAddress, error: &HandshakeError) -> String {
    plain(&format!("{}, going on without encryption", missing_tls(server, error)))
}

/// Says that a key was not checked.
pub(crate) fn unchecked_key(server: &ServerAddress, key: Fingerprint) -> String {
    let place = server.place();
    plain(&format!("nothing checks the key of {place} because of --insecure: {key}"))
}

/// Says that known_hosts has a new key.
pub(crate) fn renewed_key(server: &ServerAddress) -> String {
    let place = server.place();
    plain(&format!("the server at {place} has a new key, and a certificate that the system trusts"))
}

/// Says that a key is not in known_hosts.
pub(crate) fn unkept_key(server: &ServerAddress, why: &str) -> String {
    plain(&format!("the key of {} cannot be kept for the next time: {why}", server.place()))
}

/// Says that a line of known_hosts makes no sense.
pub(crate) fn damaged_line(path: &Path, line: usize) -> String {
    plain(&format!("line {line} of {} is damaged and skipped", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Trust;
    use reactor_chat::protocol::Status;
    use rustls::Error;
    use std::io;

    fn server(host: &str) -> ServerAddress {
        ServerAddress::of_options(Some(host), None, None).expect(host)
    }

    fn errors() -> [HandshakeError; 8] {
        [
            HandshakeError::Acknowledged,
            HandshakeError::Refused(Status::ServerFull),
            HandshakeError::Silent,
            HandshakeError::Ended,
            HandshakeError::TimedOut,
            HandshakeError::Broken(io::ErrorKind::ConnectionReset.into()),
            HandshakeError::Foreign,
            HandshakeError::Failed(Error::DecryptError),
        ]
    }

    #[test]
    fn e12_e13_every_failure_has_a_next_step() {
        let (server, key) = (server("a\x1b"), Fingerprint::of_key(b"a"));
        let pin = PinPlace { path: "/home/a b/known\n".into(), line: 3 };
        let mut failures = vec![
            declined_key(&server),
            declined_clear(&server),
            unknown_key(&server, key),
            changed_key(&server, key, &pin),
            key_changed_meanwhile(&server, key),
            foreign_key(&server, key),
        ];
        for error in errors() {
            failures.push(failed_handshake(&server, &error));
            failures.push(lost_tls(&server, &error, &pin));
        }
        for line in failures.iter().map(Failure::to_string) {
            assert!(line.contains("; ") && !line.contains(char::is_control), "{line}");
        }
    }

    #[test]
    fn e13_cleartext_is_advised_only_if_possible() {
        let advises = |trust| {
            let server = server("a").trusting(trust);
            errors().map(|error| failed_handshake(&server, &error).to_string().contains("--plain"))
        };
        assert_eq!(advises(Trust::Usual), [true, false, true, true, false, true, false, false]);
        assert_eq!(advises(Trust::Settled(Fingerprint::of_key(b"a"))), [false; 8]);
    }

    #[test]
    fn e12_questions_fit_the_screen() {
        let server = server("chat.example.org");
        let key = Fingerprint::of_key(b"a");
        let clear = [HandshakeError::Acknowledged, HandshakeError::Silent];
        let clear = clear.each_ref().map(|error| clear_question(&server, error));
        for question in [&[key_question(&server, key)][..], &clear].concat() {
            assert_eq!(question.lines().count(), 3);
            assert!(question.lines().all(|line| line.chars().count() < 80), "{question}");
        }
    }
}
