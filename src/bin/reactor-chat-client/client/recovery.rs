//! Recovery with stream delivery: a server that is silent, and the membership that follows a lost
//! one. `reconnect.rs` makes the attempts.

use std::time::Duration;

use reactor_chat::protocol::Operation;

use super::{Client, LINK};
use crate::admission::Terms;
use crate::explain;
use crate::joined_room::JoinedRoom;
use crate::link::Link;
use crate::path_check::PathCheck;
use crate::reconnect::ReconnectOutcome;
use crate::requests::Membership;
use crate::sanitize::plain;

/// A shorter delay of a turn may come from a busy machine.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

impl Client {
    /// Detects a time in which the client did not run: the server may have removed us.
    pub(super) fn note_suspension(&mut self) {
        let pause = self.suspension.take();
        let Some(stream) = self.room.stream().filter(|stream| stream.is_staying()) else { return };
        let Some(idle_timeout) = stream.idle_timeout() else { return };
        if pause >= idle_timeout + LEAST_PAUSE {
            self.reconnect.note_pause(pause, self.now, &mut self.output);
        } else if pause >= idle_timeout / 2 {
            stream.ask_for_answer(self.now);
        }
    }

    /// Handles the results of attempts to get back, and starts the next one.
    pub(super) fn poll_reconnect(&mut self) {
        self.note_silence();
        self.handle_unwanted_end();
        self.check_path();
        let is_cut = self.link.has_ended();
        let stream = self.room.stream().filter(|stream| stream.wants_path(is_cut));
        let Some(stream) = stream else { return };
        let patience = stream.patience();
        match self.reconnect.take(self.now) {
            ReconnectOutcome::Nothing => {}
            ReconnectOutcome::Resumed(membership) => self.resume(membership),
            ReconnectOutcome::Entered(membership) => self.enter_again(membership),
            ReconnectOutcome::CannotCarry => {
                self.reconnect.stop_carrying(self.now, &mut self.output)
            }
            ReconnectOutcome::Failed(failure) => self.lose(failure),
        }
        if let Some(failure) = self.reconnect.give_up(patience, self.now) {
            self.lose(failure);
        }
        self.reconnect.try_if_due(self.link.token(), self.now);
    }

    /// Counts the probes without an answer. There are none while we do not read. A new connection
    /// counts as one, until something has come on it. This runs after receiving and again after
    /// transmitting: the next turn may be seconds away.
    pub(super) fn note_silence(&mut self) {
        if self.link.has_ended() {
            self.note_cut();
            return;
        }
        let is_reading = self.is_reading();
        let is_unproved = self.link.is_carried() && !self.path.works();
        if let Some(stream) = self.room.stream().filter(|stream| stream.is_staying()) {
            let unanswered = if is_reading { stream.unanswered() } else { 0 };
            let unanswered = unanswered.max(u32::from(is_unproved));
            self.reconnect.note(unanswered, self.now, &mut self.output);
        }
    }

    /// Starts to get back after the end of the connection that carried the messages (C2).
    fn note_cut(&mut self) {
        let Some(stream) = self.room.stream().filter(|stream| stream.wants_path(true)) else {
            return;
        };
        if self.path.works() {
            self.path.lose();
            stream.wait_for_path(self.now);
        }
        self.reconnect.note_cut(self.now, &mut self.output);
    }

    /// Starts to get back after an end of the membership that the user did not want.
    fn handle_unwanted_end(&mut self) {
        let Some(stream) = self.room.stream() else { return };
        let Some(why) = stream.take_unwanted_end(self.now, &mut self.output) else { return };
        self.path.lose();
        self.reconnect.begin(why, self.now, &mut self.output);
    }

    /// Handles a path on which no datagram has come back in time.
    fn check_path(&mut self) {
        let Some(address) = self.path.take_doubt(self.now) else { return };
        match self.room.stream() {
            Some(_) => self.reconnect.note_silent_address(address, self.now, &mut self.output),
            None => self.output.notify(&explain::quiet_path(address)),
        }
    }

    /// Goes on as the same member from another address, or on another path.
    fn resume(&mut self, membership: Membership) {
        let Some((former, _)) = self.switch_to(membership) else { return };
        if self.link.is_carried()
            && let Some(silent) = former.server()
        {
            self.output.notify(&explain::carried_now(silent));
        }
        self.link.replace(former);
        match self.link.is_carried() {
            true => self.room.carry(),
            false => self.room.prove(self.now),
        }
        let greeting = self.path.take_greeting();
        self.path = PathCheck::of(&self.link, greeting, self.now);
    }

    /// Goes on as a new member, which says what the old one could not say any more.
    fn enter_again(&mut self, membership: Membership) {
        let Some((_, terms)) = self.switch_to(membership) else { return };
        let leaves_by = self.room.stream().and_then(|stream| stream.leaves_by());
        let room = self.successor(&terms).on_path(self.link.is_carried());
        let old = std::mem::replace(&mut self.room, room);
        if let JoinedRoom::Streamed(stream) = old {
            stream.into_unsaid().for_each(|line| self.push(&line));
        }
        self.reconnect.forget();
        self.output.begin_again(self.options.operation == Operation::Create);
        let greeting = format!("in {} again", plain(&self.options.room));
        self.path = PathCheck::of(&self.link, Some(greeting), self.now);
        if let Some(by) = leaves_by {
            self.leave();
            // Without the old deadline, a server could remove and readmit us for ever.
            self.room.stream().into_iter().for_each(|stream| stream.leave_by(by));
        }
    }

    fn successor(&mut self, terms: &Terms) -> JoinedRoom {
        match (terms, self.room.stream()) {
            (Terms::Stream(completion), Some(stream)) => {
                let next =
                    stream.successor(completion, &self.options.room, self.now, &mut self.output);
                JoinedRoom::Streamed(Box::new(next))
            }
            _ => JoinedRoom::new(terms, &self.options, self.output.shows_own(), self.now),
        }
    }

    /// Replaces the path and the token. Returns the former path, and the terms of the new one. Returns
    /// `None` if the new socket does not work: then the silence goes on, and so do the attempts.
    fn switch_to(&mut self, membership: Membership) -> Option<(Link, Terms)> {
        let (link, terms) =
            Link::open(self.poll.registry(), LINK, &self.options, membership, self.now).ok()?;
        self.unopened += self.link.take_unopened();
        self.reconnect.note_path(link.is_carried());
        Some((std::mem::replace(&mut self.link, link), terms))
    }
}
