// Tests of the page's sessions over WebTransport. `session_tests.js` has the others.

import { FakeServer } from "./server.js";
import { Visit, assert, assertEqual } from "./visit.js";

async function webtransport_is_preferred({ Server }) {
  const server = new FakeServer();
  server.offerWebTransport();
  const visit = await Visit.enter(server, Server);
  const { wire } = server.last;
  assertEqual([visit.membership.path, wire.url], ["webtransport", "https://127.0.0.1:9002/chat"]);
  const [{ algorithm, value }] = wire.options.serverCertificateHashes;
  assertEqual([algorithm, [...value]], ["sha-256", [0, 1, 2]]);
  visit.membership.send("short");
  visit.membership.send("x".repeat(900));
  await server.platform.advance(50);
  assertEqual(visit.texts().map((text) => text.length), [10, 5, 900]);
  // The first unit is the request. A body that does not fit a datagram follows it on the stream.
  assertEqual(server.last.units.slice(1), [905]);
}

async function loss_is_repaired({ Server }) {
  const server = new FakeServer();
  server.offerWebTransport();
  const visit = await Visit.enter(server, Server);
  server.passesDatagrams = false;
  server.notice(1, 8, "bob", "bob joined");
  await server.platform.advance(5);
  server.passesDatagrams = true;
  ["one", "two", "three"].forEach((text) => server.notice(99, 0, "", text));
  await server.platform.advance(500);
  assertEqual(visit.texts(), ["ann joined", "bob joined", "one", "two", "three"]);
  assertEqual(visit.membership.repairs, 1);
}

async function closed_udp_means_websocket({ Server }) {
  const server = new FakeServer();
  server.offerWebTransport();
  server.answersSessions = false;
  const start = server.platform.performance.now();
  const visit = await Visit.enter(server, Server);
  assertEqual(visit.membership.path, "websocket");
  assert(server.platform.performance.now() - start < 15_000, "too late");
  const before = server.attempts;
  await Visit.enter(server, Server, { username: "bob" });
  assert(server.attempts > before, "another page tries again");
}

async function restart_keeps_webtransport({ Server }) {
  const server = new FakeServer();
  server.offerWebTransport();
  const visit = await Visit.enter(server, Server);
  server.isUp = false;
  server.last.cut(4013);
  server.restart();
  await server.platform.advance(5_000);
  assertEqual(visit.membership.state, "reconnecting");
  server.isUp = true;
  await server.platform.until(() => visit.membership.state === "open");
  assertEqual([visit.membership.path, visit.of("rejoined").length], ["webtransport", 1]);
}

async function blocked_datagrams_fall_back({ Server }) {
  const server = new FakeServer();
  server.offerWebTransport();
  server.passesDatagrams = false;
  server.url = "https://127.0.0.1:9001/";
  const visit = await Visit.enter(server, Server);
  assertEqual([visit.membership.path, visit.texts()], ["webtransport", []]);
  await server.platform.advance(3_000);
  assertEqual([visit.membership.path, server.requests.at(-1).operation], ["websocket", "resume"]);
  assertEqual([visit.texts(), visit.membership.state], [["ann joined"], "open"]);
}

async function token_outlives_cleartext({ Server }) {
  const server = new FakeServer();
  server.offerWebTransport();
  const visit = await Visit.enter(server, Server);
  const { fetch } = server.platform;
  // Joins are refused, because the old membership has the name.
  server.refuse = ({ operation }) => (operation === "join" ? 1 : 0);
  for (const unanswered of [1, 2]) {
    let fetches = 0;
    server.platform.fetch = () => ((fetches += 1) > unanswered ? fetch() : new Promise(() => {}));
    server.last.cut(0);
    await server.platform.advance(30_000);
    assertEqual([visit.membership.state, visit.membership.path], ["open", "webtransport"]);
  }
  const operations = server.requests.map(({ operation }) => operation);
  assertEqual(operations, ["join", "resume", "resume", "resume", "resume", "join", "resume"]);
  assertEqual(visit.of("rejoined"), []);
}

export const webTransportTests = [
  webtransport_is_preferred,
  loss_is_repaired,
  closed_udp_means_websocket,
  restart_keeps_webtransport,
  blocked_datagrams_fall_back,
  token_outlives_cleartext,
];
