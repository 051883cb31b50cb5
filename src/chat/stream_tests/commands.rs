//! Commands in rooms with streams.

use super::*;

#[test]
fn s15_a_host_with_text_delivery_hears_text_alone_whatever_it_commands() {
    let mut stage = Stage::new(open());
    let mut host = stage.enter(1, "r", "host", "");
    let [one, two] = ["one", "two"].map(|name| stage.guest("r", name));
    stage.hush();
    stage.say(&mut host, "/kick one");
    stage.say(&mut host, "/host two");
    stage.deliver();
    let lines = ["one was removed by the host", "two is the host now"];
    assert_eq!(stage.ear(&host).lines, lines);
    assert_eq!(stage.ear(&two).said(), lines);
    assert_eq!(stage.ear(&one).asides[0].0, 7);
}

#[test]
fn s2_s5_the_list_of_members_fits_1200_bytes_in_a_stream_too() {
    let mut stage = Stage::new(open());
    let mut host = stage.host("r");
    for n in 0..60 {
        stage.try_enter(2, "r", &format!("{n:030}"), STREAM).expect("a place");
    }
    stage.hush();
    stage.say(&mut host, "/who");
    stage.deliver();
    assert_eq!(stage.ear(&host).asides.len(), 1);
    let size = stage.ear(&host).sizes[0];
    assert!((1160..=1200).contains(&size), "{size}");
}
