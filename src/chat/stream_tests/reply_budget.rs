//! Tests the rate limit on replies to one member.

use super::*;

/// Sends 20,000 datagrams at one moment. Returns the number of those that are answered.
fn answered(stage: &mut Stage, guest: &Guest, body: &[u8]) -> usize {
    (0..20_000).filter(|_| stage.outcome(guest, body) != MessageOutcome::Unanswered).count()
}

#[test]
fn s5_s8_s13_replies_are_rate_limited() {
    let mut stage = Stage::new(ChatConfig::default());
    let (mut host, mut guest) = (stage.host("r"), stage.guest("r", "guest"));
    let mut have = Vec::new();
    upstream::encode_have(0, &mut have);
    let mut not_the_next = Vec::new();
    upstream::encode_message(99, b"hi", &mut not_the_next);
    assert_eq!(answered(&mut stage, &host, &have), 5_000, "burst");
    assert_eq!(answered(&mut stage, &host, &not_the_next), 0);
    stage.advance(seconds(1));
    assert_eq!(answered(&mut stage, &host, &not_the_next), 1_000, "sustained rate");
    assert_eq!(
        stage.say(&mut host, "accepted messages need no reply budget"),
        MessageOutcome::Relayed
    );
    assert_eq!(stage.outcome(&guest, &have), MessageOutcome::Confirmed);
    assert_eq!(stage.say(&mut guest, "/exit"), MessageOutcome::Command);
    assert_eq!(
        answered(&mut stage, &guest, b""),
        5_000,
        "departed members have a budget of their own"
    );
    assert_eq!(stage.outcome(&host, &have), MessageOutcome::Unanswered);
}
