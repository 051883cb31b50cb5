//! Random input: it never panics, never grows the state beyond its limit, and its pieces do not matter.

use proptest::prelude::*;

use super::*;

/// Bytes for a stream.
type Step = (u64, Vec<u8>);

/// Limit for the bytes that a connection may hold: a HEADERS frame for each stream.
const MAX_HELD: usize = MAX_STREAMS * 2048;

fn valid() -> impl Strategy<Value = Vec<u8>> {
    let mut close = Vec::new();
    put_close(&mut close, 4002, "bye");
    let get = [(":method", "GET"), (":scheme", "https"), (":path", "/")];
    prop::sample::select(vec![
        control_stream(),
        headers(&FIELDS),
        headers(&get),
        close,
        frame(DATA, b""),
        frame(0x21, b"grease"),
        varints(&[SESSION_STREAM, CONNECT]),
        varints(&[0x54, CONNECT]),
        vec![2],
        vec![3],
    ])
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = prop_oneof![4 => valid(), 1 => prop::collection::vec(any::<u8>(), 0..40)];
    let damaged = (bytes, prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())));
    let step = damaged.prop_map(|(mut bytes, damage)| {
        if let Some((place, byte)) = damage.filter(|_| !bytes.is_empty()) {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes
    });
    let stream = prop::sample::select(vec![0, 0, 0, 2, 2, 4, 6, 8, 10]);
    prop::collection::vec((stream, step), 0..12)
}

/// Returns all that comes out: actions, the application's bytes, the error.
fn run(steps: &[Step], piece: impl Fn(usize) -> usize) -> (Vec<Action>, Vec<Step>, Option<u64>) {
    let mut http3 = Http3::new();
    let (mut done, mut contents, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (stream, bytes)) in steps.iter().enumerate() {
        let mut content = Vec::new();
        for part in bytes.chunks(piece(number).max(1)) {
            if stopped.contains(stream) {
                continue;
            }
            let result = http3.handle_bytes(*stream, part);
            while let Some(action) = http3.poll_action() {
                match &action {
                    Action::Stop { stream, .. } => stopped.push(*stream),
                    Action::Request(_) => http3.answer(200),
                    _ => {}
                }
                done.push(action);
            }
            match result {
                Ok(bytes) => content.extend_from_slice(bytes.unwrap_or_default()),
                Err(error) => return (done, contents, Some(error.code)),
            }
            assert!(held(&http3) <= MAX_HELD);
        }
        contents.push((*stream, content));
    }
    (done, contents, None)
}

fn held(http3: &Http3) -> usize {
    http3.streams.values().map(Stream::held_bytes).sum()
}

proptest! {
    #[test]
    fn h8_pieces_do_not_matter(steps in steps(), sizes in prop::collection::vec(1..40_usize, 12)) {
        let whole = run(&steps, |_| usize::MAX);
        prop_assert_eq!(&whole, &run(&steps, |_| 1));
        prop_assert_eq!(&whole, &run(&steps, |number| sizes[number]));
    }

    #[test]
    fn h8_random_ends_never_panic(steps in steps(), ends in prop::collection::vec(any::<bool>(), 12)) {
        let mut http3 = open();
        for ((stream, bytes), is_reset) in steps.iter().zip(ends) {
            let taken = http3.handle_bytes(*stream, bytes).is_ok();
            if !taken || http3.handle_end(*stream, is_reset).is_err() {
                break;
            }
            http3.close(4013, "server is going");
            actions(&mut http3);
        }
    }
}
