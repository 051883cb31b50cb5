//! Round trips of all encodings: any split gives the same values, and any bytes give some result.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use reactor_chat::protocol::datagram::{self, MAX_NAME_AND_MESSAGE, Named};
use reactor_chat::protocol::frame::{HEADER_SIZE, encode};
use reactor_chat::protocol::stream::downstream::{self, Entry, Header};
use reactor_chat::protocol::stream::{Completion, MAX_ENTRY, Upstream, parts, upstream};
use reactor_chat::protocol::{Decoded, Form, Frame, Token, decode};

use super::inputs;

const MAX_PAYLOAD: usize = 40;

/// A frame's parts, sometimes with more payload than is allowed.
fn parts() -> impl Strategy<Value = (u8, u8, Vec<u8>, Vec<u8>)> {
    (any::<u8>(), any::<u8>(), vec(any::<u8>(), 0..9), vec(any::<u8>(), 0..MAX_PAYLOAD + 5))
}

/// Headers that announce small and large sizes, with some bytes behind.
fn headers() -> impl Strategy<Value = Vec<u8>> {
    let size = prop_oneof![
        4 => (0..80u64).prop_map(|size| [vec![0; 21], size.to_be_bytes().to_vec()].concat()),
        1 => vec(any::<u8>(), 29),
        1 => (0..29usize).prop_map(|at| (0..29).map(|byte| u8::from(byte == at)).collect()),
    ];
    (0..9u8, any::<[u8; 2]>(), size, vec(any::<u8>(), 0..99)).prop_map(
        |(room, operation_and_state, size, body)| {
            [&[room][..], &operation_and_state, &size, &body].concat()
        },
    )
}

/// An entry that owns its bytes.
#[derive(Clone, Debug)]
struct OwnedEntry {
    kind: u8,
    numbers: [u32; 2],
    code: u8,
    name: Vec<u8>,
    text: Vec<u8>,
}

impl OwnedEntry {
    fn borrow(&self) -> Entry<'_> {
        let Self { kind, numbers: [one, other], code, ref name, ref text } = *self;
        match kind {
            0 => Entry::Message { member: one, id: other, name, text },
            1 => Entry::Notice { code, member: one, name, text },
            2 => Entry::Part { member: one, id: other, name, text },
            3 => Entry::Aside { code, expected: one, id: other, text },
            _ => Entry::Gone { count: one },
        }
    }
}

fn entry() -> impl Strategy<Value = OwnedEntry> {
    let texts = (vec(any::<u8>(), 0..5), vec(any::<u8>(), 0..30));
    (0..5u8, any::<[u32; 2]>(), any::<u8>(), texts).prop_map(
        |(kind, numbers, code, (name, text))| OwnedEntry { kind, numbers, code, name, text },
    )
}

fn token() -> impl Strategy<Value = Token> {
    any::<[u8; 16]>().prop_map(Token::from_bits)
}

