mod support;
use support::*;
#[test]
fn smoke() {
    let server = Server::start(&[]);
    let a = Member::create(&server, "r", r#"{"username":"a"}"#);
    let b = Member::join(&server, "r", "bob");
    a.expect("bob joined");
    b.say("hi");
    a.expect("bob: hi");
    a.say("yo");
    assert_eq!(b.hear(), b"\x01ayo");
    b.expect_silence();
}
