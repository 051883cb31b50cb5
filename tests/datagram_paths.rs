//! The ways that datagrams take through the kernel: in batches, and one by one. What members get is
//! the same.

mod support;

use support::*;

const MEMBERS: usize = 10;
/// So many that all that a member gets at once fits the receive buffer that sockets have by default.
const MESSAGES: usize = 12;

/// What member `speaker` says as its message `number`: sizes differ, so that some neighbours go
/// together and some do not.
fn line(speaker: usize, number: usize) -> String {
    format!("{speaker} {number:03} {}", "x".repeat(number / 4 * 13))
}

/// Everybody speaks while the server stands still, so that it finds all of it waiting.
fn speak_at_once(server: &Server, members: &[Member]) {
    server.freeze();
    for number in 0..MESSAGES {
        for (speaker, member) in members.iter().enumerate() {
            member.say(&line(speaker, number));
        }
    }
    server.thaw();
}

#[test]
fn d4_both_paths_deliver_once_in_order() {
    for path in ["mmsg", "portable"] {
        let server = Server::start(&["--rate-limit", "0", "--datagram-path", path]);
        let mut members = vec![Member::create(&server, "r", r#"{"username":"m0"}"#)];
        for index in 1..MEMBERS {
            // Both forms of delivery.
            let named = format!("m{index}");
            let text = format!(r#"{{"username":"m{index}"}}"#);
            let payload = if index % 2 == 0 { text } else { named };
            members.push(Member::join(&server, "r", &payload));
        }
        members.iter().for_each(Member::settle);
        speak_at_once(&server, &members);
        for (listener, member) in members.iter().enumerate() {
            let heard = member.heard_up_to_now();
            for speaker in (0..MEMBERS).filter(|speaker| *speaker != listener) {
                let said: Vec<String> = (0..MESSAGES).map(|n| line(speaker, n)).collect();
                let own: Vec<&str> =
                    heard.iter().filter_map(|text| spoken_by(text, speaker)).collect();
                assert_eq!(own, said, "{path}: {listener} of {speaker}");
            }
            assert_eq!(heard.len(), (MEMBERS - 1) * MESSAGES, "{path}: and nothing else");
        }
    }
}

/// The message, if it is one of this speaker's in either form.
fn spoken_by(text: &str, speaker: usize) -> Option<&str> {
    let as_text = format!("m{speaker}: ");
    let as_named = format!("\u{2}m{speaker}");
    text.strip_prefix(&as_text).or_else(|| text.strip_prefix(&as_named))
}
