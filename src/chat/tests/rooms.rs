//! Rules of rooms, and notices that their members get.

use super::*;

#[test]
fn w24_the_longest_message_is_exact() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", "guest");
    let fits = datagram::MAX_NAME_AND_MESSAGE - "guest".len();
    assert_eq!(fits, 4065);
    let room_and_token = 2 + "r".len() + Token::WIRE_SIZE;
    assert!(room_and_token + fits > datagram::MAX_UPSTREAM, "a short name can't get there");
    let name = "n".repeat(60);
    let long = stage.join("r", &name);
    let fits = datagram::MAX_NAME_AND_MESSAGE - name.len();
    let fate = |heard| match heard {
        DatagramOutcome::Accepted(_, fate) => fate,
        DatagramOutcome::Dropped(why) => panic!("{why:?}"),
    };
    assert_eq!(fate(stage.say(long, &"x".repeat(fits))), MessageOutcome::Relayed);
    assert_eq!(fate(stage.say(long, &"x".repeat(fits + 1))), MessageOutcome::Refused);
    let told = format!("\0message refused, it is too long, {fits} bytes fit");
    assert_eq!(stage.take_heard(long), [told]);
    let longest = stage.take_heard(host).into_iter().map(|text| text.len()).max();
    assert_eq!(longest, Some(datagram::MAX_NAME_AND_MESSAGE + 2));
    assert_eq!(stage.take_heard(guest).len(), 2, "the join and the one that fitted");
}

#[test]
fn field_e_l_alerts_name_the_limit() {
    let mut stage = Stage::new(ChatConfig {
        max_rooms: Some(2),
        max_rooms_ip: Some(1),
        max_members: Some(4),
        max_room_members: Some(2),
        wrong_passwords: Some(1),
        rate_limit: Some(1),
        ..ChatConfig::default()
    });
    let alerts = |stage: &mut Stage| -> Vec<(Alert, PeerAddr, u64)> {
        std::iter::from_fn(|| stage.chat.poll_alert()).collect()
    };
    let [two, three] = [2, 3].map(|last| Ipv4Addr::new(192, 0, 2, last));
    let host = stage.create("r", r#"{"username":"host","password":"pw"}"#);
    for _ in 0..2 {
        assert!(stage.enter(1, "s", "host").is_err());
    }
    assert_eq!(alerts(&mut stage), [(Alert::RoomsIp, HOME.into(), 2)]);
    let wrong = r#"{"username":"eve","password":"no"}"#;
    for _ in 0..3 {
        assert!(stage.request(two, 2, "r", wrong).is_err());
    }
    let guessed = [(Alert::WrongPassword, two.into(), 1), (Alert::WrongPasswords, two.into(), 2)];
    assert_eq!(alerts(&mut stage), guessed);
    assert!(stage.request(three, 2, "r", r#"{"username":"a","password":"pw"}"#).is_ok());
    assert!(stage.request(three, 2, "r", r#"{"username":"b","password":"pw"}"#).is_err());
    assert_eq!(alerts(&mut stage), [(Alert::RoomMembers, three.into(), 1)]);
    assert!(stage.request(three, 1, "s", "host").is_ok());
    assert!(stage.request(two, 1, "t", "host").is_err());
    assert_eq!(alerts(&mut stage), [(Alert::Rooms, two.into(), 1)]);
    for _ in 0..7 {
        stage.say(host, "hi");
    }
    assert_eq!(alerts(&mut stage), [(Alert::Rate, HOME.into(), 2)]);
    stage.advance(Duration::from_secs(10));
    assert_eq!(alerts(&mut stage), [(Alert::Unheard, three.into(), 2)], "the host was heard");
    stage.advance(Duration::from_secs(20));
    assert_eq!(alerts(&mut stage), [], "once for each member");
}

#[test]
fn w12_hidden_looks_missing() {
    let mut stage = Stage::with_defaults();
    stage.create("h", r#"{"username":"host","password":"pw","hidden":true,"capacity":1}"#);
    let mut status = |payload: &str| stage.enter(2, "h", payload).err();
    assert_eq!(status("bob"), Some(Status::RoomNotFound));
    assert_eq!(status(r#"{"username":"bob","password":"no"}"#), Some(Status::RoomNotFound));
    assert_eq!(status(r#"{"username":"HOST","password":"pw"}"#), Some(Status::NameTaken));
    assert_eq!(status(r#"{"username":"bob","password":"pw"}"#), Some(Status::RoomFull));
    assert_eq!(stage.enter(1, "h", "eve").err(), Some(Status::RoomExists));
    stage.chat.config.max_members_ip = Some(1);
    for room in ["h", "none"] {
        let status = stage.enter(2, room, r#"{"username":"bob","password":"pw"}"#).err();
        assert_eq!(status, Some(Status::RateLimited), "{room}");
    }
}

#[test]
fn w35_pass_picks_longest_member() {
    let config = ChatConfig { host_leaves: HostLeaves::Pass, ..ChatConfig::default() };
    let mut stage = Stage::new(config);
    let host = stage.create("r", r#"{"username":"host"}"#);
    let second = stage.join("r", r#"{"username":"second"}"#);
    let third = stage.join("r", r#"{"username":"third"}"#);
    stage.deliver();
    stage.heard.clear();
    stage.say(host, "/exit");
    assert_eq!(stage.take_heard(third), ["host left", "second is the host now"]);
    stage.say(second, "/host THIRD");
    stage.say(second, "/exit");
    stage.say(third, "/exit");
    assert_eq!(stage.take_heard(third).last().map(String::as_str), Some("the room was closed"));
    assert_eq!(stage.chat.census(), Census::default());
}

#[test]
fn t10_w33_a_crowd_is_one_notice() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    for n in 0..12 {
        let guest = stage.join("r", &format!("g{n}"));
        if n >= 10 {
            stage.say(guest, "/exit");
        }
    }
    let named: Vec<String> = (0..5).map(|n| format!("g{n} joined")).collect();
    assert_eq!(stage.take_heard(host), named);
    stage.advance(Duration::from_millis(999));
    assert!(stage.take_heard(host).is_empty());
    stage.advance(Duration::from_millis(1));
    assert_eq!(stage.take_heard(host), ["7 joined, 2 left"]);
    stage.join("r", "later");
    assert_eq!(stage.take_heard(host), ["later joined"]);
}

#[test]
fn t10_bursts_pass_and_exits_are_free() {
    let mut stage = Stage::with_defaults();
    let host = stage.create("r", r#"{"username":"host"}"#);
    let guest = stage.join("r", r#"{"username":"guest"}"#);
    let relayed = (0..500)
        .filter(|_| {
            matches!(stage.say(guest, "x"), DatagramOutcome::Accepted(_, MessageOutcome::Relayed))
        })
        .count();
    assert_eq!(relayed, 100);
    let warning = "you are sending too fast, what came last was not sent on";
    assert_eq!(stage.take_heard(guest), [warning]);
    assert_eq!(
        stage.say(guest, "/who"),
        DatagramOutcome::Accepted(guest.id, MessageOutcome::RateLimited)
    );
    assert!(matches!(
        stage.say(guest, "/exit"),
        DatagramOutcome::Accepted(_, MessageOutcome::Command)
    ));
    assert_eq!(stage.take_heard(host).last().map(String::as_str), Some("guest left"));
}
