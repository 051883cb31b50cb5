//! Bad networks and servers that restart, under an open page.

use crate::person::*;
use crate::support::browser::*;
use crate::support::namespace::in_namespace;
use crate::support::tcp_proxy::TcpProxy;
use crate::support::*;

/// Loopback that loses 5 % of all datagrams, each way.
const LOSS: &str = "ip link set lo up && nft add table inet bad && \
    nft 'add chain inet bad input { type filter hook input priority 0; }' && \
    nft add rule inet bad input meta l4proto udp numgen random mod 100 '<' 5 drop";

/// Loopback with an address that is not one of loopback, as on a LAN.
const LAN: &str = "ip link set lo up && ip address add 192.0.2.1/32 dev lo";

#[test]
fn h6_h8_loss_is_repaired() {
    in_namespace("h6_h8_loss_is_repaired", "h6 with loss in a browser", LOSS, || {
        let server = Server::start(&["--rate-limit", "0"]);
        let Some(browser) = Browser::start("h6 with loss") else { return };
        let Some(other) = Browser::start("h6 with loss") else { return };
        let (ann, bob) =
            (Person::visit(browser.page(), &server), Person::visit(other.page(), &server));
        ann.create("lobby", "ann");
        bob.join("lobby", "bob");
        ann.expect_path(UDP);
        bob.expect_path(UDP);
        let lines: Vec<String> = (0..200).map(|number| format!("line {number}")).collect();
        ann.say_at_once(&lines);
        bob.expect("ann", &lines[199]);
        ann.expect("ann", &lines[199]);
        assert_eq!(bob.messages(), lines);
        assert_eq!(ann.messages(), lines);
        // 200 messages and their confirmations both ways: that none is lost has a chance below 1 in 10^8.
        bob.page.wait_for(&format!("{ROOM} .status-repairs:not(:empty)"));
    });
}

#[test]
fn h11_restarted_server_is_rejoined() {
    let server = Server::start(&[]);
    let [tcp, udp] = [server.tcp, server.udp].map(|address| address.port().to_string());
    let Some(browser) = Browser::start("h11 with a server that restarts") else { return };
    for part in ["ERR_CONNECTION_", "ERR_QUIC", "ERR_EMPTY_RESPONSE", "WebSocket", "WebTransport"] {
        browser.expect_in_console(part);
    }
    let (ann, bob) =
        (Person::visit(browser.page(), &server), Person::visit(browser.open_tab(), &server));
    ann.create("lobby", "ann");
    bob.join("lobby", "bob");
    ann.expect_notice("bob joined");
    drop(server);
    for person in [&ann, &bob] {
        person.page.wait_for(&format!("{ROOM} .status-line[data-state=reconnecting]"));
    }
    ann.say("typed offline");
    ann.page.wait_for_text(&format!("{ROOM} .waiting .text"), "typed offline");
    let _server = Server::start_at(&tcp, &udp, &[]);
    for person in [&ann, &bob] {
        person.expect_path(UDP);
    }
    ann.say("typed later");
    ann.expect("ann", "typed later");
    bob.expect("ann", "typed later");
    let messages = ann.messages();
    assert_eq!(messages, ["typed offline", "typed later"]);
}

#[test]
fn h11_cut_connection_is_resumed() {
    let server = Server::start(&["--webtransport", "off"]);
    let proxy = TcpProxy::start(server.tcp);
    let Some(browser) = Browser::start("h11 on a connection that is cut") else { return };
    for part in ["status of 404", "WebSocket connection to"] {
        browser.expect_in_console(part);
    }
    let page = browser.page();
    page.open(&format!("http://{}/", proxy.address));
    let ann = Person { page };
    let bob = Member::create(&server, "lobby", &text("bob"));
    ann.join("lobby", "ann");
    bob.expect("ann joined");
    for round in 0..3 {
        proxy.cut();
        bob.say(&format!("from bob {round}"));
        ann.say(&format!("from ann {round}"));
        bob.expect(&format!("ann: from ann {round}"));
        ann.expect("bob", &format!("from bob {round}"));
        ann.expect("ann", &format!("from ann {round}"));
    }
    assert_eq!(ann.messages().len(), 6);
    // Bob has seen neither an end nor a join.
    bob.expect_silence();
}

#[test]
fn h3_h9_page_on_a_lan() {
    in_namespace("h3_h9_page_on_a_lan", "h3 and h9 on a LAN", LAN, || {
        let Some(browser) = Browser::start("h3 and h9 on a LAN") else { return };
        browser.expect_in_console("403");
        let lan = |server: &Server, scheme: &str, path: &str| {
            format!("{scheme}://192.0.2.1:{}{path}", server.tcp.port())
        };
        let server = Server::start(&["--bind", "0.0.0.0"]);
        let page = browser.page();
        page.open(&lan(&server, "http", "/"));
        let status = "return fetch('/loop.json').then(answer => answer.status)";
        assert_eq!(page.run(status), 403);
        let ann = Person { page };
        ann.create("clear", "ann");
        // WebTransport needs a secure context.
        ann.expect_path(TCP);
        ann.page.open(&lan(&server, "https", "/"));
        ann.create("sealed", "ann");
        ann.expect_path(UDP);
        let server = Server::start(&["--bind", "0.0.0.0", "--status-from", "192.0.2.0/24"]);
        ann.page.open(&lan(&server, "http", "/loop"));
        ann.page.wait_for("#state[data-state=live]");
    });
}

#[test]
fn h9_page_with_the_own_certificate() {
    let server = Server::start(&["--tls", "required"]);
    let Some(browser) = Browser::start("h9 with the own certificate") else { return };
    let page = browser.page();
    page.open(&format!("https://{}/", server.tcp));
    let ann = Person { page };
    ann.create("lobby", "ann");
    ann.expect_path(UDP);
    ann.say("sealed");
    ann.expect("ann", "sealed");
}
