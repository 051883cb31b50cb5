//! HTTP/3 on the streams of a connection: the pieces in which bytes arrive do not matter, and a stopped stream and
//! a session stay ended.

use reactor_chat::quic::h3::{Action, Http3, code};

use super::input::Input;

/// Streams of a client.
const STREAMS: [u64; 8] = [0, 2, 4, 6, 8, 10, 12, 14];

/// Everything that comes out of a connection.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    actions: Vec<Action>,
    /// Bytes for the application, by stream.
    contents: Vec<(u64, Vec<u8>)>,
    error: Option<u64>,
    stopped: Vec<u64>,
}

impl Outcome {
    fn act(&mut self, http3: &mut Http3, status: u16) {
        while let Some(action) = http3.poll_action() {
            match &action {
                Action::Stop { stream, .. } => self.stopped.push(*stream),
                Action::Request(_) => http3.answer(status),
                Action::Write { bytes, .. } => assert!(bytes.len() <= 1_100),
                Action::Reset { stream, .. } => assert_eq!(stream & 2, 0, "not ours"),
                Action::Closed { .. } => assert_eq!(http3.session(), None),
            }
            self.actions.push(action);
        }
    }
}

/// The input is the status of answers, then steps: a stream and an operation, and its bytes.
pub fn http3(data: &[u8]) {
    let whole = run(Input(data), usize::MAX);
    let (bytewise, in_threes) = (run(Input(data), 1), run(Input(data), 3));
    // The budget for skipped bytes may end with another piece.
    let is_over = |outcome: &Outcome| outcome.error == Some(code::EXCESSIVE_LOAD);
    if ![&whole, &bytewise, &in_threes].into_iter().any(is_over) {
        assert_eq!(bytewise, whole, "byte by byte");
        assert_eq!(in_threes, whole, "in threes");
    }
}

fn run(mut input: Input<'_>, piece: usize) -> Outcome {
    let (mut http3, mut outcome) = (Http3::new(), Outcome::default());
    let status = [200, 403, 404][input.pick(3)];
    while !input.is_empty() && outcome.error.is_none() {
        let stream = STREAMS[input.pick(STREAMS.len())];
        let operation = input.pick(8);
        let bytes = input.bytes();
        if outcome.stopped.contains(&stream) {
            continue;
        }
        let result = match operation {
            0 => http3.handle_finish(stream),
            1 => http3.handle_reset(stream),
            2 => http3.handle_datagram(&bytes).map(drop),
            3 => {
                http3.close(4_000, &String::from_utf8_lossy(&bytes));
                Ok(())
            }
            _ => bytes
                .chunks(piece)
                .try_for_each(|part| feed(&mut http3, &mut outcome, (stream, part), status)),
        };
        if operation <= 1 {
            outcome.stopped.push(stream);
        }
        outcome.act(&mut http3, status);
        outcome.error = result.err().map(|error| error.code);
    }
    outcome
}

fn feed(
    http3: &mut Http3,
    outcome: &mut Outcome,
    (stream, part): (u64, &[u8]),
    status: u16,
) -> Result<(), reactor_chat::quic::h3::Error> {
    if outcome.stopped.contains(&stream) {
        return Ok(());
    }
    let result = http3.handle_bytes(stream, part);
    if let Ok(Some(content)) = result
        && !content.is_empty()
    {
        match outcome.contents.last_mut().filter(|last| last.0 == stream) {
            Some(last) => last.1.extend_from_slice(content),
            None => outcome.contents.push((stream, content.to_vec())),
        }
    }
    outcome.act(http3, status);
    result.map(drop)
}
