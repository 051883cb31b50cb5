//! Both paths of datagrams through the kernel, in batches and one by one, deliver the same.

mod support;

use support::*;

const MEMBERS: usize = 10;
/// So few that all messages for a member fit the default receive buffer of a socket.
const MESSAGES: usize = 12;

/// Returns a message of a speaker. Sizes differ, so that only some neighbours can share a send.
fn line(speaker: usize, number: usize) -> String {
    format!("{speaker} {number:03} {}", "x".repeat(number / 4 * 13))
}

/// Everybody sends while the server is stopped, so that it finds all messages at once.
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

/// Returns the message if it is from this speaker, in either form.
fn spoken_by(text: &str, speaker: usize) -> Option<&str> {
    let as_text = format!("m{speaker}: ");
    let as_named = format!("\u{2}m{speaker}");
    text.strip_prefix(&as_text).or_else(|| text.strip_prefix(&as_named))
}
