//! A membership with stream delivery: a [`StreamReceiver`] and a [`StreamSender`], and what the
//! user sees of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::member_queries::{self, Asker, MemberQueries};
use crate::output::Output;
use crate::sent_lines::{SentLines, UnacceptedLines};
use crate::transcript::Transcript;
use reactor_chat::protocol::command::EXIT;
use reactor_chat::protocol::stream::{Code, Completion, downstream, upstream};
use reactor_chat::stream::{Event, PushError, StreamReceiver, StreamSender};

/// The longest time that `/exit` may take without any progress.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);

/// The longest time that lines wait for a path to the server, such as its next address or its
/// restart.
const PATH_PATIENCE: Duration = Duration::from_secs(10);

/// Pauses between the proofs of a new address. They are sent at 0, 0.25 and 1 s, until the server
/// answers. So a path that loses one datagram in ten hardly ever counts as blocked (C5).
const PROOFS: &[Duration] = &[Duration::from_millis(250), Duration::from_millis(750)];

/// Time to look for a lost server that removes nobody for silence.
const LONG_PATIENCE: Duration = Duration::from_secs(300);

/// The longest such time, in seconds. A server may announce any number, but a clock can't represent
/// all.
const MOST_PATIENCE: u64 = 365 * 24 * 60 * 60;

/// State while we leave.
struct Leaving {
    /// The `/exit` line until the sender has space for it.
    exit: Option<Box<[u8]>>,
    /// The least number of open lines so far.
    open: usize,
    by: Instant,
}

/// Proofs of an address that is new to the server.
struct AddressProofs {
    since: Instant,
    next: Instant,
    rest: std::slice::Iter<'static, Duration>,
}

impl AddressProofs {
    fn new(now: Instant) -> Self {
        Self { since: now, next: now, rest: PROOFS.iter() }
    }

    /// Returns the proofs that follow the receiver's first `have`.
    fn behind_first(now: Instant) -> Self {
        let mut rest = PROOFS.iter();
        Self { since: now, next: now + rest.next().copied().unwrap_or_default(), rest }
    }
}

/// The state of the membership.
pub(crate) struct StreamedRoom {
    tag: u32,
    life: u32,
    receiver: StreamReceiver,
    sender: StreamSender,
    transcript: Transcript,
    queries: MemberQueries,
    leaving: Option<Leaving>,
    proofs: Option<AddressProofs>,
    patience: Duration,
    /// True while the output is full.
    is_output_full: bool,
    sent_lines: SentLines,
    /// Number of lines that the server refused in earlier memberships.
    refused_before: usize,
    idle_timeout: Option<Duration>,
}

impl StreamedRoom {
    pub(crate) fn new(completion: &Completion, room: &str, shows_own: bool, now: Instant) -> Self {
        let keep_alive = Duration::from_secs(completion.keep_alive);
        let seconds = completion.idle_timeout.min(MOST_PATIENCE);
        let idle_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
        let patience = idle_timeout.unwrap_or(LONG_PATIENCE);
        Self {
            tag: completion.tag,
            life: completion.life(),
            receiver: StreamReceiver::new(completion.tag, completion.next, keep_alive, now),
            sender: StreamSender::new(completion.member, completion.expected, room),
            transcript: Transcript::new(completion.member, shows_own),
            queries: MemberQueries::default(),
            leaving: None,
            proofs: Some(AddressProofs::behind_first(now)),
            patience,
            is_output_full: false,
            sent_lines: SentLines::new(completion.member),
            refused_before: 0,
            idle_timeout,
        }
    }

    /// Returns the membership that follows this one. If the room is still the same, its record
    /// continues where this one broke off, as far as newcomers may see the entries since then.
    pub(crate) fn successor(
        &self,
        completion: &Completion,
        room: &str,
        now: Instant,
        output: &mut Output,
    ) -> Self {
        let mut completion = completion.clone();
        if completion.life() == self.life {
            let seen = self.receiver.resume_at();
            let missed = completion.next.saturating_sub(seen);
            if missed > 0 {
                output.add_gone(missed);
            }
            completion.next = completion.next.max(seen);
        }
        let successor = Self::new(&completion, room, self.transcript.shows_own(), now);
        let refused_before = self.refused_before + self.sent_lines.refused();
        Self { is_output_full: self.is_output_full, refused_before, ..successor }
    }

