//! Wrong input, and its cost.

use super::*;

/// Returns the code that closes the connection.
fn error(http3: &mut Http3, stream: u64, bytes: &[u8]) -> u64 {
    http3.handle_bytes(stream, bytes).expect_err("wrong input").code
}

#[test]
fn h8_control_stream_errors() {
    let settings = |values: &[u64]| [vec![0], frame(4, &varints(values))].concat();
    let after = |bytes: Vec<u8>| [control_stream(), bytes].concat();
    let cases = [
        ([vec![0], frame(7, &[0])].concat(), code::MISSING_SETTINGS),
        (after(frame(4, &[])), code::FRAME_UNEXPECTED),
        (after(frame(0, b"data")), code::FRAME_UNEXPECTED),
        (after(frame(1, b"headers")), code::FRAME_UNEXPECTED),
        (after(frame(6, b"of HTTP/2")), code::FRAME_UNEXPECTED),
        (after(frame(0x41, b"")), code::FRAME_UNEXPECTED),
        (after(frame(3, &[0])), code::ID_ERROR),
        (settings(&[0x33, 1, 0x33, 1]), code::SETTINGS_ERROR),
        (settings(&[0x33, 2]), code::SETTINGS_ERROR),
        (settings(&[0x02, 0]), code::SETTINGS_ERROR),
        (settings(&[0x33]), code::FRAME_ERROR),
        (varints(&[0, 4, 513]), code::EXCESSIVE_LOAD),
    ];
    for (bytes, code) in cases {
        assert_eq!(error(&mut Http3::new(), CONTROL, &bytes), code, "{bytes:x?}");
    }
}

#[test]
fn h8_unidirectional_stream_errors() {
    let cases: [(&[u8], u64); 6] = [
        (&[1], code::STREAM_CREATION_ERROR),
        (&[0], code::STREAM_CREATION_ERROR),
        (&[2, 0x3f, 0xe1, 0x1f], code::QPACK_ENCODER_STREAM_ERROR),
        (&[3, 0x80], code::QPACK_DECODER_STREAM_ERROR),
        (&[3, 0x01], code::QPACK_DECODER_STREAM_ERROR),
        (&[0x40, 0x54, 0x01], code::ID_ERROR),
    ];
    for (bytes, code) in cases {
        let mut http3 = open();
        assert_eq!(error(&mut http3, 6, bytes), code, "{bytes:x?}");
    }
}

#[test]
fn h8_critical_streams_stay() {
    for kind in [0, 2, 3] {
        let mut http3 = Http3::new();
        feed(&mut http3, CONTROL, &[kind]);
        let error = http3.handle_finish(CONTROL).unwrap_err();
        assert_eq!(error.code, code::CLOSED_CRITICAL_STREAM);
    }
}

#[test]
fn h8_request_stream_errors() {
    let session = varints(&[SESSION_STREAM, CONNECT]);
    let cases = [
        (frame(0, b"data"), code::FRAME_UNEXPECTED),
        (frame(4, &[]), code::FRAME_UNEXPECTED),
        ([frame(0x21, b""), session].concat(), code::FRAME_ERROR),
        (varints(&[SESSION_STREAM, 2]), code::ID_ERROR),
        (frame(1, &[1, 0]), code::QPACK_DECOMPRESSION_FAILED),
    ];
    for (bytes, code) in cases {
        assert_eq!(error(&mut open(), SECOND, &bytes), code, "{bytes:x?}");
    }
    assert_eq!(error(&mut open(), CONNECT, &headers(&FIELDS)), code::FRAME_UNEXPECTED);
}

#[test]
fn h8_malformed_message_costs_its_stream() {
    let reset = |stream, code| [Action::Stop { stream, code }, Action::Reset { stream, code }];
    let mut http3 = open();
    feed(&mut http3, SECOND, &headers(&[(":method", "GET"), ("Upper", "case")]));
    assert_eq!(actions(&mut http3), reset(SECOND, code::MESSAGE_ERROR));
    feed(&mut http3, 8, &varints(&[1, 2049]));
    assert_eq!(actions(&mut http3), reset(8, code::EXCESSIVE_LOAD));
    http3.handle_finish(12).unwrap();
    assert_eq!(actions(&mut http3), reset(12, code::REQUEST_INCOMPLETE));
    assert_eq!(http3.session(), Some(CONNECT));
}

#[test]
fn h8_malformed_capsule_ends_the_session() {
    let long = [vec![0x68, 0x43, 0x44, 0x05], vec![0; 1029]].concat();
    let not_utf8 = vec![0x68, 0x43, 5, 0, 0, 0, 0, 0xff];
    let more = vec![0x68, 0x43, 4, 0, 0, 0, 0, 1];
    for capsule in [vec![0x68, 0x43, 3], long, not_utf8, more] {
        let mut http3 = open();
        feed(&mut http3, CONNECT, &frame(DATA, &capsule));
        let actions = actions(&mut http3);
        let (stream, code) = (CONNECT, code::MESSAGE_ERROR);
        assert_eq!(actions[1], Action::Closed { code: 0 });
        assert_eq!(actions[2..], [Action::Stop { stream, code }, Action::Reset { stream, code }]);
    }
}

#[test]
fn h8_end_inside_a_frame() {
    let mut http3 = open();
    feed(&mut http3, SECOND, &headers(&FIELDS)[..9]);
    assert_eq!(http3.handle_finish(SECOND).unwrap_err().code, code::FRAME_ERROR);
    let mut http3 = open();
    feed(&mut http3, SECOND, &headers(&FIELDS)[..9]);
    http3.handle_reset(SECOND).unwrap();
}

#[test]
fn h8_skipped_bytes_have_a_budget() {
    let junk = frame(0x21, &[0; 1000]);
    let mut http3 = Http3::new();
    feed(&mut http3, CONTROL, &control_stream());
    let passed = (0..100).take_while(|_| http3.handle_bytes(CONTROL, &junk).is_ok()).count();
    assert_eq!(passed, 16);
    let mut http3 = open();
    let empty = frame(0x21, &[]);
    let passed = (0..100_000).take_while(|_| http3.handle_bytes(SECOND, &empty).is_ok()).count();
    assert_eq!(passed, 8192);
}

#[test]
fn h8_streams_are_bounded() {
    let mut http3 = open();
    let mut rejected = 0;
    for stream in (4..400).step_by(4) {
        feed(&mut http3, stream, &[1]);
        rejected += actions(&mut http3).len() / 2;
    }
    assert_eq!(rejected, 99 - (MAX_STREAMS - 2));
    assert_eq!(http3.streams.len(), MAX_STREAMS);
}
