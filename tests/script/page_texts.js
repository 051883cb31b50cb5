// Owns the tests of the chat page without a document: links, mentions, completion, members, texts, QR codes.

import { strict as assert } from "node:assert";
import { makeTranslator, splitSentence } from "../../src/web/pages/common/texts.js";
import { makeQrCode } from "../../src/web/pages/chat/qr/qr_code.js";
import { TabCompletion } from "../../src/web/pages/chat/text/completion.js";
import { InputHistory } from "../../src/web/pages/chat/text/input_history.js";
import { findLinks } from "../../src/web/pages/chat/text/links.js";
import { parseMembers } from "../../src/web/pages/chat/text/member_list.js";
import { findMentions } from "../../src/web/pages/chat/text/mentions.js";
import { splitMessage } from "../../src/web/pages/chat/text/pieces.js";
import { Roster } from "../../src/web/pages/chat/text/roster.js";
import { parseSlash } from "../../src/web/pages/chat/text/slash.js";
import { ENGLISH } from "../../src/web/pages/chat/texts/english.js";
import { JAPANESE } from "../../src/web/pages/chat/texts/japanese.js";

// The expected modules of qrCode(), from qrencode 4.1 (`qrencode -8 -l M -m 0 -t ASCII`): a row a word, as hex.
const QR_ROWS =
  "1fcf977f 10587341 1744d25d 174ee45d 17514f5d 10478f41 1fd5557f 4da00 154f6812 1bbc60c9 36f8917 17b72e9a 56418cb " +
  "111eb8cd f547db3 6b3da6a 1d4768c3 4896845 17fe8c6b 90a2a6a 13531bf0 11b517 1fcf775b 104fdf12 175465f2 1740e334 " +
  "175848b5 104ce112 1fd65163";

const PAGE_TESTS = { links, pieces, mentions, completion, inputHistory, members, roster, slash, texts, qrCode, qrSizes };

for (const [name, test] of Object.entries(PAGE_TESTS)) {
  try {
    test();
  } catch (error) {
    error.message = `${name}: ${error.message}`;
    throw error;
  }
}

// Each text has its links in brackets.
function links() {
  for (const marked of [
    "see [https://example.org/a?b=c#d], and ([http://example.org/x_(y)]).",
    "見て[https://example.jp/]を",
    "[HTTPS://EXAMPLE.ORG]!",
    "javascript:alert(1) data:text/html,x ftp://example.org file:///etc www.example.org xhttp://a",
    "https://user:password@example.org https://bank.example@evil.example http:// https://[",
    "[https://example.org/?q=]\"><script>",
  ]) {
    const text = marked.replace(/\[(h[^\]]+)\]/gi, "$1");
    let shown = text;
    for (const { start, end, href } of findLinks(text).reverse()) {
      assert.match(href, /^https?:\/\/[^@]+$/);
      shown = `${shown.slice(0, start)}[${shown.slice(start, end)}]${shown.slice(end)}`;
    }
    assert.equal(shown, marked);
  }
}

function pieces() {
  const text = "bob: https://example.org/bob bob";
  const found = splitMessage(text, "Bob");
  assert.equal(found.map((piece) => piece.text).join(""), text, "nothing is lost");
  assert.deepEqual(found.map(({ href, isMention }) => (href ? "link" : isMention ? "me" : "")), ["me", "", "link", "", "me"]);
  assert.deepEqual(splitMessage("", "bob"), []);
}

// The cases are those of the terminal client.
function mentions() {
  for (const [name, marked] of [
    ["Bob", "[bob]: hi [BOB]! bobby, kebob, bobob [bob]"],
    ["李 明", "hi [李 明]"],
    ["田中", "[田中]さん、こんにちは[田中]さん"],
    ["bob", "[bob]さん、@[Bob]、日本[bob]日本"],
    ["サクラ", "[サクラ]サン ヤマ[サクラ]ー"],
    ["สมชาย", "สวัสดี[สมชาย]ครับ"],
    ["민수", "[민수]야 안녕"],
    ["иван", "[Иван], ивана нет"],
    ["jose", "jose\u0301 josé [jose]"],
    ["ann1", "ann12 [ANN1]"],
    ["👋", "[👋] 👋🏽"],
    ["", "nobody"],
  ]) {
    const text = marked.replace(/[[\]]/g, "");
    let shown = text;
    for (const { start, end } of findMentions(text, name).reverse()) {
      shown = `${shown.slice(0, start)}[${shown.slice(start, end)}]${shown.slice(end)}`;
    }
    assert.equal(shown, marked);
  }
}

