//! The texts of the notices, in English and Japanese. `{}` stands for the notice's argument: a name,
//! a number or a word.
//!
//! No text contains `": "`: see the [parent module](super).

/// A text in English and in Japanese.
pub(super) type Text = [&'static str; 2];

pub(super) const JOINED: Text = ["{} joined", "{}さんが入室しました"];
pub(super) const LEFT: Text = ["{} left", "{}さんが退室しました"];
pub(super) const TIMED_OUT: Text = ["{} timed out", "{}さんは発言がないため退室しました"];
pub(super) const PRESENCE: Text = ["{}", "{}"];
pub(super) const KICKED: Text =
    ["{} was removed by the host", "{}さんはホストによって退室させられました"];
pub(super) const NEW_HOST: Text = ["{} is the host now", "{}さんがホストになりました"];

// The first and the third line in Japanese are fixed: other clients of this protocol end on them.
pub(super) const ROOM_CLOSED: Text = ["the room was closed", "チャットルームが閉じられました"];
pub(super) const SERVER_STOPPING: Text =
    ["the server is shutting down or restarting", "サーバーが停止または再起動します"];
pub(super) const REMOVED_FOR_SILENCE: Text = [
    "you were removed from the room, nothing was heard from you for a while",
    "しばらく発言しなかったので、チャットルームから退出させました",
];
pub(super) const REMOVED_BY_HOST: Text = [
    "you were removed from the room by its host",
    "ホストによってチャットルームから退出させられました",
];

pub(super) const RATE_LIMITED: Text = [
    "you are sending too fast, what came last was not sent on",
    "送信が速すぎるため、最後の発言は送られませんでした",
];
pub(super) const ROOM_BUSY: Text = [
    "the room is too busy, what you wrote last was not sent on",
    "ルームが混み合っているため、最後の発言は送られませんでした",
];
pub(super) const TOO_FAST: Text = [
    "you are sending too fast, the rest has to wait",
    "送信が速すぎるため、残りの発言はお待ちください",
];
pub(super) const NOT_YET: Text = [
    "the room is too busy, what you wrote has to wait",
    "ルームが混み合っているため、発言はお待ちください",
];
pub(super) const NOT_UTF8: Text =
    ["message refused, it is not UTF-8", "UTF-8ではないため、発言は送られませんでした"];
pub(super) const CONTROL: Text = [
    "message refused, it holds control characters",
    "制御文字を含むため、発言は送られませんでした",
];
pub(super) const BIDI: Text = [
    "message refused, it holds characters that reverse the text",
    "文字の向きを変える文字を含むため、発言は送られませんでした",
];
pub(super) const TOO_LONG: Text = [
    "message refused, it is too long, {} bytes fit",
    "長すぎるため、発言は送られませんでした（{}バイトまで）",
];
pub(super) const PARTS_TOO_LATE: Text = [
    "message refused, a part of it came too late, send it again",
    "一部が届くのが遅すぎたため、発言は送られませんでした。もう一度送ってください",
];
pub(super) const UNKNOWN_COMMAND: Text = [
    "no such command '/{}', /help lists them, // sends a message that begins with /",
    "「/{}」というコマンドはありません。/help で一覧、// で / から始まる発言を送れます",
];

pub(super) const NAME_NEEDED: Text = [
    "a name is needed, as in /kick NAME or /host NAME",
    "名前が必要です（例 /kick 名前、/host 名前）",
];
pub(super) const NO_SUCH_MEMBER: Text = [
    "nobody here has that name, /who lists the names",
    "その名前の人はいません。/who で一覧が見られます",
];
pub(super) const HOST_ONLY: Text = ["only the host may do that", "ホストだけが使えるコマンドです"];
pub(super) const NOT_YOURSELF: Text = [
    "you cannot remove yourself, /exit leaves and closes the room",
    "自分は退室させられません。/exit で退室するとルームが閉じます",
];
pub(super) const ALREADY_HOST: Text = ["you are the host already", "すでにホストです"];
pub(super) const BANNED: Text = [
    "{} is banned with its address, /unban NAME lets both in again",
    "{}さんとそのアドレスを禁止しました。/unban 名前 で解除できます",
];
pub(super) const BANNED_BY_NAME: Text = [
    "{} is banned by name only, its address is yours too",
    "{}さんの名前だけを禁止しました。アドレスはあなたと同じです",
];
pub(super) const NOBODY_TO_BAN: Text = [
    "nobody here has that name, and nobody who was removed had it",
    "その名前の人はいません。退室させられた人の中にもいません",
];
pub(super) const UNBANNED: Text = ["{} may come in again", "{}さんはまた入室できます"];
pub(super) const NOT_BANNED: Text = [
    "that name is not banned, /bans lists those that are",
    "その名前は禁止されていません。/bans で一覧が見られます",
];
pub(super) const NOBODY_BANNED: Text =
    ["nobody is banned from this room", "このルームで禁止されている人はいません"];
pub(super) const HELP: Text = [
    "/exit leaves, /who lists the members, /kick NAME removes one (host), \
     /ban NAME keeps its address out too (host), /unban NAME lets both in again (host), \
     /bans lists who is kept out (host), /host NAME makes another the host (host), \
     /help shows this, // sends a message that begins with /",
    "/exit 退室、/who 参加者一覧、/kick 名前 退室させる（ホスト）、\
     /ban 名前 アドレスごと禁止（ホスト）、/unban 名前 禁止の解除（ホスト）、\
     /bans 禁止の一覧（ホスト）、/host 名前 ホストを譲る（ホスト）、/help この一覧、// / から始まる発言を送る",
];
