//! Reports a server that does not answer, and schedules the attempts to get back to it.
//!
//! With stream delivery, a few seconds of silence start an attempt over TCP: the server says
//! whether we are still a member, and makes us one again if not. The attempt blocks, so it runs in
//! a thread, which reports through a channel and a [`Waker`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;

use crate::credential::Credential;
use crate::explain;
use crate::failure::Failure;
use crate::options::{ChatOptions, Server};
use crate::output::Output;
use crate::rejoin::{RejoinOutcome, rejoin};
use crate::requests::Membership;
use crate::sanitize::plain;
use reactor_chat::protocol::stream::Code;

/// Number of unanswered probes after which the user is told. Probes follow the first one after 1,
/// 3, 7 and more seconds.
const TOLD_AFTER: u32 = 3;
/// Number of unanswered probes after which the first attempt starts.
const RETURN_AFTER: u32 = 4;
/// The first attempt starts by this time at the latest: on a slow network the probes are further
/// apart.
const RETURN_BY: Duration = Duration::from_secs(15);
/// The pause between two attempts doubles from the first to the longest: the clients of a restarted
/// server must not all come at once, again and again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A restarting server needs this long at least.
const RESTART: Duration = Duration::from_secs(1);
/// The most silent addresses that are remembered.
const MOST_SILENT: usize = 16;
/// Time that a guest waits for its host to create the room again. A quiet host notices a lost
/// server with its next keep-alive, up to 20 s later, and then probes for about 10 s.
const ROOM_PATIENCE: Duration = Duration::from_secs(45);

/// The outcome of [`Reconnect::take`].
pub(crate) enum ReconnectOutcome {
    /// No attempt has ended.
    Nothing,
    /// The old membership goes on.
    Resumed(Membership),
    /// We are a new member.
    Entered(Membership),
    /// The server carries no messages.
    CannotCarry,
    /// No further attempt can succeed.
    Failed(Failure),
}

/// The state of the silence and of the attempts.
pub(crate) struct Reconnect {
    waker: Arc<Waker>,
    options: Arc<ChatOptions>,
    /// Time of the first unanswered probe.
    asked_at: Option<Instant>,
    /// Start of the silence, if it is more than one lost datagram.
    silent_since: Option<Instant>,
    /// True if the user knows of the silence.
    is_told: bool,
    try_at: Option<Instant>,
    /// Start of the last attempt.
    tried_at: Option<Instant>,
    running: Option<Receiver<RejoinOutcome>>,
    /// Time at which the room was first missing.
    gone_since: Option<Instant>,
    last_failure: Option<Failure>,
    /// The next pause between two attempts.
    pause: Duration,
    /// True if the server has ended the membership of the token.
    is_token_dead: bool,
    /// Addresses that answer over TCP but not over UDP, the longest silent first.
    silent: Vec<SocketAddr>,
    /// True if the attempts ask for a connection that carries the messages.
    carries: bool,
    /// True while the first attempt to carry the messages runs. Its success is told instead.
    is_switching: bool,
    /// False once the server has shown that it carries no messages.
    can_carry: bool,
}

impl Reconnect {
    pub(crate) fn new(options: Arc<ChatOptions>, waker: Arc<Waker>) -> Self {
        Self {
            waker,
            carries: options.carries,
            is_switching: false,
            can_carry: true,
            options,
            asked_at: None,
            silent_since: None,
            is_told: false,
            try_at: None,
            tried_at: None,
            running: None,
            gone_since: None,
            last_failure: None,
            pause: FIRST_PAUSE,
            is_token_dead: false,
            silent: Vec::new(),
        }
    }

    /// Starts the attempts after the server has ended the membership.
    pub(crate) fn begin(&mut self, why: Code, now: Instant, output: &mut Output) {
        output.notify(&format!("trying to get back into {}", plain(&self.options.room)));
        let pause = if why == Code::ServerStopping { RESTART } else { Duration::ZERO };
        self.is_token_dead = true;
        (self.silent_since, self.is_told) = (Some(now), true);
        self.try_at = Some(now + pause);
    }

    /// Handles a suspension that was longer than the server's idle timeout.
    pub(crate) fn note_pause(&mut self, pause: Duration, now: Instant, output: &mut Output) {
        let seconds = pause.as_secs();
        output.notify(&format!(
            "nothing ran here for {seconds} s, asking whether we are still a member"
        ));
        self.silent_since.get_or_insert(now);
        self.is_told = true;
        self.try_at = Some(now);
    }

    /// Notes that the connection of a carried membership has ended. The first attempt starts at
    /// once, but a server that ends every connection gets one a second. Only a failure is worth a
    /// line.
    pub(crate) fn note_cut(&mut self, now: Instant, output: &mut Output) {
        self.silent_since.get_or_insert(now);
        let next = self.tried_at.map_or(now, |at| now.max(at + FIRST_PAUSE));
        self.try_at.get_or_insert(next);
        if !self.is_told && self.last_failure.is_some() {
            self.is_told = true;
            let room = plain(&self.options.room);
            output.notify(&format!("the connection has ended, trying to get back into {room}"));
        }
    }

