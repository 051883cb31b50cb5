//! Names and texts that attack the page: in its markup, attributes, addresses, styles, title and
//! notifications. All of them stay text.

use serde_json::json;

use crate::person::*;
use crate::support::browser::*;
use crate::support::*;

/// Each of them would count in `attacks` if it ran.
const ATTACKS: &[&str] = &[
    "<img src=x onerror=attacks++>",
    "<script>attacks++</script>",
    "\"><svg/onload=attacks++>",
    "' onmouseover='attacks++' x='",
    "</title><script>attacks++</script>",
    "</bdi></article><iframe srcdoc='<script>parent.attacks++</script>'>",
    "javascript:attacks++",
    "http://x/\"onclick=\"attacks++",
    "https://a.example/<b>",
    "data:text/html,<script>parent.attacks++</script>",
    "x;background:url(javascript:attacks++)",
    "<style>*{display:none}</style>",
    "<base href=//evil.example/>",
    "&lt;img src=x onerror=attacks++&gt;",
    "{{constructor.constructor('attacks++')()}}",
    "${attacks++}",
    "__proto__",
];

/// Returns the attacks that ran, and the elements that would run or load something.
const CHECK: &str = "
    const tags = 'script,img,iframe,object,embed,style,link,base,meta,video,audio,math,foreignObject';
    const bad = [...document.body.querySelectorAll('*')].filter(element =>
        element.matches(tags) && !element.matches('script[type=module]')
        || element.matches('a') && !(/^https?:$/.test(element.protocol) && element.relList.contains('noopener'))
        || [...element.attributes].some(({ name }) => /^on|^style$|^srcdoc$/.test(name)));
    return [attacks, bad.map(element => element.outerHTML)]";

const COUNT: &str = "globalThis.attacks = 0";

/// Checks that nothing of the network has become part of the page.
#[track_caller]
fn expect_nothing_ran(page: &Page) {
    // A frame and a turn later, a script or a picture that was inserted has run.
    page.run("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))");
    let result = page.run(CHECK);
    assert_eq!(result, json!([0, []]));
}

#[test]
fn h11_hostile_texts_stay_text() {
    let server = Server::start(&["--rate-limit", "0"]);
    let Some(browser) = Browser::start("h11 with hostile texts") else { return };
    let page = browser.page();
    page.prepare(COUNT);
    page.prepare(NOTIFICATIONS);
    // A page without the focus notifies.
    page.prepare("document.hasFocus = () => false");
    page.prepare("localStorage.setItem('reactor-chat.notify', 'yes')");
    let ann = Person::visit(page, &server);
    ann.create("lobby", "ann");
    for attack in ATTACKS {
        let name = json!({"username": attack}).to_string();
        let mallory = Member::join(&server, "lobby", &name);
        mallory.say(attack);
        ann.expect(attack, attack);
        let mention = format!("ann: {attack}");
        mallory.say(&mention);
        let noted =
            "return notes.at(-1)?.[0].includes(arguments[0]) && notes.at(-1)[1] === arguments[1]";
        ann.page.wait_with(noted, &json!([attack, mention]));
        mallory.say("/exit");
    }
    ann.expect_notice(ATTACKS[0]);
    expect_nothing_ran(&ann.page);
}

#[test]
fn h11_hostile_rooms_stay_text() {
    let server = Server::start(&["--max-rooms-ip", "100"]);
    let Some(browser) = Browser::start("h11 with hostile rooms") else { return };
    let page = browser.page();
    page.prepare(COUNT);
    let hosts = ATTACKS.iter().map(|room| Member::create(&server, room, &text("bob")));
    let hosts: Vec<Member> = hosts.collect();
    let ann = Person::visit(page, &server);
    for attack in ATTACKS {
        ann.page.wait_for_text("#room-list bdi", attack);
    }
    expect_nothing_ran(&ann.page);
    for (attack, host) in ATTACKS.iter().zip(&hosts).take(5) {
        ann.show("Rooms");
        ann.join(attack, "ann");
        host.expect("ann joined");
        ann.page.wait_for_title(|title| title.contains(attack));
    }
    expect_nothing_ran(&ann.page);
    ann.page.open(&format!("{}#<img src=x onerror=attacks++>", address(&server)));
    ann.page.reload();
    ann.page.wait_for(COMPOSER);
    expect_nothing_ran(&ann.page);
}