    /// Returns the lines that the server has not accepted, for the next membership. `/exit` is not
    /// among them.
    pub(crate) fn into_unsaid(self) -> impl Iterator<Item = Arc<[u8]>> {
        let exit_is_open = self.leaving.is_some_and(|leaving| leaving.exit.is_none());
        let Self { sender, queries, .. } = self;
        let lines = sender.open().saturating_sub(exit_is_open.into());
        let open = sender.into_open().take(lines);
        open.filter(move |(id, _)| !queries.is_of_client(*id)).map(|(_, line)| line)
    }

    /// Starts to prove our new address to the server.
    pub(crate) fn prove(&mut self, now: Instant) {
        self.proofs = Some(AddressProofs::new(now));
    }

    /// Goes on over a connection that carries the messages. Its address needs no proof (C1).
    pub(crate) fn carry(&mut self) {
        self.receiver.carry();
        self.sender.carry();
        self.proofs = None;
    }

    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], now: Instant, output: &mut Output) {
        let Self { receiver, sender, transcript, queries, sent_lines, is_output_full, .. } = self;
        let mut take = |event: Event<'_>| {
            sender.handle_event(&event, now);
            if !sent_lines.take(&event, output) {
                transcript.take(&event, queries, now, output);
            }
        };
        match is_output_full {
            false => receiver.handle_datagram(datagram, now, take),
            true => receiver.handle_asides(datagram, now, &mut take),
        };
    }

    /// Notes whether the output is full. While it is, entries are not accepted, and the server
    /// repairs them later as long as it holds them. So a slow reader loses nothing until then, and
    /// uses none of our memory. The server still hears from us.
    pub(crate) fn note_output(&mut self, is_full: bool, now: Instant) {
        if std::mem::replace(&mut self.is_output_full, is_full) && !is_full {
            self.receiver.doubt(now);
        }
        if is_full {
            self.sent_lines.note_skipping();
        }
    }

    pub(crate) fn accepts_lines(&self) -> bool {
        self.leaving.is_none() && !self.transcript.is_over() && self.sender.has_space()
    }

    /// # Errors
    /// The ids of this membership are used up. There is space whenever [`Self::accepts_lines`] is
    /// true.
    pub(crate) fn push(&mut self, line: &[u8]) -> Result<(), PushError> {
        let id = self.sender.push(line)?;
        if member_queries::is_question(line) {
            self.queries.note(id, Asker::User);
        }
        self.sent_lines.note_push(id, line);
        Ok(())
    }

    /// Requests the list of members for the client itself.
    pub(crate) fn request_members(&mut self) {
        // The answer is a convenience. Without space the query is left out.
        if let Ok(id) = self.sender.push(member_queries::WHO.as_bytes()) {
            self.queries.note(id, Asker::Client);
        }
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        if self.leaving.is_none() {
            let (exit, open) = (Some(EXIT.as_bytes().into()), self.unaccepted().open);
            self.leaving = Some(Leaving { exit, open, by: now + EXIT_PATIENCE });
        }
    }

    /// Extends the deadline of waiting lines while there is no path for them.
    pub(crate) fn wait_for_path(&mut self, now: Instant) {
        let has_lines = self.unaccepted().open > 0;
        if let Some(leaving) = self.leaving.as_mut().filter(|_| has_lines) {
            leaving.by = leaving.by.max(now + PATH_PATIENCE);
        }
    }

    /// Sends `/exit` once there is space for it, and extends the deadline when the server accepts
    /// lines. No other reply extends it, because a server could repeat that for ever.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let open = self.unaccepted().open;
        let Some(leaving) = &mut self.leaving else { return };
        if open < leaving.open {
            (leaving.open, leaving.by) = (open, now + EXIT_PATIENCE);
        }
        leaving.exit.take_if(|exit| self.sender.push(exit).is_ok());
    }

    /// Returns the time at which a leaving client stops waiting for open lines.
    pub(crate) fn leaves_by(&self) -> Option<Instant> {
        self.leaving.as_ref().map(|leaving| leaving.by)
    }

    /// Takes over the deadline of an earlier membership, if it is sooner.
    pub(crate) fn leave_by(&mut self, by: Instant) {
        if let Some(leaving) = &mut self.leaving {
            leaving.by = leaving.by.min(by);
        }
    }

    /// Writes the body of the next datagram.
    pub(crate) fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        if self.transcript.is_away() {
            return false;
        }
        if self.sender.timeouts() > 0 {
            // Otherwise only the next keep-alive would notice a dead server, up to 20 s later.
            self.receiver.doubt(now);
        }
        self.receiver.poll_transmit(now, out)
            || self.sender.poll_transmit(now, out)
            || self.transmit_proof(now, out)
    }

    /// Writes an additional `have`. The server answers it, and the answer ends the proofs.
    fn transmit_proof(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let heard = self.receiver.last_heard();
        let Some(proofs) = self.proofs.as_mut().filter(|proofs| proofs.next <= now) else {
            return false;
        };
        if heard > proofs.since {
            self.proofs = None;
            return false;
        }
        upstream::encode_have(self.receiver.next(), out);
        match proofs.rest.next() {
            Some(pause) => proofs.next = now + *pause,
            None => self.proofs = None,
        }
        true
    }

    /// Returns the time of the next datagram, if one is planned.
    pub(crate) fn transmit_at(&self) -> Option<Instant> {
        if self.transcript.is_away() {
            return None;
        }
        let proof = self.proofs.as_ref().map(|proofs| proofs.next);
        let deadlines = [self.receiver.poll_timeout(), self.sender.poll_timeout(), proof];
        deadlines.into_iter().flatten().min()
    }

    /// Returns the time at which the client ends at the latest, if it is known.
    pub(crate) fn ends_by(&self) -> Option<Instant> {
        [self.transcript.over_by(), self.leaves_by()].into_iter().flatten().min()
    }

    pub(crate) fn has_ended(&self, now: Instant) -> bool {
        let is_complete =
            self.receiver.is_complete() && !self.sent_lines.is_waiting(self.sender.first());
        (self.transcript.is_over() && is_complete) || self.ends_by().is_some_and(|by| by <= now)
    }

    /// Shows the end of the membership, and what is missing.
    pub(crate) fn finish(&mut self, output: &mut Output) {
        if self.is_output_full {
            output.add_notice(b"what came last is missing, nobody read what came before");
        }
        if self.receiver.is_complete() {
            self.sent_lines.finish(self.sender.first(), output);
        }
        self.transcript.finish(output);
    }

    /// Counts the user's lines that the server has not accepted as far as we know, except `/exit`.
    pub(crate) fn unaccepted(&self) -> UnacceptedLines {
        let exit_is_open = self.leaving.as_ref().is_some_and(|leaving| leaving.exit.is_none());
        let open = self.open_ids().count().saturating_sub(usize::from(exit_is_open));
        UnacceptedLines { open, refused: self.refused_before + self.sent_lines.refused() }
    }

    fn open_ids(&self) -> impl Iterator<Item = u32> {
        self.sender.open_ids().filter(|id| !self.queries.is_of_client(*id))
    }

    /// Returns the user's lines that the server has not accepted as far as we know.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &[u8]> {
        let open = self.sender.open_ids().zip(self.sender.open_texts());
        open.filter(|(id, _)| !self.queries.is_of_client(*id)).map(|(_, text)| text)
    }

    /// Returns true if the membership goes on and we do not leave.
    pub(crate) fn is_staying(&self) -> bool {
        self.leaving.is_none() && !self.transcript.is_over() && !self.transcript.is_away()
    }

    /// Returns true if a path to the server is useful: we stay, or lines wait. If the path `is_cut`,
    /// our `/exit` waits too.
    pub(crate) fn wants_path(&self, is_cut: bool) -> bool {
        !self.transcript.is_over() && (is_cut || self.has_business())
    }

    /// Returns true if we stay, or if lines wait.
    fn has_business(&self) -> bool {
        self.leaving.is_none() || self.unaccepted().open > 0
    }

    /// Returns the reason if the membership has just ended and another one should follow it.
    /// Entries that are still missing come first.
    pub(crate) fn take_unwanted_end(&mut self, now: Instant, output: &mut Output) -> Option<Code> {
        let is_due =
            self.receiver.is_complete() || self.transcript.over_by().is_some_and(|by| by <= now);
        let is_followed = self.transcript.may_be_followed() && is_due && self.has_business();
        is_followed.then(|| self.transcript.go_away(output))?
    }

    /// Returns true if the datagram is for this membership.
    pub(crate) fn knows(&self, datagram: &[u8]) -> bool {
        downstream::parse(datagram).is_some_and(|(header, _)| header.tag == self.tag)
    }

    /// Returns the server's idle timeout.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.idle_timeout
    }

    /// Probes the server: the answer shows that it is there and knows us.
    pub(crate) fn ask_for_answer(&mut self, now: Instant) {
        self.receiver.doubt(now);
    }

    /// Returns the number of unanswered probes.
    pub(crate) fn unanswered(&self) -> u32 {
        self.receiver.unanswered()
    }

    /// Returns the time to look for a lost server. A server that comes back later has removed us
    /// anyway.
    pub(crate) fn patience(&self) -> Duration {
        // A restart may take longer than a short idle timeout.
        let least = if self.transcript.is_away() { LONG_PATIENCE } else { Duration::ZERO };
        self.patience.max(least)
    }
}
