//! Frames by the case list of the Autobahn suite (sections 1 to 7 and 9), without the cases about the echo
//! of long messages: ours have a limit.

use super::*;
use proptest::prelude::*;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CONTINUATION: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;

/// Returns a masked frame. `first` has the kind and the bits before it.
fn frame(first: u8, content: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match content.len() {
        size @ 0..=125 => frame.push(0x80 | size as u8),
        size @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((size as u16).to_be_bytes());
        }
        size => {
            frame.push(0x80 | 127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

fn close_frame(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(FINAL | CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// Results of a whole input.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    texts: Vec<String>,
    binaries: Vec<Vec<u8>>,
    pongs: usize,
    /// Frames to the peer.
    answers: Vec<u8>,
    ending: Option<Ending>,
    /// Input that was not taken.
    rest: usize,
}

/// Reads an input as a connection does that gets it in pieces of this size.
fn run(input: &[u8], piece: usize) -> Run {
    let (mut socket, mut run, mut inbox) = (WebSocket::default(), Run::default(), Vec::new());
    for bytes in input.chunks(piece.max(1)) {
        inbox.extend_from_slice(bytes);
        while run.ending.is_none() && has_frame(&inbox) {
            let (size, received) = socket.read(&inbox, &mut run.answers);
            assert!(size > 0, "each read takes something");
            inbox.drain(..size);
            match received {
                Received::Text(text) => run.texts.push(text.as_str().into()),
                Received::Binary(content) => run.binaries.push(content.to_vec()),
                Received::Pong => run.pongs += 1,
                Received::Nothing => {}
                Received::Closed(ending) => run.ending = Some(ending),
            }
        }
        socket.rest();
        assert_eq!(socket.held_bytes() > 0, socket.is_within_message());
    }
    run.rest = inbox.len();
    run
}

/// Reads frames in one piece and byte by byte, which must not differ.
fn read_all(frames: &[Vec<u8>]) -> Run {
    let input = frames.concat();
    let whole = run(&input, input.len());
    let Run { texts, binaries, answers, ending, .. } = run(&input, 1);
    assert_eq!((&texts, &binaries), (&whole.texts, &whole.binaries));
    assert_eq!((&answers, ending), (&whole.answers, whole.ending));
    whole
}

/// Returns the frame that closes with this code.
fn closed_with(code: u16) -> Vec<u8> {
    [&[FINAL | CLOSE, 2][..], &code.to_be_bytes()].concat()
}

/// Asserts that frames are answered by a close frame with this code, and by nothing else.
#[track_caller]
fn assert_fails(frames: &[Vec<u8>], code: u16) {
    let run = read_all(frames);
    assert_eq!(run.answers, closed_with(code));
    let ending = if code == 1009 { Ending::TooLong } else { Ending::Violation };
    assert_eq!(run.ending, Some(ending));
}

#[test]
fn h7_messages_of_all_sizes() {
    for size in [0, 1, 125, 126, 127, 128, 255, 256, 4095, MAX_MESSAGE] {
        let content = vec![b'*'; size];
        let frames = [frame(FINAL | TEXT, &content), frame(FINAL | BINARY, &content)];
        let run = read_all(&frames);
        assert_eq!((run.texts[0].len(), &run.binaries[0]), (size, &content));
        assert_eq!((run.answers.len(), run.ending, run.rest), (0, None, 0));
    }
}

#[test]
fn h7_larger_messages_get_1009() {
    let content = vec![b'*'; MAX_MESSAGE + 1];
    for kind in [TEXT, BINARY] {
        assert_fails(&[frame(FINAL | kind, &content)], 1009);
        let (first, rest) = content.split_at(MAX_MESSAGE);
        assert_fails(&[frame(kind, first), frame(FINAL | CONTINUATION, rest)], 1009);
    }
    for size in [u64::from(u16::MAX) + 1, u64::from(u32::MAX) + 1, u64::MAX >> 1, u64::MAX] {
        let announced = [&[FINAL | BINARY, 0xff][..], &size.to_be_bytes(), &[0; 4]].concat();
        assert_fails(&[announced], 1009);
    }
}

#[test]
fn h7_pings_are_answered_by_their_content() {
    for content in [&b""[..], b"Hello", &[0, 0xff, 0xfe, 0xc0], &[0xfe; 125]] {
        let run = read_all(&[frame(FINAL | PING, content)]);
        let pong = [&[FINAL | PONG, content.len() as u8], content].concat();
        assert_eq!((run.answers, run.ending), (pong, None));
    }
    let run = read_all(&vec![frame(FINAL | PING, b"n"); 10]);
    assert_eq!(run.answers, [FINAL | PONG, 1, b'n'].repeat(10), "one for each");
    assert_fails(&[frame(FINAL | PING, &[0xfe; 126])], 1002);
}

#[test]
fn h7_pongs_are_signs_of_life() {
    let frames = [frame(FINAL | PONG, b""), frame(FINAL | PONG, b"unasked")];
    let run = read_all(&frames);
    assert_eq!((run.pongs, run.answers.len(), run.ending), (2, 0, None));
}

#[test]
fn h7_reserved_bits_get_1002() {
    for bits in (0x10..=0x70).step_by(0x10) {
        for kind in [TEXT, BINARY, PING, CLOSE] {
            assert_fails(&[frame(FINAL | bits | kind, b"")], 1002);
        }
    }
    let frames = [frame(FINAL | TEXT, b"first"), frame(FINAL | 0x30 | TEXT, b"x")];
    assert_eq!(read_all(&frames).texts, ["first"], "as long as the rules hold");
}

#[test]
fn h7_reserved_kinds_get_1002() {
    for kind in (3..8).chain(11..16) {
        assert_fails(&[frame(FINAL | kind, b"")], 1002);
        assert_fails(&[frame(FINAL | kind, b"content")], 1002);
    }
}

#[test]
fn h7_unmasked_frames_get_1002() {
    for kind in [TEXT, BINARY, PING, PONG, CLOSE] {
        assert_fails(&[vec![FINAL | kind, 2, b'h', b'i']], 1002);
    }
}

#[test]
fn h7_fragments_make_one_message() {
    let frames = [
        frame(TEXT, b"frag"),
        frame(FINAL | PING, b"between"),
        frame(CONTINUATION, b""),
        frame(FINAL | PONG, b""),
        frame(FINAL | CONTINUATION, b"ment"),
        frame(BINARY, b""),
        frame(FINAL | CONTINUATION, b""),
    ];
    let run = read_all(&frames);
    assert_eq!((run.texts, run.binaries), (vec!["fragment".into()], vec![Vec::new()]));
    assert_eq!(run.answers, [&[FINAL | PONG, 7][..], b"between"].concat());
}

#[test]
fn h7_wrong_fragments_get_1002() {
    for control in [PING, PONG, CLOSE] {
        assert_fails(&[frame(control, b"")], 1002);
    }
    for first in [CONTINUATION, FINAL | CONTINUATION] {
        assert_fails(&[frame(first, b"no message")], 1002);
        let whole = frame(FINAL | TEXT, b"whole");
        assert_fails(&[whole, frame(first, b"no message")], 1002);
    }
    for second in [TEXT, BINARY, FINAL | TEXT, FINAL | BINARY] {
        assert_fails(&[frame(TEXT, b"first"), frame(second, b"another")], 1002);
    }
}

#[test]
fn h7_text_is_utf_8() {
    let valid =
        ["Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\u{0}", "\u{d7ff}\u{e000}\u{fffd}\u{10ffff}\u{feff}"];
    for text in valid {
        assert_eq!(read_all(&[frame(FINAL | TEXT, text.as_bytes())]).texts, [text]);
        let bytes = text.as_bytes().chunks(1);
        let mut frames: Vec<_> = bytes.map(|byte| frame(CONTINUATION, byte)).collect();
        frames[0][0] = TEXT;
        frames.push(frame(FINAL | CONTINUATION, b""));
        assert_eq!(read_all(&frames).texts, [text], "cut within characters");
    }
    for wrong in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..],
        b"\x80",
        b"\xf4\x90\x80\x80",
        b"\xfe",
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xed\xbf\xbf",
        b"\xf8\x88\x80\x80\x80",
        b"cut \xe2\x82",
    ] {
        assert_fails(&[frame(FINAL | TEXT, wrong)], 1007);
        let (first, rest) = wrong.split_at(1);
        assert_fails(&[frame(TEXT, first), frame(FINAL | CONTINUATION, rest)], 1007);
    }
    assert_eq!(read_all(&[frame(FINAL | BINARY, b"\xff")]).binaries, [b"\xff"]);
}

#[test]
fn h7_close_is_answered_and_is_the_last() {
    let after = frame(FINAL | BINARY, b"after");
    let run = read_all(&[frame(FINAL | CLOSE, b""), after.clone()]);
    assert_eq!((run.answers, run.ending), (vec![FINAL | CLOSE, 0], Some(Ending::Peer)));
    assert_eq!((run.binaries.len(), run.rest), (0, after.len()));
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        for reason in [&b""[..], b"Hello", &[b'*'; 123]] {
            let run = read_all(&[close_frame(code, reason)]);
            let size = 2 + reason.len() as u8;
            let echo = [&[FINAL | CLOSE, size][..], &code.to_be_bytes(), reason].concat();
            assert_eq!((run.answers, run.ending), (echo, Some(Ending::Peer)), "{code}");
        }
    }
}

#[test]
fn h7_wrong_closes_get_1002_or_1007() {
    assert_fails(&[frame(FINAL | CLOSE, b"\x03")], 1002);
    assert_fails(&[close_frame(1000, &[b'*'; 124])], 1002);
    assert_fails(&[close_frame(1000, b"\xed\xa0\x80")], 1007);
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        let run = read_all(&[close_frame(code, b"")]);
        assert_eq!(run.answers[2..4], 1002_u16.to_be_bytes(), "{code}");
        assert!(run.ending.is_some());
    }
}

