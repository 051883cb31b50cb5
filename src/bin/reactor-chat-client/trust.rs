//! The trust in a server's key: the options about it, and the verdict on a key (E12).

use std::ffi::OsString;

use reactor_chat::fingerprint::Fingerprint;

/// The environment variable for `--fingerprint`.
pub(crate) const FINGERPRINT_VARIABLE: &str = "REACTOR_CHAT_FINGERPRINT";

/// The keys that the client accepts from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A key that the system vouches for, that known_hosts has, or that the user accepts. On
    /// loopback any key.
    Usual,
    /// Like [`Self::Usual`], with a key that was accepted earlier in this run. Nobody is asked.
    Settled(Fingerprint),
    /// This key alone.
    Only(Fingerprint),
    /// Any key.
    Anything,
    /// No key: the connection is in the clear.
    Plain,
}

impl Trust {
    /// Parses the options.
    ///
    /// # Errors
    /// A sentence that says which option is wrong.
    pub(crate) fn of_options(
        (is_plain, is_insecure): (bool, bool),
        fingerprint: Option<&str>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, String> {
        match (is_plain, is_insecure, fingerprint) {
            (false, false, Some(text)) => parse("--fingerprint", text),
            (true, false, None) => Ok(Self::Plain),
            (false, true, None) => Ok(Self::Anything),
            (false, false, None) => {
                let value = variable(FINGERPRINT_VARIABLE).filter(|value| !value.is_empty());
                let text = value.as_ref().map(|value| value.to_string_lossy());
                text.map_or(Ok(Self::Usual), |text| parse(FINGERPRINT_VARIABLE, text.trim()))
            }
            _ => Err("--plain, --insecure and --fingerprint exclude one another".into()),
        }
    }

    /// Returns the option that leads to this trust, with a leading blank.
    pub(crate) fn options(self) -> String {
        match self {
            Self::Usual | Self::Settled(_) => String::new(),
            Self::Only(fingerprint) => format!(" --fingerprint {fingerprint}"),
            Self::Anything => " --insecure".into(),
            Self::Plain => " --plain".into(),
        }
    }

    /// Returns true if the user may still decide that the connection is in the clear (E13).
    pub(crate) fn may_turn_plain(self) -> bool {
        matches!(self, Self::Usual | Self::Anything)
    }
}

fn parse(source: &str, text: &str) -> Result<Trust, String> {
    let fingerprint = text.parse().map_err(|_| {
        format!("{source} takes the 44 characters that the server prints, not '{text}'")
    })?;
    Ok(Trust::Only(fingerprint))
}

/// The verdict on a server's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    /// Accepted although known_hosts has another key, because the system vouches for this one.
    Renewed,
    /// Nothing is known about the key.
    Unknown,
    /// known_hosts, or an earlier connection of this run, has another key.
    Changed,
    /// The key is not the one of `--fingerprint`.
    Foreign,
}

impl Trust {
    /// Returns the verdict on a key. `pins` are the server's keys in known_hosts. `is_vouched` asks
    /// the roots of the system, which takes milliseconds.
    pub(crate) fn judge(
        self,
        key: Fingerprint,
        pins: &[Fingerprint],
        is_loopback: bool,
        is_vouched: impl Fn() -> bool,
    ) -> Verdict {
        match self {
            Self::Anything | Self::Plain => Verdict::Accepted,
            Self::Only(known) if known == key => Verdict::Accepted,
            Self::Only(_) => Verdict::Foreign,
            Self::Settled(known) if known == key || is_loopback || is_vouched() => {
                Verdict::Accepted
            }
            Self::Settled(_) => Verdict::Changed,
            Self::Usual if pins.contains(&key) => Verdict::Accepted,
            Self::Usual if pins.is_empty() && is_loopback => Verdict::Accepted,
            Self::Usual => match (is_vouched(), pins.is_empty()) {
                (true, true) => Verdict::Accepted,
                (true, false) => Verdict::Renewed,
                (false, true) => Verdict::Unknown,
                (false, false) => Verdict::Changed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Fingerprint {
        Fingerprint::of_key(name.as_bytes())
    }

    #[test]
    fn e12_usual_trust_in_its_order() {
        let (a, b) = (key("a"), key("b"));
        let verdict = |pins: &[Fingerprint], is_loopback, is_vouched: bool| {
            Trust::Usual.judge(a, pins, is_loopback, || is_vouched)
        };
        assert_eq!(verdict(&[], false, false), Verdict::Unknown);
        assert_eq!(verdict(&[], false, true), Verdict::Accepted);
        assert_eq!(verdict(&[], true, false), Verdict::Accepted);
        assert_eq!(verdict(&[b, a], false, false), Verdict::Accepted);
        assert_eq!(verdict(&[b], false, false), Verdict::Changed);
        assert_eq!(verdict(&[b], true, false), Verdict::Changed, "a tunnel");
        assert_eq!(verdict(&[b], false, true), Verdict::Renewed);
    }

    #[test]
    fn e12_named_key_is_the_only_one() {
        let (a, b) = (key("a"), key("b"));
        let verdict = |key| Trust::Only(a).judge(key, &[b], true, || true);
        assert_eq!((verdict(a), verdict(b)), (Verdict::Accepted, Verdict::Foreign));
        assert_eq!(Trust::Anything.judge(a, &[b], false, || false), Verdict::Accepted);
    }

    #[test]
    fn e12_accepted_key_stays_in_the_run() {
        let (a, b) = (key("a"), key("b"));
        let verdict = |key, is_loopback, is_vouched: bool| {
            Trust::Settled(a).judge(key, &[], is_loopback, || is_vouched)
        };
        assert_eq!(verdict(a, false, false), Verdict::Accepted);
        assert_eq!(verdict(b, false, false), Verdict::Changed);
        assert_eq!(verdict(b, true, false), Verdict::Accepted);
        assert_eq!(verdict(b, false, true), Verdict::Accepted);
    }

    #[test]
    fn e12_options_about_trust() {
        let (a, text) = (key("a"), key("a").to_string());
        let nothing: &dyn Fn(&str) -> Option<OsString> = &|_| None;
        let of = |flags, fingerprint| Trust::of_options(flags, fingerprint, nothing);
        assert_eq!(of((false, false), None), Ok(Trust::Usual));
        assert_eq!(of((true, false), None), Ok(Trust::Plain));
        assert_eq!(of((false, true), None), Ok(Trust::Anything));
        assert_eq!(of((false, false), Some(&text)), Ok(Trust::Only(a)));
        for flags in [(true, false), (false, true)] {
            assert!(of(flags, Some(&text)).is_err_and(|why| why.contains("exclude")));
        }
        assert!(of((false, false), Some("x")).is_err_and(|why| why.contains("not 'x'")));
        // The option is for one run, so it overrides the environment.
        let named: &dyn Fn(&str) -> Option<OsString> =
            &|name| (name == FINGERPRINT_VARIABLE).then(|| key("a").to_string().into());
        let in_environment = |flags| Trust::of_options(flags, None, named);
        assert_eq!(in_environment((false, false)), Ok(Trust::Only(a)));
        assert_eq!(in_environment((true, false)), Ok(Trust::Plain));
        let other = Trust::of_options((false, false), Some(&key("b").to_string()), named);
        assert_eq!(other, Ok(Trust::Only(key("b"))));
    }
}
