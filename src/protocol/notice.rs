//! Notices: what the server itself says to members, in the language that it was started with.
//!
//! No notice contains `": "`. In text delivery every message does, behind its sender's name, so a
//! member can tell notices from messages there too.

mod texts;

use std::fmt::{self, Write as _};

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use super::datagram::Unfit;
use super::stream::Code;
use texts::Text;

/// The language of the notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Japanese. Other clients of this protocol end on two of its lines, so those are fixed (W34).
    Japanese,
}

impl Language {
    fn pick(self, [english, japanese]: Text) -> &'static str {
        match self {
            Self::English => english,
            Self::Japanese => japanese,
        }
    }
}

/// A notice from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// This member joined.
    Joined(&'a str),
    /// This member left.
    Left(&'a str),
    /// This member was removed for silence.
    TimedOut(&'a str),
    /// The number of members that joined, left and timed out, if there are too many to name (W33).
    Presence(PresenceSummary),
    /// The host removed this member.
    Kicked(&'a str),
    /// This member became the host.
    NewHost(&'a str),
    /// The room was closed, and all its tokens with it.
    RoomClosed,
    /// The server stops or restarts, which closes the room.
    ServerStopping,
    /// To a member: you were removed for silence.
    RemovedForSilence,
    /// To a member: the host removed you.
    RemovedByHost,
    /// To a sender: the message was dropped, because you send too fast.
    RateLimited,
    /// To a sender: the message was dropped, because the room's queue is full.
    RoomBusy,
    /// To a sender in a stream, whose client repeats the message: you send too fast.
    TooFast,
    /// To a sender in a stream, whose client repeats the message: the room's queue is full.
    NotYet,
    /// To a sender: the message was refused for this reason.
    Unfit(Unfit),
    /// To a sender: the message was refused for its length.
    TooLong {
        /// The most bytes of a message from this sender, whose name takes some.
        fits: usize,
    },
    /// To a sender: the message was refused, because one of its parts came too late.
    PartsTooLate,
    /// To a sender: there is no command with this word.
    UnknownCommand(&'a str),
    /// To a sender: this command needs a name.
    NameNeeded,
    /// To a sender: no member has that name.
    NoSuchMember,
    /// To a sender: only the host may use this command.
    HostOnly,
    /// To a host: you cannot remove yourself.
    NotYourself,
    /// To a host: you are the host already.
    AlreadyHost,
    /// To a host: this name and its subnet are banned.
    Banned(&'a str),
    /// To a host: only this name is banned, because its subnet is the host's own.
    BannedByName(&'a str),
    /// To a host: no member and no removed member has this name.
    NobodyToBan,
    /// To a host: the ban of this name and its subnet is lifted.
    Unbanned(&'a str),
    /// To a host: this name is not banned.
    NotBanned,
    /// To a host: there are no bans.
    NobodyBanned,
    /// To a sender: the list of commands.
    Help,
}

/// The number of members that came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceSummary {
    /// Members that joined.
    pub joined: u32,
    /// Members that left.
    pub left: u32,
    /// Members that were removed for silence.
    pub timed_out: u32,
}

impl PresenceSummary {
    /// Returns the code of the most frequent change. The text has all of them.
    fn code(self) -> Code {
        if self.joined >= self.left.max(self.timed_out) {
            Code::Joined
        } else if self.left >= self.timed_out {
            Code::Left
        } else {
            Code::TimedOut
        }
    }

    /// Returns true if no member is counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn write(self, language: Language, out: &mut String) -> fmt::Result {
        let (units, separator) = match language {
            Language::English => ([" joined", " left", " timed out"], ", "),
            Language::Japanese => (["人が入室", "人が退室", "人が時間切れ"], "、"),
        };
        let mut between = "";
        for (count, unit) in [self.joined, self.left, self.timed_out].into_iter().zip(units) {
            if count > 0 {
                write!(out, "{between}{count}{unit}")?;
                between = separator;
            }
        }
        Ok(())
    }
}

/// Returns true if a notice, in either language, tells its reader that its membership has ended.
pub fn ends_membership(text: &str) -> bool {
    let last = [
        texts::ROOM_CLOSED,
        texts::SERVER_STOPPING,
        texts::REMOVED_FOR_SILENCE,
        texts::REMOVED_BY_HOST,
    ];
    last.as_flattened().contains(&text)
}

/// Returns true if a notice, in either language, tells its reader that a message or a command of its
/// own was refused. In text delivery only the text shows that.
pub fn refuses_message(text: &str) -> bool {
    let begins = [
        "message refused, ",
        "no such command",
        "そのコマンドはありません",
        "長すぎるため、発言は送られませんでした",
    ];
    let ends = ["was not sent on", "発言は送られませんでした", "で / から始まる発言を送れます"];
    let is_notice = !text.contains(": ");
    is_notice
        && (begins.iter().any(|part| text.starts_with(part))
            || ends.iter().any(|part| text.ends_with(part)))
}

impl<'a> Notice<'a> {
    /// Returns the kind of notice, for programs.
    pub fn code(self) -> Code {
        match self {
            Self::Joined(_) => Code::Joined,
            Self::Left(_) => Code::Left,
            Self::TimedOut(_) => Code::TimedOut,
            Self::Presence(summary) => summary.code(),
            Self::Kicked(_) => Code::Kicked,
            Self::NewHost(_) => Code::NewHost,
            Self::RoomClosed => Code::RoomClosed,
            Self::ServerStopping => Code::ServerStopping,
            Self::RemovedForSilence => Code::TimedOut,
            Self::RemovedByHost => Code::Removed,
            Self::RateLimited | Self::RoomBusy | Self::TooFast | Self::NotYet => Code::RateLimited,
            Self::Unfit(_)
            | Self::TooLong { .. }
            | Self::PartsTooLate
            | Self::UnknownCommand(_) => Code::Refused,
            Self::NameNeeded
            | Self::NoSuchMember
            | Self::HostOnly
            | Self::NotYourself
            | Self::AlreadyHost
            | Self::Banned(_)
            | Self::BannedByName(_)
            | Self::NobodyToBan
            | Self::Unbanned(_)
            | Self::NotBanned
            | Self::NobodyBanned
            | Self::Help => Code::Answer,
        }
    }

    /// Returns the notice that members with plain delivery get in its place. Other clients of this
    /// protocol end on the Japanese line of a closed room and know no other.
    pub fn without_stream(self, language: Language) -> Self {
        match (self, language) {
            (Self::ServerStopping, Language::Japanese) => Self::RoomClosed,
            _ => self,
        }
    }

    /// Returns the name of the member that the notice is about; empty for none or several.
    pub fn subject(self) -> &'a str {
        match self {
            Self::Joined(name)
            | Self::Left(name)
            | Self::TimedOut(name)
            | Self::Kicked(name)
            | Self::NewHost(name) => name,
            _ => "",
        }
    }

    /// Appends the notice in `language` to `out`.
    pub fn write(self, language: Language, out: &mut String) {
        let text = language.pick(self.text());
        let Some((before, after)) = text.split_once("{}") else { return out.push_str(text) };
        out.push_str(before);
        // Writing to a String cannot fail.
        let written = self.write_argument(language, out);
        debug_assert!(written.is_ok());
        out.push_str(after);
    }

    fn write_argument(self, language: Language, out: &mut String) -> fmt::Result {
        match self {
            Self::Presence(summary) => summary.write(language, out),
            Self::TooLong { fits } => write!(out, "{fits}"),
            Self::UnknownCommand(word) => write!(out, "{}", Quoted(word)),
            Self::Banned(name) | Self::BannedByName(name) | Self::Unbanned(name) => {
                out.write_str(name)
            }
            _ => out.write_str(self.subject()),
        }
    }

    fn text(self) -> Text {
        match self {
            Self::Joined(_) => texts::JOINED,
            Self::Left(_) => texts::LEFT,
            Self::TimedOut(_) => texts::TIMED_OUT,
            Self::Presence(_) => texts::PRESENCE,
            Self::Kicked(_) => texts::KICKED,
            Self::NewHost(_) => texts::NEW_HOST,
            Self::RoomClosed => texts::ROOM_CLOSED,
            Self::ServerStopping => texts::SERVER_STOPPING,
            Self::RemovedForSilence => texts::REMOVED_FOR_SILENCE,
            Self::RemovedByHost => texts::REMOVED_BY_HOST,
            Self::RateLimited => texts::RATE_LIMITED,
            Self::RoomBusy => texts::ROOM_BUSY,
            Self::TooFast => texts::TOO_FAST,
            Self::NotYet => texts::NOT_YET,
            Self::Unfit(Unfit::NotUtf8) => texts::NOT_UTF8,
            Self::Unfit(Unfit::Control) => texts::CONTROL,
            Self::Unfit(Unfit::Bidi) => texts::BIDI,
            Self::TooLong { .. } => texts::TOO_LONG,
            Self::PartsTooLate => texts::PARTS_TOO_LATE,
            Self::UnknownCommand(_) => texts::UNKNOWN_COMMAND,
            Self::NameNeeded => texts::NAME_NEEDED,
            Self::NoSuchMember => texts::NO_SUCH_MEMBER,
            Self::HostOnly => texts::HOST_ONLY,
            Self::NotYourself => texts::NOT_YOURSELF,
            Self::AlreadyHost => texts::ALREADY_HOST,
            Self::Banned(_) => texts::BANNED,
            Self::BannedByName(_) => texts::BANNED_BY_NAME,
            Self::NobodyToBan => texts::NOBODY_TO_BAN,
            Self::Unbanned(_) => texts::UNBANNED,
            Self::NotBanned => texts::NOT_BANNED,
            Self::NobodyBanned => texts::NOBODY_BANNED,
            Self::Help => texts::HELP,
        }
    }
}

/// The most characters of a member's own word that a notice repeats.
const MAX_QUOTED: usize = 32;

/// A word that a member sent, as a notice repeats it: shortened, with invisible characters escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(MAX_QUOTED) {
            match c.general_category_group() {
                GeneralCategoryGroup::Other => write!(f, "{}", c.escape_unicode())?,
                _ => f.write_char(c)?,
            }
        }
        f.write_str(if chars.next().is_some() { "…" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::stream::MAX_ENTRY;
    use crate::protocol::stream::downstream::{ASIDE_OVERHEAD, NOTICE_OVERHEAD};

    const BOTH: [Language; 2] = [Language::English, Language::Japanese];

    fn all() -> Vec<Notice<'static>> {
        let crowd = PresenceSummary { joined: 7, left: 0, timed_out: 2 };
        vec![
            Notice::Joined("bob"),
            Notice::Left("bob"),
            Notice::TimedOut("bob"),
            Notice::Presence(crowd),
            Notice::Kicked("bob"),
            Notice::NewHost("bob"),
            Notice::RoomClosed,
            Notice::ServerStopping,
            Notice::RemovedForSilence,
            Notice::RemovedByHost,
            Notice::RateLimited,
            Notice::RoomBusy,
            Notice::TooFast,
            Notice::NotYet,
            Notice::Unfit(Unfit::NotUtf8),
            Notice::Unfit(Unfit::Control),
            Notice::Unfit(Unfit::Bidi),
            Notice::TooLong { fits: 12 },
            Notice::PartsTooLate,
            Notice::UnknownCommand(":"),
            Notice::NameNeeded,
            Notice::NoSuchMember,
            Notice::HostOnly,
            Notice::NotYourself,
            Notice::AlreadyHost,
            Notice::Banned("bob"),
            Notice::BannedByName("bob"),
            Notice::NobodyToBan,
            Notice::Unbanned("bob"),
            Notice::NotBanned,
            Notice::NobodyBanned,
            Notice::Help,
        ]
    }

    fn text(notice: Notice, language: Language) -> String {
        let mut out = String::new();
        notice.write(language, &mut out);
        out
    }

    #[test]
    fn t8_notice_never_reads_as_a_message() {
        for language in BOTH {
            for notice in all() {
                let text = text(notice, language);
                assert!(!text.contains(": "), "{text}");
                assert!(!text.contains('\n') && !text.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn w32_unknown_command_is_quoted() {
        let word = |word| text(Notice::UnknownCommand(word), Language::English);
        assert!(word("foo").starts_with("no such command '/foo', /help"), "{}", word("foo"));
        assert!(word("").starts_with("no such command '/', /help"));
        assert!(word("a\u{200b}日本").contains(r"'/a\u{200b}日本'"));
        let long = word(&"x".repeat(4000));
        assert!(long.contains(&format!("'/{}…'", "x".repeat(MAX_QUOTED))) && long.len() < 200);
        let japanese = text(Notice::UnknownCommand("foo"), Language::Japanese);
        assert!(japanese.starts_with("「/foo」というコマンドはありません"));
    }

    #[test]
    fn s2_field_a_notices_fit_a_packet() {
        let name = "n".repeat(255);
        let word = "\u{10ffff}".repeat(1000);
        let long = [
            Notice::Joined(&name),
            Notice::Left(&name),
            Notice::TimedOut(&name),
            Notice::Kicked(&name),
            Notice::NewHost(&name),
            Notice::UnknownCommand(&word),
            Notice::Banned(&name),
            Notice::BannedByName(&name),
            Notice::Unbanned(&name),
        ];
        for language in BOTH {
            for notice in all().into_iter().chain(long) {
                let size = NOTICE_OVERHEAD.max(ASIDE_OVERHEAD) + notice.subject().len();
                assert!(size + text(notice, language).len() <= MAX_ENTRY, "{notice:?}");
            }
        }
    }

    #[test]
    fn w33_presence_summary_counts_all() {
        let crowd = Notice::Presence(PresenceSummary { joined: 7, left: 1, timed_out: 2 });
        assert_eq!(text(crowd, Language::English), "7 joined, 1 left, 2 timed out");
        let one = Notice::Presence(PresenceSummary { left: 3, ..PresenceSummary::default() });
        assert_eq!(text(one, Language::English), "3 left");
        assert_eq!(text(one, Language::Japanese), "3人が退室");
    }

    #[test]
    fn w34_two_japanese_lines_are_fixed() {
        assert_eq!(text(Notice::RoomClosed, Language::Japanese), "チャットルームが閉じられました");
        assert_eq!(
            text(Notice::RemovedForSilence, Language::Japanese),
            "しばらく発言しなかったので、チャットルームから退出させました"
        );
    }

    #[test]
    fn w34_last_notices_are_recognized() {
        for language in BOTH {
            for notice in all().into_iter().map(|notice| notice.without_stream(language)) {
                let last = matches!(
                    notice,
                    Notice::RoomClosed
                        | Notice::ServerStopping
                        | Notice::RemovedForSilence
                        | Notice::RemovedByHost
                );
                assert_eq!(ends_membership(&text(notice, language)), last, "{notice:?}");
            }
        }
    }

    #[test]
    fn refusals_are_recognized() {
        for language in BOTH {
            for notice in all().into_iter().filter(|notice| *notice != Notice::PartsTooLate) {
                let is_refusal = match notice {
                    Notice::RateLimited | Notice::RoomBusy => true,
                    _ => notice.code() == Code::Refused,
                };
                let text = text(notice, language);
                assert_eq!(refuses_message(&text), is_refusal, "{text}");
            }
            // A name may begin as the notice of an unknown command does.
            let joined = text(Notice::Joined("「/x"), language);
            assert!(!refuses_message(&joined), "{joined}");
        }
    }
}