function completion() {
  const names = ["Bob", "Ann", "anna lee", "日本"];
  const all = (line) => {
    const cycle = new TabCompletion();
    const seen = [];
    for (let shown = cycle.next(line, names, true); shown !== null && shown !== line; shown = cycle.next(shown, names, true)) {
      seen.push(shown);
    }
    return seen;
  };
  assert.deepEqual(all("/w"), ["/who"]);
  assert.deepEqual(all("/h"), ["/help", "/host "]);
  assert.deepEqual(all("/kick A"), ["/kick Ann", "/kick anna lee"]);
  assert.deepEqual(all("an"), ["Ann: ", "anna lee: "]);
  assert.deepEqual(all("hi anna l"), ["hi anna lee "]);
  assert.deepEqual(all("hi 日"), ["hi 日本 "]);
  assert.deepEqual(all("@an"), ["@Ann ", "@anna lee "]);
  ["", "x", "a@b", "hi ", "say /w"].forEach((line) => assert.deepEqual(all(line), [], line));
  const cycle = new TabCompletion();
  assert.equal(cycle.next("an", names, false), "anna lee: ", "backwards");
}

function inputHistory() {
  const history = new InputHistory();
  assert.equal(history.older("draft"), null);
  ["one", "two", "two"].forEach((line) => history.add(line));
  assert.deepEqual([history.older("draft"), history.older("two"), history.older("one")], ["two", "one", null]);
  assert.deepEqual([history.newer(), history.newer(), history.newer()], ["two", "draft", null]);
}

function members() {
  assert.deepEqual(parseMembers("ann (host), bob (unencrypted), cy"), { names: ["ann", "bob", "cy"], host: "ann", inClear: ["bob"], more: 0 });
  assert.deepEqual(parseMembers("日本, bob（ホスト） ほか12人"), { names: ["日本", "bob"], host: "bob", inClear: [], more: 12 });
  assert.deepEqual(parseMembers("bob, bob and 3 more, ann (host)").names, ["bob", "bob and 3 more", "ann"]);
  assert.equal(parseMembers(" and 3 more").more, 3);
  ["", "bob joined", "bob, cy", "a (host), b (host)", " (host)", "bob: a (host)"].forEach((text) => assert.equal(parseMembers(text), null, text));
}

function roster() {
  const known = new Roster();
  assert.equal(known.queryDelay(0), 0);
  known.noteQuery(0);
  known.note(6, "bob");
  known.note(2, "ann");
  known.learn("ann (host), bob, cy");
  assert.deepEqual([[...known.names], known.host, known.more], [["bob", "cy"], "bob", 0], "a late answer undoes no notice");
  known.note(1, "");
  assert.equal(known.queryDelay(1_000), 59_000, "a crowd asks once a minute");
  known.learn("bob (host), dan and 3 more");
  assert.deepEqual([[...known.names], known.more], [["bob", "cy", "dan"], 2], "a list that was cut removes nobody");
}

function slash() {
  assert.deepEqual(parseSlash(" /EXIT "), { name: "leave" });
  assert.deepEqual(parseSlash("/join #a room"), { name: "join", room: "a room" });
  ["/exit now", "//exit", "/who", "hello", "/join"].forEach((line) => assert.equal(parseSlash(line), null, line));
}

// Both languages have the same texts with the same places.
function texts() {
  assert.deepEqual(Object.keys(JAPANESE).sort(), Object.keys(ENGLISH).sort());
  const placesOf = (entry) => {
    const text = entry.other ?? entry;
    return splitSentence(text).flatMap(({ place }) => place ?? []).sort();
  };
  for (const [key, entry] of Object.entries(ENGLISH)) {
    assert.deepEqual(placesOf(JAPANESE[key]), placesOf(entry), key);
  }
  const english = makeTranslator(ENGLISH, "en");
  assert.deepEqual([1, 2].map((count) => english("newCount", { count })), ["1 new message", "2 new messages"]);
  assert.equal(english("notice1"), "{name} joined");
  assert.deepEqual(splitSentence(english("notice1")), [{ place: "name" }, { text: " joined" }]);
}

function qrCode() {
  const expected = QR_ROWS.split(" ").map((row) => BigInt(`0x${row}`).toString(2));
  const grid = makeQrCode("http://localhost:9001/#lobby");
  const rows = Array.from({ length: grid.size }, (_, y) => Array.from({ length: grid.size }, (_, x) => grid.get(x, y)).join(""));
  assert.deepEqual(rows, expected.map((row) => row.padStart(grid.size, "0")));
}

// The sizes at which a version ends, in bytes (table 7 of the standard, level M).
function qrSizes() {
  [14, 26, 42, 62, 84, 106, 122, 152, 180, 213].forEach((most, index) => {
    assert.equal(makeQrCode("x".repeat(most)).version, index + 1);
  });
  assert.equal(makeQrCode("x".repeat(214)), null);
}
