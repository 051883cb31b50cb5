//! What is answered of what a member may send without end.

use super::*;

/// How many of so many datagrams at one moment are answered.
fn answered(stage: &mut Stage, guest: &Guest, body: &[u8]) -> usize {
    (0..20_000).filter(|_| stage.fate(guest, body) != MessageOutcome::Unanswered).count()
}

#[test]
fn s5_s8_s13_answers_have_a_bound_for_one_member_and_none_for_the_others() {
    let mut stage = Stage::new(ChatConfig::default());
    let (mut host, mut guest) = (stage.host("r"), stage.guest("r", "guest"));
    let mut have = Vec::new();
    upstream::encode_have(0, &mut have);
    let mut not_the_next = Vec::new();
    upstream::encode_message(99, b"hi", &mut not_the_next);
    assert_eq!(answered(&mut stage, &host, &have), 5_000, "a burst");
    assert_eq!(answered(&mut stage, &host, &not_the_next), 0);
    stage.advance(seconds(1));
    assert_eq!(answered(&mut stage, &host, &not_the_next), 1_000, "and then a rate");
    assert_eq!(stage.say(&mut host, "what is taken needs no such answer"), MessageOutcome::Relayed);
    assert_eq!(stage.fate(&guest, &have), MessageOutcome::Confirmed);
    assert_eq!(stage.say(&mut guest, "/exit"), MessageOutcome::Command);
    assert_eq!(answered(&mut stage, &guest, b""), 5_000, "after its end too");
    assert_eq!(stage.fate(&host, &have), MessageOutcome::Unanswered);
}
