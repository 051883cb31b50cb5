//! Tests that every room keeps a guaranteed share of the history memory.

use super::*;

/// Guaranteed bytes of history per room.
const SHARE: usize = 16 * 1024;

fn kept(stage: &Stage, host: &Guest) -> usize {
    let room = stage.chat.directory.members.get(host.id).expect("a member").room;
    stage.chat.feeds.memory_of(room).ring_bytes
}

fn chatter(stage: &mut Stage, host: &mut Guest, lines: usize, size: usize) {
    for _ in 0..lines {
        stage.say(host, &"x".repeat(size));
        stage.deliver();
    }
}

#[test]
fn a13_s12_each_room_keeps_16_kib() {
    let config = ChatConfig { history_memory: Some(256 * 1024), fanout_limit: None, ..unlimited() };
    let mut stage = Stage::new(config);
    let mut victim = stage.enter(1, "victim", "host", r#","delivery":"stream","history":1024"#);
    chatter(&mut stage, &mut victim, 2_000, 40);
    assert!(kept(&stage, &victim) > 100_000);
    let attackers: Vec<Guest> = (0..100)
        .map(|number| {
            let mut host = stage.host(&format!("attack {number}"));
            chatter(&mut stage, &mut host, 20, 1_000);
            host
        })
        .collect();
    let least = SHARE - SHARE / 8;
    assert!(kept(&stage, &victim) >= least, "{} bytes", kept(&stage, &victim));
    let wants = r#","delivery":"stream","history":1024"#;
    let newcomer = stage.try_enter(2, "victim", "newcomer", wants).expect("admission");
    let stream = newcomer.stream.expect("a stream");
    let past = stage.received(&victim).next - stream.next;
    assert!(past > 200, "{past} entries of history");
    let all_have_it = attackers.iter().all(|host| kept(&stage, host) >= least);
    assert!(all_have_it, "the guarantee takes precedence over the memory limit");
    let granted = stage.chat.feeds.rings().0;
    assert!(granted <= 101 * SHARE, "{granted} bytes");
}
