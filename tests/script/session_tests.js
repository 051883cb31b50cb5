// Tests of the page's sessions with a server and a clock of their own. They run in node and in browsers. Each test is a
// function that rejects if a promise is broken.

import { FakeServer, pack } from "./server.js";
import { Visit, assert, assertEqual } from "./visit.js";
import { webTransportTests } from "./webtransport_tests.js";

async function join_receive_send({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  const { username, password, delivery } = server.requests[0];
  assertEqual([username, password, delivery], ["ann", "pw", "stream"]);
  const [joined] = visit.of("entry");
  assertEqual([joined.kind, joined.code, joined.name, joined.isHistory], ["notice", 1, "ann", false]);
  const id = visit.membership.send("hello");
  assertEqual(visit.membership.pending, [{ id, text: "hello" }]);
  await server.platform.advance(50);
  const said = visit.of("entry").at(-1);
  assertEqual([said.kind, said.text, said.own, said.id], ["message", "hello", true, id]);
  assertEqual(visit.of("settled"), [{ type: "settled", id, outcome: "relayed" }]);
  assertEqual([visit.membership.pending, visit.membership.path], [[], "websocket"]);
  assert(visit.membership.rtt > 0 && visit.membership.rtt < 50, `${visit.membership.rtt} ms`);
}

async function long_message_in_parts({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  const text = "長い文 ".repeat(400);
  const id = visit.membership.send(text);
  await server.platform.advance(50);
  assertEqual(server.last.bodies.filter((body) => body[0] === 3).length, 3, "parts");
  assert(server.last.bodies.every((body) => body.length <= 1150), "the size of a datagram");
  assertEqual([visit.texts().at(-1), visit.of("entry").at(-1).id], [text, id]);
  let error = null;
  try {
    visit.membership.send("x".repeat(4097));
  } catch (thrown) {
    error = thrown;
  }
  assert(error instanceof RangeError, `${error}`);
}

async function refusals_have_status({ Server, RequestError }) {
  for (const status of [2, 3, 6, 9, 11]) {
    const server = new FakeServer();
    server.refuse = () => status;
    const error = await Visit.enter(server, Server).catch((thrown) => thrown);
    assert(error instanceof RequestError && error.status === status, `${error}`);
  }
  const server = new FakeServer();
  server.isUp = false;
  const error = await Visit.enter(server, Server).catch((thrown) => thrown);
  assert(error instanceof RequestError && error.status === 0, `${error}`);
}

async function cut_resumes_and_sends({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  const { token } = server.last.member;
  server.isUp = false;
  server.last.cut(1006);
  await server.platform.advance(100);
  assertEqual([visit.membership.state, visit.of("state").at(-1).reason], ["reconnecting", "connection"]);
  const id = visit.membership.send("typed offline");
  server.notice(1, 9, "bob", "bob joined");
  await server.platform.advance(3_000);
  server.isUp = true;
  await server.platform.until(() => visit.membership.state === "open");
  await server.platform.advance(50);
  assertEqual([server.requests.at(-1).operation, server.requests.at(-1).token], ["resume", token]);
  assertEqual(visit.texts(), ["ann joined", "bob joined", "typed offline"]);
  assertEqual(visit.of("settled"), [{ type: "settled", id, outcome: "relayed" }]);
  assertEqual(visit.of("rejoined"), []);
}

async function line_in_flight_is_said_once({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  // The server takes the line, and its entry is lost with the connection.
  server.last.member.isMute = true;
  visit.membership.send("once");
  await server.platform.advance(20);
  assertEqual(server.room.entries.length, 2, "entries");
  server.last.member.isMute = false;
  server.last.cut(1006);
  await server.platform.advance(2_000);
  assertEqual(visit.texts(), ["ann joined", "once"]);
  assertEqual(server.room.entries.length, 2, "entries");
}

async function restart_rejoins({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  server.last.member.aside(13, 0);
  server.last.cut(4013);
  server.restart();
  visit.membership.send("after the restart");
  await server.platform.advance(200);
  assertEqual(visit.of("state").at(-1).reason, "restart");
  assertEqual(server.requests.length, 1, "no attempt at once");
  await server.platform.until(() => visit.membership.state === "open");
  await server.platform.advance(50);
  const { operation, username, password } = server.requests.at(-1);
  assertEqual([operation, username, password], ["join", "ann", "pw"]);
  assertEqual(visit.of("rejoined").map(({ sameRoom }) => sameRoom), [false]);
  assertEqual(visit.texts(), ["ann joined", "", "ann joined", "after the restart"]);
}

async function killed_server_is_rejoined({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server, { operation: "create", capacity: 5 });
  server.last.cut(1006);
  server.restart();
  server.refuse = ({ operation }) => (operation === "join" ? 2 : 0);
  await server.platform.until(() => visit.of("rejoined").length > 0);
  assertEqual(server.requests.map(({ operation }) => operation), ["create", "resume", "join", "create"]);
  assertEqual([server.requests.at(-1).capacity, server.requests.at(-2).capacity], [5, undefined]);
}

async function guest_waits_for_its_room({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  server.last.cut(1006);
  server.restart();
  server.refuse = () => 2;
  await server.platform.advance(45_000);
  assertEqual(visit.membership.state, "reconnecting");
  await server.platform.advance(45_000);
  assertEqual(visit.of("ended"), [{ type: "ended", reason: "refused", code: 0, status: 2 }]);
}

async function close_codes_end_or_rejoin({ Server }) {
  for (const [code, reason] of [[4, "removed"], [7, "removed"], [5, "closed"], [2, "left"]]) {
    const server = new FakeServer();
    const visit = await Visit.enter(server, Server);
    server.last.cut(4000 + code);
    await server.platform.advance(60_000);
    assertEqual(visit.of("ended"), [{ type: "ended", reason, code, status: 0 }]);
    assertEqual([visit.membership.state, server.requests.length], ["ended", 1]);
  }
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  server.last.cut(4003);
  await server.platform.advance(1_000);
  assertEqual([visit.of("state")[1].reason, server.requests.at(-1).operation], ["timeout", "join"]);
}

async function attempts_are_few({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  server.isUp = false;
  let attempts = 0;
  const { WebSocket } = server.platform;
  server.platform.WebSocket = class extends WebSocket {
    constructor(url) {
      super(url);
      attempts += 1;
    }
  };
  server.last.cut(1006);
  await server.platform.advance(120_000);
  assertEqual(visit.membership.state, "reconnecting");
  assert(attempts >= 8 && attempts <= 13, `${attempts} attempts in two minutes`);
  attempts = 0;
  server.platform.dispatchEvent(new Event("online"));
  await server.platform.advance(10);
  assertEqual(attempts, 1, "at once when the network is back");
}

async function silence_is_noticed({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  server.last.member.isMute = true;
  server.last.member.take = () => {};
  visit.membership.send("hello?");
  await server.platform.until(() => visit.membership.state === "reconnecting");
  assertEqual(visit.of("state").at(-1).reason, "silence");
}

async function lists_have_pages({ Server }) {
  const server = new FakeServer();
  const names = ["a", "b", "c", "d", "e"];
  server.list = ({ after }) => {
    const rest = names.filter((name) => name > after).slice(0, 2);
    return rest.map((room) => ({ room, members: 1, ...(room === rest[1] && room < "e" ? { more: true } : {}) }));
  };
  const rooms = new Server("https://127.0.0.1:9001/x", server.platform).list("");
  await server.platform.advance(50);
  assertEqual((await rooms).map(({ room }) => room), names);
  assertEqual(server.requests[0], { operation: "list", room: "", after: "" });
}

async function questions_are_not_shown({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  const answer = visit.membership.ask("/who");
  const id = visit.membership.send("/help");
  assertEqual(visit.membership.pending, [{ id, text: "/help" }]);
  await server.platform.advance(50);
  assertEqual([await answer, visit.texts().slice(1)], ["answer to /who", ["answer to /help"]]);
  assertEqual(visit.of("settled"), [{ type: "settled", id, outcome: "answered" }]);
}

async function command_may_be_taken_silently({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  server.last.member.speak = (id) => server.last.member.aside(12, id);
  const id = visit.membership.send("/kick bob");
  await server.platform.advance(20);
  assertEqual(visit.of("settled"), [{ type: "settled", id, outcome: "answered" }]);
}

async function leaving_takes_2_s_at_most({ Server }) {
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  visit.membership.leave();
  await server.platform.advance(20);
  assertEqual(visit.of("ended").map(({ reason }) => reason), ["left"]);
  const other = await Visit.enter(server, Server, { username: "bob" });
  server.last.member.take = () => {};
  other.membership.leave();
  await server.platform.advance(1_900);
  assertEqual(other.of("ended"), []);
  await server.platform.advance(200);
  assertEqual(other.of("ended").map(({ reason }) => reason), ["left"]);
}

async function hostile_server_does_no_harm({ Server, RequestError }) {
  const broken = ["", "null", "[]", "{", '{"status":0}', '{"status":0,"token":1}', '{"status":"0"}'];
  for (const text of broken) {
    const server = new FakeServer();
    const accept = server.accept.bind(server);
    server.accept = (wire) => Object.assign(accept(wire), { receive: () => wire.receive(text) });
    const error = await Visit.enter(server, Server).catch((thrown) => thrown);
    assert(error instanceof RequestError, `${text}: ${error}`);
  }
  const server = new FakeServer();
  const visit = await Visit.enter(server, Server);
  const { wire, member } = server.last;
  for (let place = 0; place < 200; place += 1) {
    wire.receive(pack([4, member.tag], [8, place * 1e15], Uint8Array.from({ length: place }, () => place)));
    wire.receive(new Uint8Array(5000 + place));
    wire.receive("text");
  }
  wire.receive(pack([4, member.tag], [8, 2], [2, 12], [1, 1], [1, 250], [4, 0], [1, 1], [1, 0xff], [2, 0xc3c3], [2, 0]));
  await server.platform.advance(100);
  assertEqual(visit.membership.state, "open");
  assertEqual(visit.of("entry").at(-1).name, "\ufffd");
}

export const sessionTests = [
  join_receive_send,
  long_message_in_parts,
  refusals_have_status,
  cut_resumes_and_sends,
  line_in_flight_is_said_once,
  restart_rejoins,
  killed_server_is_rejoined,
  guest_waits_for_its_room,
  close_codes_end_or_rejoin,
  attempts_are_few,
  silence_is_noticed,
  ...webTransportTests,
  lists_have_pages,
  questions_are_not_shown,
  command_may_be_taken_silently,
  leaving_takes_2_s_at_most,
  hostile_server_does_no_harm,
];
