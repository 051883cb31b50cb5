//! The one session of a connection, from its request to its end, and the actions on the way.

use std::collections::VecDeque;

use super::action::Action;
use super::capsule;
use super::error::code;
use super::frame;
use super::request::{self, SessionRequest};
use super::settings::Settings;

/// State of the session, whose id is the number of its stream.
#[derive(Debug)]
enum State {
    None,
    /// The peer's SETTINGS are missing. A request may arrive before them.
    Waiting {
        id: u64,
        request: SessionRequest,
        is_draft_02: bool,
    },
    /// The owner has not answered yet.
    Asked {
        id: u64,
        is_draft_02: bool,
    },
    Open {
        id: u64,
    },
    /// We closed it, and wait for the peer.
    Closing {
        id: u64,
    },
    Ended,
}

#[derive(Debug)]
pub(super) struct Session {
    state: State,
    settings: Option<Settings>,
    actions: VecDeque<Action>,
}

impl Session {
    pub(super) fn new() -> Self {
        Self { state: State::None, settings: None, actions: VecDeque::new() }
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Returns the id of the open session.
    pub(super) fn id(&self) -> Option<u64> {
        if let State::Open { id } = self.state { Some(id) } else { None }
    }

    /// Takes a request, unless there was one before.
    pub(super) fn begin(&mut self, id: u64, request: SessionRequest, is_draft_02: bool) -> bool {
        let is_first = matches!(self.state, State::None);
        if is_first {
            self.state = State::Waiting { id, request, is_draft_02 };
            self.ask();
        }
        is_first
    }

    pub(super) fn has_settings(&self) -> bool {
        self.settings.is_some()
    }

    /// Notes the peer's SETTINGS.
    pub(super) fn set_settings(&mut self, settings: Settings) {
        self.settings = Some(settings);
        self.ask();
    }

    /// Passes the request on once the SETTINGS are there.
    fn ask(&mut self) {
        let Some(settings) = self.settings else { return };
        match std::mem::replace(&mut self.state, State::None) {
            State::Waiting { id, .. } if !settings.has_datagrams => {
                self.abort(id, code::MESSAGE_ERROR);
            }
            State::Waiting { id, request, is_draft_02 } => {
                let is_draft_02 = is_draft_02 || settings.is_early_draft;
                self.state = State::Asked { id, is_draft_02 };
                self.actions.push_back(Action::Request(request));
            }
            other => self.state = other,
        }
    }

    pub(super) fn answer(&mut self, status: u16) {
        let State::Asked { id, is_draft_02 } = self.state else { return };
        let is_granted = (200..300).contains(&status);
        self.state = if is_granted { State::Open { id } } else { State::None };
        self.respond(id, status, is_granted && is_draft_02, !is_granted);
    }

    /// Writes an answer, which is complete if it is no session's.
    pub(super) fn respond(&mut self, stream: u64, status: u16, is_draft_02: bool, finish: bool) {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, frame::HEADERS, &request::answer(status, is_draft_02));
        self.actions.push_back(Action::Write { stream, bytes, finish });
        if finish {
            self.actions.push_back(Action::Stop { stream, code: code::NO_ERROR });
        }
    }

    pub(super) fn close(&mut self, code: u32, reason: &str) {
        let Some(stream) = self.id() else { return };
        self.state = State::Closing { id: stream };
        let mut bytes = Vec::new();
        capsule::put_close(&mut bytes, code, reason);
        self.actions.push_back(Action::Write { stream, bytes, finish: true });
    }

    /// Notes that the peer has ended the stream `id`, with the code of its capsule. If this is the
    /// session's stream, our side ends too.
    pub(super) fn end(&mut self, id: u64, code: u32) {
        match self.state {
            State::Asked { id: own, .. } | State::Open { id: own } if own == id => {
                let finish = Action::Write { stream: id, bytes: Vec::new(), finish: true };
                self.actions.push_back(finish);
                self.actions.push_back(Action::Closed { code });
            }
            State::Closing { id: own } if own == id => {
                self.actions.push_back(Action::Closed { code });
            }
            State::Waiting { id: own, .. } if own == id => self.reset(id, code::MESSAGE_ERROR),
            _ => return,
        }
        self.state = State::Ended;
    }

    pub(super) fn stop(&mut self, stream: u64, code: u64) {
        self.actions.push_back(Action::Stop { stream, code });
    }

    fn reset(&mut self, stream: u64, code: u64) {
        self.actions.push_back(Action::Reset { stream, code });
    }

    /// Ends both sides of a stream.
    pub(super) fn abort(&mut self, stream: u64, code: u64) {
        self.stop(stream, code);
        if is_bidirectional(stream) {
            self.reset(stream, code);
        }
    }
}

/// Returns whether both sides send on a stream (RFC 9000, section 2.1).
pub(super) fn is_bidirectional(stream: u64) -> bool {
    stream & 2 == 0
}
