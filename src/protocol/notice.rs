//! Notices: what the server itself says to members, in the language that it was started with.
//!
//! No notice holds `": "`. In text delivery every message does, behind its sender's name, so a
//! notice can be told from a message there too.

use std::fmt::{self, Write as _};

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use super::datagram::Unfit;
use super::stream::Code;

/// The language of the notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Japanese. Clients of the family end on two of its lines, so those are fixed.
    Japanese,
}

/// One notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// Somebody became a member.
    Joined(&'a str),
    /// Somebody left.
    Left(&'a str),
    /// Somebody was removed for silence.
    TimedOut(&'a str),
    /// So many joined, left and timed out, when they are too many to name.
    Presence(PresenceSummary),
    /// The host removed somebody.
    Kicked(&'a str),
    /// Somebody became the host.
    NewHost(&'a str),
    /// The room is no more; every token of it is dead.
    RoomClosed,
    /// The server stops or restarts, and the room ends with it.
    ServerStopping,
    /// To a member: you were removed for silence.
    RemovedForSilence,
    /// To a member: the host removed you.
    RemovedByHost,
    /// To a sender: your messages come too fast.
    RateLimited,
    /// To a sender: more waits to be sent to this room than it may hold.
    RoomBusy,
    /// To a sender in a stream, whose program sends it again: your messages come too fast.
    TooFast,
    /// To a sender in a stream, whose program sends it again: the room is busy.
    NotYet,
    /// To a sender: the message was not relayed, and why.
    Unfit(Unfit),
    /// To a sender: the message was not relayed, and how many bytes fit.
    TooLong {
        /// Bytes that fit beside the sender's name.
        fits: usize,
    },
    /// To a sender: the message was not relayed, because one of its parts came too late.
    PartsTooLate,
    /// To a sender: there is no command with this word.
    UnknownCommand(&'a str),
    /// To a sender: this command takes a name.
    NameNeeded,
    /// To a sender: nobody in the room has that name.
    NoSuchMember,
    /// To a sender: only the host may do that.
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
    /// To a sender: the commands.
    Help,
}

/// How many came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresenceSummary {
    /// Became members.
    pub joined: u32,
    /// Left.
    pub left: u32,
    /// Were removed for silence.
    pub timed_out: u32,
}

impl PresenceSummary {
    /// What most of them did: the text tells the rest.
    fn code(self) -> Code {
        if self.joined >= self.left.max(self.timed_out) {
            Code::Joined
        } else if self.left >= self.timed_out {
            Code::Left
        } else {
            Code::TimedOut
        }
    }

    /// Whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Clients of the family end when they read this line.
const ROOM_CLOSED_JA: &str = "チャットルームが閉じられました";
/// And when they read this one.
const REMOVED_FOR_SILENCE_JA: &str = "しばらく発言しなかったので、チャットルームから退出させました";
const ROOM_CLOSED_EN: &str = "the room was closed";
const SERVER_STOPPING_EN: &str = "the server is shutting down or restarting";
const REMOVED_FOR_SILENCE_EN: &str =
    "you were removed from the room, nothing was heard from you for a while";
const REMOVED_BY_HOST_JA: &str = "ホストによってチャットルームから退出させられました";
const REMOVED_BY_HOST_EN: &str = "you were removed from the room by its host";

/// The notices, in either language, after which the member that got them is none any more.
const LAST_WORDS: [&str; 7] = [
    ROOM_CLOSED_EN,
    ROOM_CLOSED_JA,
    SERVER_STOPPING_EN,
    REMOVED_FOR_SILENCE_EN,
    REMOVED_FOR_SILENCE_JA,
    REMOVED_BY_HOST_EN,
    REMOVED_BY_HOST_JA,
];

/// Whether a notice says, in either language, that its reader is no member any more.
pub fn ends_membership(text: &str) -> bool {
    LAST_WORDS.contains(&text)
}

/// Returns true if a notice, in either language, tells its reader that a message or a command of
/// its own came to nothing. In text delivery there is only the text to tell by.
pub fn refuses_message(text: &str) -> bool {
    let begins = ["message refused, ", "no such command", "そのコマンドはありません"];
    let ends = ["was not sent on", "発言は送られませんでした"];
    let is_too_long = text.starts_with("長すぎるため、発言は送られませんでした");
    let is_notice = !text.contains(": ");
    is_notice
        && (is_too_long
            || begins.iter().any(|part| text.starts_with(part))
            || ends.iter().any(|part| text.ends_with(part)))
}

impl<'a> Notice<'a> {
    /// What it is about, for programs.
    pub fn code(self) -> Code {
        match self {
            Self::Joined(_) => Code::Joined,
            Self::Left(_) => Code::Left,
            Self::TimedOut(_) => Code::TimedOut,
            Self::Presence(crowd) => crowd.code(),
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

    /// Returns the notice that text and named members get in its place. Clients of the family end
    /// on the Japanese room-closed line and know no other.
    pub fn without_stream(self, language: Language) -> Self {
        match (self, language) {
            (Self::ServerStopping, Language::Japanese) => Self::RoomClosed,
            _ => self,
        }
    }

    /// The name of the member that it is about; empty where it is about none or several.
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

    /// Writes the notice in `language` behind what `out` holds.
    pub fn write(self, language: Language, out: &mut String) {
        let written = match language {
            Language::English => self.write_english(out),
            Language::Japanese => self.write_japanese(out),
        };
        // Writing to a String fails only when there is no memory, and then not with an error.
        debug_assert!(written.is_ok());
    }

    fn write_english(self, out: &mut String) -> fmt::Result {
        match self {
            Self::Joined(name) => write!(out, "{name} joined"),
            Self::Left(name) => write!(out, "{name} left"),
            Self::TimedOut(name) => write!(out, "{name} timed out"),
            Self::Presence(crowd) => crowd.write(out, [" joined", " left", " timed out"], ", "),
            Self::Kicked(name) => write!(out, "{name} was removed by the host"),
            Self::NewHost(name) => write!(out, "{name} is the host now"),
            Self::RoomClosed => out.write_str(ROOM_CLOSED_EN),
            Self::ServerStopping => out.write_str(SERVER_STOPPING_EN),
            Self::RemovedForSilence => out.write_str(REMOVED_FOR_SILENCE_EN),
            Self::RemovedByHost => out.write_str(REMOVED_BY_HOST_EN),
            Self::RateLimited => {
                out.write_str("you are sending too fast, what came last was not sent on")
            }
            Self::RoomBusy => {
                out.write_str("the room is too busy, what you wrote last was not sent on")
            }
            Self::TooFast => out.write_str("you are sending too fast, the rest has to wait"),
            Self::NotYet => out.write_str("the room is too busy, what you wrote has to wait"),
            Self::Unfit(Unfit::NotUtf8) => out.write_str("message refused, it is not UTF-8"),
            Self::Unfit(Unfit::Control) => {
                out.write_str("message refused, it holds control characters")
            }
            Self::Unfit(Unfit::Bidi) => {
                out.write_str("message refused, it holds characters that reverse the text")
            }
            Self::TooLong { fits } => {
                write!(out, "message refused, it is too long, {fits} bytes fit")
            }
            Self::PartsTooLate => {
                out.write_str("message refused, a part of it came too late, send it again")
            }
            Self::UnknownCommand(word) => write!(
                out,
                "no such command '/{}', /help lists them, // sends a message that begins with /",
                Quoted(word)
            ),
            Self::NameNeeded => out.write_str("a name is needed, as in /kick NAME or /host NAME"),
            Self::NoSuchMember => out.write_str("nobody here has that name, /who lists the names"),
            Self::HostOnly => out.write_str("only the host may do that"),
            Self::NotYourself => {
                out.write_str("you cannot remove yourself, /exit leaves and closes the room")
            }
            Self::AlreadyHost => out.write_str("you are the host already"),
            Self::Banned(name) => {
                write!(out, "{name} is banned with its address, /unban NAME lets both in again")
            }
            Self::BannedByName(name) => {
                write!(out, "{name} is banned by name only, its address is yours too")
            }
            Self::NobodyToBan => {
                out.write_str("nobody here has that name, and nobody who was removed had it")
            }
            Self::Unbanned(name) => write!(out, "{name} may come in again"),
            Self::NotBanned => out.write_str("that name is not banned, /bans lists those that are"),
            Self::NobodyBanned => out.write_str("nobody is banned from this room"),
            Self::Help => out.write_str(
                "/exit leaves, /who lists the members, /kick NAME removes one (host), \
                 /ban NAME keeps its address out too (host), /unban NAME lets both in again (host), \
                 /bans lists who is kept out (host), /host NAME makes another the host (host), \
                 /help shows this, // sends a message that begins with /",
            ),
        }
    }

    fn write_japanese(self, out: &mut String) -> fmt::Result {
        match self {
            Self::Joined(name) => write!(out, "{name}さんが入室しました"),
            Self::Left(name) => write!(out, "{name}さんが退室しました"),
            Self::TimedOut(name) => write!(out, "{name}さんは発言がないため退室しました"),
            Self::Presence(crowd) => crowd.write(out, ["人が入室", "人が退室", "人が時間切れ"], "、"),
            Self::Kicked(name) => write!(out, "{name}さんはホストによって退室させられました"),
            Self::NewHost(name) => write!(out, "{name}さんがホストになりました"),
            Self::RoomClosed => out.write_str(ROOM_CLOSED_JA),
            Self::ServerStopping => out.write_str("サーバーが停止または再起動します"),
            Self::RemovedForSilence => out.write_str(REMOVED_FOR_SILENCE_JA),
            Self::RemovedByHost => out.write_str(REMOVED_BY_HOST_JA),
            Self::RateLimited => {
                out.write_str("送信が速すぎるため、最後の発言は送られませんでした")
            }
            Self::RoomBusy => {
                out.write_str("ルームが混み合っているため、最後の発言は送られませんでした")
            }
            Self::TooFast => out.write_str("送信が速すぎるため、残りの発言はお待ちください"),
            Self::NotYet => out.write_str("ルームが混み合っているため、発言はお待ちください"),
            Self::Unfit(Unfit::NotUtf8) => {
                out.write_str("UTF-8ではないため、発言は送られませんでした")
            }
            Self::Unfit(Unfit::Control) => {
                out.write_str("制御文字を含むため、発言は送られませんでした")
            }
            Self::Unfit(Unfit::Bidi) => {
                out.write_str("文字の向きを変える文字を含むため、発言は送られませんでした")
            }
            Self::TooLong { fits } => {
                write!(out, "長すぎるため、発言は送られませんでした（{fits}バイトまで）")
            }
            Self::PartsTooLate => out.write_str(
                "一部が届くのが遅すぎたため、発言は送られませんでした。もう一度送ってください",
            ),
            Self::UnknownCommand(word) => write!(
                out,
                "「/{}」というコマンドはありません。/help で一覧、// で / から始まる発言を送れます",
                Quoted(word)
            ),
            Self::NameNeeded => out.write_str("名前が必要です（例 /kick 名前、/host 名前）"),
            Self::NoSuchMember => out.write_str("その名前の人はいません。/who で一覧が見られます"),
            Self::HostOnly => out.write_str("ホストだけが使えるコマンドです"),
            Self::NotYourself => {
                out.write_str("自分は退室させられません。/exit で退室するとルームが閉じます")
            }
            Self::AlreadyHost => out.write_str("すでにホストです"),
            Self::Banned(name) => {
                write!(out, "{name}さんとそのアドレスを禁止しました。/unban 名前 で解除できます")
            }
            Self::BannedByName(name) => {
                write!(out, "{name}さんの名前だけを禁止しました。アドレスはあなたと同じです")
            }
            Self::NobodyToBan => {
                out.write_str("その名前の人はいません。退室させられた人の中にもいません")
            }
            Self::Unbanned(name) => write!(out, "{name}さんはまた入室できます"),
            Self::NotBanned => {
                out.write_str("その名前は禁止されていません。/bans で一覧が見られます")
            }
            Self::NobodyBanned => out.write_str("このルームで禁止されている人はいません"),
            Self::Help => out.write_str(
                "/exit 退室、/who 参加者一覧、/kick 名前 退室させる（ホスト）、\
                 /ban 名前 アドレスごと禁止（ホスト）、/unban 名前 禁止の解除（ホスト）、\
                 /bans 禁止の一覧（ホスト）、/host 名前 ホストを譲る（ホスト）、/help この一覧、// / から始まる発言を送る",
            ),
        }
    }
}

/// The most characters of a member's own word that a notice repeats.
const MAX_QUOTED: usize = 32;

/// A word that a member sent, as a notice repeats it: cut, and with escapes for what can't be seen.
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

impl PresenceSummary {
    fn write(self, out: &mut String, units: [&str; 3], separator: &str) -> fmt::Result {
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
}