#[test]
fn h6_frames_of_the_server() {
    for size in [0, 125, 126, 1150, 4094, 65_535] {
        let mut out = Vec::new();
        begin_binary(size, &mut out);
        let header: &[u8] = match size {
            0..=125 => &[FINAL | BINARY, size as u8],
            _ => &[FINAL | BINARY, 126, (size >> 8) as u8, size as u8],
        };
        assert_eq!((&out[..], framed_size(size)), (header, header.len() + size));
    }
    let mut out = Vec::new();
    text(b"{}", &mut out);
    ping(&mut out);
    close(CloseCode(4007), &mut out);
    let expected = [&[FINAL | TEXT, 2, b'{', b'}', FINAL | PING, 0][..], &closed_with(4007)];
    assert_eq!(out, expected.concat());
}

#[test]
fn h7_idle_socket_holds_nothing() {
    let mut socket = WebSocket::default();
    let mut answers = Vec::new();
    socket.read(&frame(BINARY, &[0; MAX_MESSAGE]), &mut answers);
    socket.rest();
    assert!(socket.is_within_message() && socket.held_bytes() >= MAX_MESSAGE);
    socket.read(&frame(FINAL | CONTINUATION, b""), &mut answers);
    socket.rest();
    assert!(!socket.is_within_message());
    assert_eq!((socket.held_bytes(), socket.context.is_some()), (0, false));
}