    /// Notes whether a connection carries the messages of the membership.
    pub(crate) fn note_path(&mut self, is_carried: bool) {
        (self.carries, self.is_switching) = (is_carried, false);
    }

    /// Notes that no datagram has come back from this address. The next attempt asks for a
    /// connection that carries the messages (C5). If the server is too old for that, it prefers the
    /// host's other addresses.
    pub(crate) fn note_silent_address(
        &mut self,
        address: SocketAddr,
        now: Instant,
        output: &mut Output,
    ) {
        let is_known = self.silent.contains(&address);
        self.silent.retain(|silent| *silent != address);
        self.silent.truncate(MOST_SILENT - 1);
        self.silent.push(address);
        self.silent_since.get_or_insert(now);
        if self.can_carry {
            (self.carries, self.is_switching, self.try_at) = (true, true, Some(now));
        } else if !is_known {
            self.try_other_addresses(address, now, output);
        }
    }

    /// Notes that the server carries no messages.
    pub(crate) fn stop_carrying(&mut self, now: Instant, output: &mut Output) {
        (self.carries, self.is_switching, self.can_carry) = (false, false, false);
        if let Some(address) = self.silent.last() {
            self.try_other_addresses(*address, now, output);
        }
    }

    fn try_other_addresses(&mut self, silent: SocketAddr, now: Instant, output: &mut Output) {
        if let Server::Network(server) = &self.options.server {
            output.notify(&explain::blocked_path(server, silent));
        }
        (self.is_told, self.try_at) = (true, Some(now));
    }

    /// Notes the number of unanswered probes. Tells the user when silence begins and ends, and
    /// starts the attempts.
    pub(crate) fn note(&mut self, unanswered: u32, now: Instant, output: &mut Output) {
        self.asked_at = (unanswered > 0).then(|| self.asked_at.unwrap_or(now));
        let is_late = self.asked_at.is_some_and(|at| at + RETURN_BY <= now);
        let is_silent = unanswered >= TOLD_AFTER || is_late;
        if is_silent && !self.is_told && !self.is_switching {
            output.notify("no answer from the server, still trying");
            self.silent_since.get_or_insert(now);
            self.is_told = true;
        } else if self.silent_since.is_some() && unanswered == 0 {
            if self.is_told {
                output.notify("the server answers again");
            }
            self.forget();
        }
        if self.try_at.is_none() && (unanswered >= RETURN_AFTER || is_late) {
            output.notify(&format!(
                "still no answer, trying to get back into {}",
                plain(&self.options.room)
            ));
            self.try_at = Some(now);
        }
    }

    /// Ends the silence. An attempt in progress is still awaited, because it may change our address
    /// at the server.
    pub(crate) fn forget(&mut self) {
        (self.asked_at, self.silent_since, self.try_at) = (None, None, None);
        (self.gone_since, self.last_failure) = (None, None);
        (self.pause, self.is_token_dead) = (FIRST_PAUSE, false);
        (self.is_told, self.is_switching) = (false, false);
    }

    /// Starts an attempt if one is due.
    pub(crate) fn try_if_due(&mut self, token: &Credential, now: Instant) {
        if self.running.is_some() || self.try_at.is_none_or(|at| at > now) {
            return;
        }
        (self.tried_at, self.try_at) = (Some(now), Some(now + self.pause));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let (sender, receiver) = channel();
        let (options, waker) = (Arc::clone(&self.options), Arc::clone(&self.waker));
        let token = (!self.is_token_dead).then(|| token.clone());
        let (silent, carries) = (self.silent.clone(), self.carries);
        let job = move || {
            // If the receiver or the poll is gone, the loop has ended.
            let _ = sender.send(rejoin(&options, token.as_ref(), &silent, carries));
            let _ = waker.wake();
        };
        match thread::Builder::new().name("return".into()).spawn(job) {
            Ok(_) => self.running = Some(receiver),
            Err(error) => self.last_failure = Some(Failure::new("start a thread", error)),
        }
    }

    /// Returns the outcome of the attempt in progress, if it has ended.
    pub(crate) fn take(&mut self, now: Instant) -> ReconnectOutcome {
        let outcome = match self.running.as_ref().map(Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => return ReconnectOutcome::Nothing,
            Some(Ok(outcome)) => Some(outcome),
            // The thread panicked. The next attempt may not.
            Some(Err(TryRecvError::Disconnected)) => None,
        };
        self.running = None;
        match outcome {
            None => ReconnectOutcome::Nothing,
            Some(RejoinOutcome::Resumed(membership)) => ReconnectOutcome::Resumed(membership),
            Some(RejoinOutcome::Entered(membership)) => ReconnectOutcome::Entered(membership),
            Some(RejoinOutcome::Refused(failure)) => ReconnectOutcome::Failed(failure),
            Some(RejoinOutcome::NoRoom(failure)) => self.miss_room(failure, now),
            Some(RejoinOutcome::NotYet(failure)) => self.fail(failure),
            Some(RejoinOutcome::CannotCarry) => ReconnectOutcome::CannotCarry,
        }
    }

