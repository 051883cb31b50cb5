//! What a stream's events are to somebody who reads along, and how the membership ended.

use std::time::{Duration, Instant};

use crate::member_queries::{Asker, MemberQueries};
use crate::output::Output;
use reactor_chat::protocol::stream::Code;
use reactor_chat::protocol::{Language, Notice};
use reactor_chat::stream::Event;

/// How long what is missing is waited for when the membership has ended.
const LINGER: Duration = Duration::from_secs(2);

/// The same when we have left: only a room that closed with that still repairs.
const SHORT_LINGER: Duration = Duration::from_millis(250);

/// The end of the membership, as the server has told it.
struct MembershipEnd {
    code: Code,
    text: Vec<u8>,
    /// When to stop waiting for what is missing.
    by: Instant,
}

/// The room's record.
pub(crate) struct Transcript {
    /// Our number.
    member: u32,
    /// Whether our own messages are shown: they stand already where somebody typed them.
    shows_own: bool,
    /// Our own arrival has come. What comes before it was said at times that nobody has told us.
    has_arrived: bool,
    /// That the room was closed is shown, in its place.
    is_closing_shown: bool,
    end: Option<MembershipEnd>,
    /// The membership has ended, and another one is to follow: repeated ends are ignored.
    is_away: bool,
}

impl Transcript {
    pub(crate) fn new(member: u32, shows_own: bool) -> Self {
        Self {
            member,
            shows_own,
            has_arrived: false,
            is_closing_shown: false,
            end: None,
            is_away: false,
        }
    }

    pub(crate) fn shows_own(&self) -> bool {
        self.shows_own
    }

    pub(crate) fn take(
        &mut self,
        event: &Event<'_>,
        queries: &mut MemberQueries,
        now: Instant,
        output: &mut Output,
    ) {
        self.has_arrived |= self.is_arrival(event);
        let is_earlier = !self.has_arrived && !matches!(event, Event::Aside { .. });
        output.show_time(!is_earlier);
        self.show(event, queries, now, output);
        output.show_time(true);
    }

    /// Returns true if this shows that we have joined by now. Members that join in a crowd are
    /// counted together a second later, and the notice of our join may be among gone entries.
    fn is_arrival(&self, event: &Event<'_>) -> bool {
        match *event {
            Event::Notice { code, member, .. } => {
                code == Code::Joined as u8 && [0, self.member].contains(&member)
            }
            Event::Gone { .. } => true,
            Event::Message { member, .. } => member == self.member,
            Event::Aside { .. } => false,
        }
    }

    fn show(
        &mut self,
        event: &Event<'_>,
        queries: &mut MemberQueries,
        now: Instant,
        output: &mut Output,
    ) {
        match *event {
            Event::Message { member, name, text, .. }
                if member == self.member && !self.shows_own =>
            {
                output.log_own(name, text);
            }
            Event::Message { name, text, .. } => output.add_message(name, text),
            Event::Notice { code, name, text, .. } => {
                let closings = [Code::RoomClosed as u8, Code::ServerStopping as u8];
                self.is_closing_shown |= closings.contains(&code);
                output.add_event(code, name, text);
            }
            Event::Gone { count, .. } => output.add_gone(count),
            Event::Aside { code, id, text, .. } => match event.ends_membership() {
                Some(end) => self.note_end(end, text, now),
                None if code == Code::Answer as u8 => show_answer(queries.take(id), text, output),
                None => Self::take_aside(code, text, output),
            },
        }
    }

    fn take_aside(code: u8, text: &[u8], output: &mut Output) {
        match code {
            _ if text.is_empty() => {}
            code if code == Code::Answer as u8 => output.add_notice(text),
            _ => output.add_hint(text),
        }
    }

    /// The end is told several times, to some questions without a text.
    fn note_end(&mut self, code: Code, text: &[u8], now: Instant) {
        if self.is_away {
            return;
        }
        let linger = if code == Code::Left { SHORT_LINGER } else { LINGER };
        let end =
            self.end.get_or_insert(MembershipEnd { code, text: Vec::new(), by: now + linger });
        if end.text.is_empty() {
            end.text = text.into();
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    pub(crate) fn is_away(&self) -> bool {
        self.is_away
    }

    /// Returns true if the membership has ended in a way that nobody wanted, so that another may
    /// follow it: the server stops, or nothing was heard from us for a while.
    pub(crate) fn may_be_followed(&self) -> bool {
        let end = self.end.as_ref().map(|end| end.code);
        matches!(end, Some(Code::ServerStopping | Code::TimedOut))
    }

    /// Shows the end, and waits for another membership from now on. Returns the reason of the end.
    pub(crate) fn go_away(&mut self, output: &mut Output) -> Option<Code> {
        let code = self.end.as_ref().map(|end| end.code);
        self.finish(output);
        self.is_away = true;
        code
    }

    /// When to stop waiting for what is missing, if the membership has ended.
    pub(crate) fn over_by(&self) -> Option<Instant> {
        self.end.as_ref().map(|end| end.by)
    }

    /// Shows why the membership ended, if nothing has up to now and it was not our wish.
    pub(crate) fn finish(&mut self, output: &mut Output) {
        let Some(MembershipEnd { code, text, .. }) = self.end.take() else { return };
        if [Code::RoomClosed, Code::ServerStopping].contains(&code) && self.is_closing_shown {
            return;
        }
        match text.is_empty() {
            false => output.add_notice(&text),
            true => add_own_words(code, output),
        }
    }
}

/// Shows the answer to a command. The id that it carries has told whether the command was a
/// question who is there, and whose.
fn show_answer(asker: Option<Asker>, text: &[u8], output: &mut Output) {
    if asker.is_some() {
        output.note_members(text);
    }
    if asker != Some(Asker::Client) {
        output.add_notice(text);
    }
}

/// For when the words of the server were lost.
fn add_own_words(code: Code, output: &mut Output) {
    let notice = match code {
        Code::RoomClosed => Notice::RoomClosed,
        Code::ServerStopping => Notice::ServerStopping,
        Code::TimedOut => Notice::RemovedForSilence,
        Code::Removed => Notice::RemovedByHost,
        _ => return,
    };
    let mut text = String::new();
    notice.write(Language::English, &mut text);
    output.add_notice(text.as_bytes());
}