/// Messages, each cut into fragments, with control frames between them.
fn messages() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let fragment = proptest::collection::vec(any::<u8>(), 0..200);
    proptest::collection::vec(proptest::collection::vec(fragment, 1..5), 0..8)
}

proptest! {
    #[test]
    fn h7_messages_survive_any_cut(messages in messages(), piece in 1_usize..600) {
        let mut input = Vec::new();
        for fragments in &messages {
            for (index, content) in fragments.iter().enumerate() {
                let kind = if index == 0 { BINARY } else { CONTINUATION };
                let last = if index + 1 == fragments.len() { FINAL } else { 0 };
                input.extend(frame(last | kind, content));
                input.extend(frame(FINAL | PING, b""));
            }
        }
        let run = run(&input, piece);
        let whole: Vec<Vec<u8>> = messages.iter().map(|fragments| fragments.concat()).collect();
        prop_assert_eq!((run.binaries, run.ending, run.rest), (whole, None, 0));
        let frames = messages.iter().map(Vec::len).sum::<usize>();
        prop_assert_eq!(run.answers, [FINAL | PONG, 0].repeat(frames));
    }

    #[test]
    fn h7_any_input_ends_or_waits(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        let whole = run(&input, input.len());
        let pieces = run(&input, 7);
        prop_assert_eq!(&whole.binaries, &pieces.binaries);
        prop_assert_eq!(whole.ending, pieces.ending);
        prop_assert!(whole.answers.len() <= input.len() + 4, "never more than comes, and a close");
    }
}