    fn miss_room(&mut self, failure: Failure, now: Instant) -> ReconnectOutcome {
        match *self.gone_since.get_or_insert(now) {
            since if now.saturating_duration_since(since) < ROOM_PATIENCE => self.fail(failure),
            _ => ReconnectOutcome::Failed(failure),
        }
    }

    /// Keeps the failure for [`Self::give_up`].
    fn fail(&mut self, failure: Failure) -> ReconnectOutcome {
        (self.last_failure, self.is_switching) = (Some(failure), false);
        ReconnectOutcome::Nothing
    }

    /// Returns the failure once the silence has lasted for `patience`.
    pub(crate) fn give_up(&mut self, patience: Duration, now: Instant) -> Option<Failure> {
        self.silent_since.filter(|since| *since + patience <= now)?;
        let why = self.last_failure.take().map(|why| why.to_string());
        let why = why.or_else(|| self.silent.last().map(|at| explain::silent_port(*at)));
        let why = why.unwrap_or_else(|| "nothing comes from it".into());
        Some(explain::lost_server(&self.options, &why))
    }

    /// Returns the next deadline.
    pub(crate) fn poll_timeout(&self, patience: Duration) -> Option<Instant> {
        let give_up_at = self.silent_since.map(|since| since + patience);
        let try_at = match self.try_at {
            None => self.asked_at.map(|at| at + RETURN_BY),
            at => at.filter(|_| self.running.is_none()),
        };
        give_up_at.into_iter().chain(try_at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Invocation, parse};
    use crate::stdout::PlainLines;
    use mio::{Poll, Token};

    fn reconnect() -> Reconnect {
        let poll = Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), Token(0)).expect("a waker");
        let words = ["join", "r", "bob"].map(Into::into);
        let Ok(Invocation::Chat(options)) = parse(words) else { panic!("a chat") };
        Reconnect::new(Arc::new(options), Arc::new(waker))
    }

    #[test]
    fn s15_guest_waits_45_s_for_its_host() {
        let (mut reconnect, start) = (reconnect(), Instant::now());
        let mut is_given_up = |seconds| {
            let now = start + Duration::from_secs(seconds);
            let outcome = reconnect.miss_room(Failure::new("join", "no such room"), now);
            matches!(outcome, ReconnectOutcome::Failed(_))
        };
        assert_eq!([0, 3, 30, 44].map(&mut is_given_up), [false; 4]);
        assert!(is_given_up(45));
    }

    #[test]
    fn s8_reconnects_after_15_s_at_most() {
        let (mut reconnect, start) = (reconnect(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let patience = Duration::from_secs(300);
        let mut output = Output::plain(PlainLines::new(), None);
        let mut tried_at = |unanswered, seconds| {
            reconnect.note(unanswered, at(seconds), &mut output);
            (reconnect.try_at, reconnect.poll_timeout(patience))
        };
        assert_eq!(tried_at(1, 1), (None, Some(at(16))));
        assert_eq!(tried_at(0, 2), (None, None));
        assert_eq!(tried_at(1, 20), (None, Some(at(35))));
        assert_eq!(tried_at(2, 34), (None, Some(at(35))));
        assert_eq!(tried_at(2, 35), (Some(at(35)), Some(at(35))));
        assert_eq!(tried_at(0, 36), (None, None));
        // On a fast network the fourth probe comes sooner.
        assert_eq!(tried_at(1, 40).0, None);
        assert_eq!(tried_at(4, 47).0, Some(at(47)));
    }

    #[test]
    fn c2_cuts_cause_one_attempt_a_second() {
        let (mut reconnect, start) = (reconnect(), Instant::now());
        let mut output = Output::plain(PlainLines::new(), None);
        reconnect.note_cut(start, &mut output);
        assert_eq!(reconnect.try_at, Some(start), "at once");
        reconnect.forget();
        reconnect.tried_at = Some(start);
        reconnect.note_cut(start + FIRST_PAUSE / 4, &mut output);
        assert_eq!(reconnect.try_at, Some(start + FIRST_PAUSE));
        reconnect.forget();
        let late = start + 2 * FIRST_PAUSE;
        reconnect.note_cut(late, &mut output);
        assert_eq!(reconnect.try_at, Some(late));
    }

    #[test]
    fn s8_answer_resets_patience() {
        let (mut reconnect, start) = (reconnect(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let patience = Duration::from_secs(300);
        let mut output = Output::plain(PlainLines::new(), None);
        reconnect.note(TOLD_AFTER, at(0), &mut output);
        assert!(reconnect.give_up(patience, at(299)).is_none());
        reconnect.note(0, at(299), &mut output);
        reconnect.note(TOLD_AFTER, at(310), &mut output);
        assert!(reconnect.give_up(patience, at(609)).is_none());
        assert!(reconnect.give_up(patience, at(610)).is_some());
    }
}
