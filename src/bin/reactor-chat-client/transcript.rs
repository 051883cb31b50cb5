//! The transcript of a stream: shows its events in order, and tells how the membership ended.

use std::time::{Duration, Instant};

use crate::member_queries::{Asker, MemberQueries};
use crate::output::Output;
use reactor_chat::protocol::stream::Code;
use reactor_chat::protocol::{Language, Notice};
use reactor_chat::stream::Event;

/// Time to wait for missing entries after the end of the membership.
const LINGER: Duration = Duration::from_secs(2);

/// Time to wait for them if we have left: then only a room that closed with us still repairs.
const SHORT_LINGER: Duration = Duration::from_millis(250);

/// The end of the membership, as the server reported it.
struct MembershipEnd {
    code: Code,
    text: Vec<u8>,
    /// Time at which to stop waiting for missing entries.
    by: Instant,
}

/// The state of the transcript.
pub(crate) struct Transcript {
    /// Our member number.
    member: u32,
    /// False if our own messages are on the screen already, because somebody typed them there.
    shows_own: bool,
    /// True once our own arrival was seen. The times of earlier entries are unknown.
    has_arrived: bool,
    /// True if the notice of the room's end was shown in its place.
    is_closing_shown: bool,
    end: Option<MembershipEnd>,
    /// True if the membership has ended and another one should follow it. Repeated ends are
    /// ignored.
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

    /// Returns true if the event shows that we have arrived. The server counts members that join in
    /// a crowd together a second later, and the notice of our arrival may be lost.
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

    /// Notes the end. The server reports it several times, partly without a text.
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

    /// Returns true if the server ended the membership without need: it stops, or has not heard
    /// from us for a while. Then another membership may follow.
    pub(crate) fn may_be_followed(&self) -> bool {
        let end = self.end.as_ref().map(|end| end.code);
        matches!(end, Some(Code::ServerStopping | Code::TimedOut))
    }

    /// Shows the end, and waits for another membership. Returns the reason of the end.
    pub(crate) fn go_away(&mut self, output: &mut Output) -> Option<Code> {
        let code = self.end.as_ref().map(|end| end.code);
        self.finish(output);
        self.is_away = true;
        code
    }

    /// Returns the time at which to stop waiting for missing entries, if the membership has ended.
    pub(crate) fn over_by(&self) -> Option<Instant> {
        self.end.as_ref().map(|end| end.by)
    }

    /// Shows the reason of the end, unless the user wanted it or has seen it.
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

/// Shows the answer to a command, unless the client itself asked. `asker` is set for `/who`.
fn show_answer(asker: Option<Asker>, text: &[u8], output: &mut Output) {
    if asker.is_some() {
        output.note_members(text);
    }
    if asker != Some(Asker::Client) {
        output.add_notice(text);
    }
}

/// Shows the end in our own words if the server's were lost.
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