proptest! {
    #![proptest_config(inputs(10_000))]

    #[test]
    fn w2_w3_decisions_are_final(
        bytes in prop_oneof![headers(), vec(any::<u8>(), 0..120)],
        cut in any::<Index>(),
    ) {
        let cut = cut.index(bytes.len() + 1);
        let early = decode(&bytes[..cut], MAX_PAYLOAD);
        if early != Decoded::Incomplete {
            prop_assert_eq!(early, decode(&bytes, MAX_PAYLOAD));
        }
        // All fields of a header as one number.
        if let Some(header) = bytes.first_chunk::<HEADER_SIZE>() {
            let digits = header[3..].iter().map(|byte| f64::from(*byte));
            let announced = digits.fold(0.0, |size, digit| size * 256.0 + digit);
            let refused = Decoded::TooLarge { operation: header[1] };
            let is_refused = decode(&bytes, MAX_PAYLOAD) == refused;
            prop_assert_eq!(is_refused, announced > MAX_PAYLOAD as f64);
        }
    }

    #[test]
    fn w1_w2_w3_frames_in_any_pieces(
        frames in vec(parts(), 0..6),
        cuts in vec(1..70usize, 0..20),
    ) {
        let one = |(operation, state, room, payload): &(u8, u8, Vec<u8>, Vec<u8>)| {
            encode(*operation, *state, room, payload)
        };
        let sent: Vec<u8> = frames.iter().flat_map(one).collect();
        let (mut buffer, mut rest, mut cuts) = (Vec::new(), &sent[..], cuts.into_iter());
        let mut expected = frames.iter();
        'stream: while !rest.is_empty() {
            let size = cuts.next().unwrap_or(rest.len()).min(rest.len());
            buffer.extend_from_slice(&rest[..size]);
            rest = &rest[size..];
            while let Some((operation, state, room, payload)) = expected.clone().next() {
                let frame = Frame { operation: *operation, state: *state, room, payload };
                match decode(&buffer, MAX_PAYLOAD) {
                    Decoded::Incomplete => break,
                    Decoded::Whole(read) => prop_assert_eq!(read, frame),
                    Decoded::TooLarge { operation } => {
                        prop_assert_eq!(operation, frame.operation);
                        prop_assert!(payload.len() > MAX_PAYLOAD);
                        expected = [].iter();
                        break 'stream;
                    }
                }
                buffer.drain(..frame.size());
                expected.next();
            }
        }
        prop_assert_eq!(expected.count(), 0);
    }

    #[test]
    fn w17_datagram_round_trip(
        room in "[a-c部]{1,4}",
        token in token(),
        message in vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = Vec::new();
        datagram::encode_upstream(&room, token, &message, &mut bytes);
        let read = datagram::parse(&bytes).expect("a datagram");
        prop_assert_eq!((read.room, read.token), (room.as_bytes(), token));
        prop_assert_eq!(read.message, &message[..]);
        for cut in 0..bytes.len() - message.len() {
            prop_assert_eq!(datagram::parse(&bytes[..cut]), None);
        }
    }

    #[test]
    fn w17_any_datagram_reads_faithfully(
        sizes in (prop_oneof![Just(0u8), 1..5u8], prop_oneof![9 => Just(32u8), 1 => any::<u8>()]),
        body in prop_oneof![vec(select(&b"09afgA"[..]), 0..60), vec(select(&b"09af"[..]), 30..60)],
    ) {
        let bytes = [&[sizes.0, sizes.1][..], &body].concat();
        let (room, rest) = body.split_at((sizes.0 as usize).min(body.len()));
        let is_hex = |token: &[u8]| token.iter().all(|c| b"0123456789abcdef".contains(c));
        let is_token = rest.get(..32).is_some_and(is_hex);
        let is_sense = sizes.0 > 0 && sizes.1 == 32 && room.len() == sizes.0 as usize && is_token;
        let read = datagram::parse(&bytes);
        prop_assert_eq!(read.is_some(), is_sense);
        if let Some(read) = read {
            let again = [&bytes[..2], read.room, &read.token.to_wire(), read.message].concat();
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn w23_named_delivery_round_trip(
        name in "[a-c]{1,9}",
        text in ".{0,20}",
    ) {
        let (mut message, mut notice) = (Vec::new(), Vec::new());
        datagram::encode_message(Form::Named, &name, &text, &mut message);
        datagram::encode_notice(Form::Named, &text, &mut notice);
        let (name, text) = (name.as_bytes(), text.as_bytes());
        let said = Named::Message { name, message: text };
        prop_assert_eq!(datagram::parse_named(&message), Some(said));
        prop_assert_eq!(datagram::parse_named(&notice), Some(Named::Notice(text)));
    }

    #[test]
    fn s5_s8_s10_upstream_round_trip(
        id in any::<u32>(),
        text in vec(any::<u8>(), 0..20),
        next in any::<u64>(),
        ranges in vec((any::<u64>(), any::<u16>()), 1..5),
    ) {
        let ranges: Vec<_> =
            ranges.into_iter().map(|(from, count)| upstream::Range { from, count }).collect();
        let (mut message, mut have, mut repair) = (Vec::new(), Vec::new(), Vec::new());
        let mut part = Vec::new();
        upstream::encode_message(id, &text, &mut message);
        upstream::encode_part(id, &text, &mut part);
        upstream::encode_have(next, &mut have);
        upstream::encode_repair(ranges.iter().copied(), &mut repair);
        prop_assert_eq!(upstream::parse(&message), Some(Upstream::Message { id, text: &text }));
        prop_assert_eq!(upstream::parse(&part), Some(Upstream::Part { id, text: &text }));
        prop_assert_eq!(upstream::parse(&have), Some(Upstream::Have { next }));
        let Some(Upstream::Repair(read)) = upstream::parse(&repair) else { panic!("a repair") };
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), ranges);
    }

    #[test]
    fn s5_any_bytes_read_faithfully(
        kind in 0..5u8,
        body in vec(any::<u8>(), 0..40),
    ) {
        let bytes = [&[kind][..], &body].concat();
        let is_sense = match kind {
            0 | 3 => body.len() >= 4,
            1 => body.len() == 8,
            2 => !body.is_empty() && body.len() % 10 == 0,
            _ => false,
        };
        let mut again = Vec::new();
        match upstream::parse(&bytes) {
            None => {}
            Some(Upstream::KeepAlive) => prop_assert!(false, "there is a byte"),
            Some(Upstream::Message { id, text }) => upstream::encode_message(id, text, &mut again),
            Some(Upstream::Part { id, text }) => upstream::encode_part(id, text, &mut again),
            Some(Upstream::Have { next }) => upstream::encode_have(next, &mut again),
            Some(Upstream::Repair(ranges)) => upstream::encode_repair(ranges.iter(), &mut again),
        }
        prop_assert_eq!(again, if is_sense { bytes } else { Vec::new() });
    }

    #[test]
    fn s16_parts_fit_and_rebuild_message(
        name in "[a-c部]{1,85}",
        (pattern, times) in ("[a-cé部👋]{0,30}", 0..130usize),
        numbers in any::<[u32; 2]>(),
    ) {
        let (mut text, mut bytes) = (pattern.repeat(times), Vec::new());
        text.truncate(text.floor_char_boundary(MAX_NAME_AND_MESSAGE - name.len()));
        parts::encode_message((numbers[0], numbers[1]), &name, &text, &mut bytes);
        let (mut entries, mut joined, mut is_whole) = (downstream::entries(&bytes), vec![], false);
        while let Some((bytes, entry)) = entries.next_with_bytes() {
            prop_assert!(bytes.len() <= MAX_ENTRY && !is_whole);
            is_whole = matches!(entry, Entry::Message { .. });
            let (Entry::Part { member, id, name: its, text }
            | Entry::Message { member, id, name: its, text }) = entry
            else {
                panic!("{entry:?}")
            };
            prop_assert_eq!((member, id, its), (numbers[0], numbers[1], name.as_bytes()));
            prop_assert!(str::from_utf8(text).is_ok(), "cut within a character");
            joined.extend_from_slice(text);
        }
        prop_assert!(is_whole && joined == text.as_bytes());
    }

    #[test]
    fn s1_s2_entries_round_trip(
        header in (any::<u32>(), any::<u64>()),
        entries in vec(entry(), 0..6),
        padding in 0..5usize,
        cut in any::<Index>(),
    ) {
        let header = Header { tag: header.0, sequence: header.1 };
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        header.encode(&mut bytes);
        for entry in &entries {
            entry.borrow().encode(&mut bytes);
            ends.push(bytes.len());
        }
        bytes.resize(bytes.len() + padding, 0);
        let (read_header, read) = downstream::parse(&bytes).expect("a header");
        prop_assert_eq!(read_header, header);
        let expected: Vec<Entry<'_>> = entries.iter().map(OwnedEntry::borrow).collect();
        prop_assert_eq!(read.collect::<Vec<_>>(), &expected[..]);
        let cut = cut.index(bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let read = downstream::parse(&bytes[..cut]).map(|(_, read)| read.collect::<Vec<_>>());
        prop_assert_eq!(read, (cut >= downstream::HEADER_SIZE).then(|| expected[..whole].to_vec()));
    }

    #[test]
    fn s2_any_stream_datagram_is_decided(
        sizes in vec((0..3u8, 0..20u8, 0..6u8, vec(any::<u8>(), 0..20)), 0..5),
        header in vec(any::<u8>(), 10..14),
    ) {
        let mut bytes = header;
        for (high, low, kind, body) in sizes {
            bytes.extend_from_slice(&[high / 2, low, kind]);
            bytes.extend_from_slice(&body);
        }
        let Some((header, mut entries)) = downstream::parse(&bytes) else {
            prop_assert!(bytes.len() < downstream::HEADER_SIZE);
            return Ok(());
        };
        // The entries that were read must be the bytes of the datagram, one behind the other.
        let mut at = Vec::new();
        header.encode(&mut at);
        while let Some((own, entry)) = entries.next_with_bytes() {
            prop_assert!(bytes[at.len()..].starts_with(own));
            prop_assert_eq!(downstream::parse_entry(own), Some(entry));
            let mut again = Vec::new();
            entry.encode(&mut again);
            // Entries of unknown kinds have unknown bytes, and nothing may follow a count.
            if !matches!(entry, Entry::Unknown | Entry::Gone { .. }) {
                prop_assert_eq!(&again[..], own);
            }
            at.extend_from_slice(own);
        }
        prop_assert_eq!(&bytes[..at.len()], &at[..]);
    }

    #[test]
    fn s1_completion_round_trip(
        token in token(),
        numbers in (any::<u32>(), any::<u32>(), any::<u64>(), any::<u32>()),
        life in any::<Option<u32>>(),
        seconds in any::<[u64; 2]>(),
    ) {
        let (member, tag, next, expected) = numbers;
        let [keep_alive, idle_timeout] = seconds;
        let sent =
            Completion { token, member, tag, life, next, expected, keep_alive, idle_timeout, seal: None };
        let bytes = sent.encode();
        prop_assert_eq!(Completion::parse(&bytes), Some(sent));
        prop_assert_eq!(Completion::parse(&bytes[..bytes.len() - 1]), None);
    }
}
