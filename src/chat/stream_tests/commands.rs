//! Tests commands in rooms whose members use stream delivery.

use super::*;

#[test]
fn s15_text_host_receives_only_text() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.enter(1, "r", "host", "");
    let [one, two] = ["one", "two"].map(|name| stage.guest("r", name));
    stage.discard_received();
    stage.say(&mut host, "/kick one");
    stage.say(&mut host, "/host two");
    stage.deliver();
    let lines = ["one was removed by the host", "two is the host now"];
    assert_eq!(stage.received(&host).lines, lines);
    assert_eq!(stage.received(&two).texts(), lines);
    assert_eq!(stage.received(&one).asides[0].0, 7);
}

#[test]
fn s2_w28_who_fits_1150_in_stream() {
    let mut stage = Stage::new(unlimited());
    let mut host = stage.host("r");
    for n in 0..60 {
        stage.try_enter(2, "r", &format!("{n:030}"), STREAM).expect("admission");
    }
    stage.discard_received();
    stage.say(&mut host, "/who");
    stage.deliver();
    assert_eq!(stage.received(&host).asides.len(), 1);
    let size = stage.received(&host).sizes[0];
    assert!((1110..=1150).contains(&size), "{size}");
}
