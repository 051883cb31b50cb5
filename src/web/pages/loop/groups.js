// Owns the numbers below the picture: their groups, and a short text about each.

import { bytes, count, total } from "./numbers.js";
import { Group, RareGroup } from "./group.js";
import { REASONS } from "./reasons.js";

// Rates by the name of a counter.
const TRAFFIC = [
  ["datagrams_received", "datagrams in", "Read from UDP, those without effect included."],
  ["sealed_datagrams_opened", "of these sealed", "Encrypted, and opened with the key of their member."],
  ["units_received", "carried messages in", "From members whose messages travel on a connection."],
  ["messages", "messages", "Lines that members have said and that were relayed."],
  ["datagrams_sent", "out", "Datagrams and carried messages to members: messages times their readers."],
  ["repairs_sent", "of these repairs", "Sent again, because a member had missed them."],
  ["keep_alives", "keep-alives", "Sent by members that say nothing, so that they count as present."],
  ["full_socket_waits", "waits for a full socket", "Turns in which output had to wait for the kernel or for a slow reader."],
];

const PATHS = [
  ["clear", "UDP in the clear", "Everybody on the way can read it."],
  ["sealed", "UDP, sealed", "Encrypted datagrams."],
  ["quic", "QUIC", "Browsers over WebTransport."],
  ["carried", "on a connection", "TCP, TLS, a Unix socket or a WebSocket."],
  ["detached", "detached", "Their connection has ended, and they may resume."],
];

const STATES = [
  ["handshake", "in a handshake", "TLS is not finished."],
  ["idle", "idle", "No request has begun."],
  ["in_request", "in a request", "Its rest is still to come."],
  ["not_reading", "not reading", "The peer has still to read what was sent."],
  ["delayed", "delayed", "Wrong passwords are answered late."],
  ["viewer", "viewers", "Get the figures of this page."],
  ["member", "carries a member", "Open for as long as the member is there."],
  ["last_entries", "last messages", "The member has ended, and its last messages are to go out."],
  ["ending", "ending", "Our half is closed, the peer's is not."],
];

const MEMORY = [
  ["resident", "all", "RAM of the process. Its ceiling follows from all limits."],
  ["backlog", "waiting output", "Messages that wait to be sent."],
  ["history", "history", "Messages kept for repairs and for those who come later."],
  ["buffers", "connections", "Bytes read and not parsed, or waiting to be written."],
];

const QUEUES = [
  [(gauges) => gauges.waiting_connections.read, "connections to read", "Ready, and not served yet."],
  [(gauges) => gauges.waiting_connections.handshake, "handshakes to answer", "They have a queue and a budget of their own."],
  [(gauges) => gauges.waiting_connections.flush, "connections to flush", "With answers that are not written."],
  [(gauges) => gauges.waiting_rooms, "rooms with output", "They take turns."],
];

export class Groups {
  #traffic = new Group("In and out, a second", "Counters of the server, as rates.");
  #dropped = new RareGroup("Dropped, a second", "From clients, without effect, by reason; in brackets since the start.");
  #unsent = new RareGroup("Not sent, a second", "For members, by reason; in brackets since the start.");
  #members = new Group("Members", "By the path of their messages.");
  #connections = new Group("Connections", "By what they wait for.");
  #queues = new Group("Left for the next turn", "Queues at the end of the last turn.");
  #memory = new Group("Memory", "In use, and its ceiling.");

  constructor(root) {
    const groups = [
      this.#traffic, this.#members, this.#connections, this.#queues, this.#memory, this.#dropped, this.#unsent,
    ];
    root.append(...groups.map((group) => group.element));
  }

  show(figures, history) {
    const { gauges, counters } = figures;
    for (const [key, words, about] of TRAFFIC) {
      this.#traffic.set(key, words, about, count(history.rate((each) => each.counters[key] ?? 0)));
    }
    for (const [key, words, about] of PATHS) {
      this.#members.set(key, words, about, count(gauges.members[key] ?? 0));
    }
    this.#members.set("rooms", "rooms", "Open rooms.", count(gauges.rooms.open));
    for (const [key, words, about] of STATES) {
      this.#connections.set(key, words, about, count(gauges.connection_states[key] ?? 0));
    }
    this.#connections.set("protocols", "protocols", "Connections by their protocol.", protocols(gauges.connections));
    for (const [pick, words, about] of QUEUES) {
      this.#queues.set(words, words, about, count(pick(gauges)));
    }
    this.#showMemory(gauges);
    this.#showReasons(this.#dropped, "dropped_datagrams", counters, history);
    const kernel = "kernel_dropped_datagrams";
    const rate = history.rate((each) => each.counters[kernel]);
    this.#dropped.set(kernel, "by the kernel", REASONS.kernel, rateAndTotal(rate, counters[kernel]));
    this.#showReasons(this.#unsent, "unsent_datagrams", counters, history);
  }

  #showMemory({ memory_bytes: used, memory_limit_bytes: limits }) {
    for (const [key, words, about] of MEMORY) {
      const limit = limits[key];
      const text = limit ? `${bytes(used[key] ?? 0)} of ${bytes(limit)}` : bytes(used[key] ?? 0);
      this.#memory.set(key, words, about, text, limit ? (used[key] ?? 0) / limit : 0);
    }
  }

  // Shows a family of counters by reason. New reasons of a newer server appear by themselves.
  #showReasons(group, family, counters, history) {
    for (const [reason, all] of Object.entries(counters[family])) {
      const rate = history.rate((each) => each.counters[family][reason] ?? 0);
      group.set(reason, reason.replaceAll("_", " "), REASONS[reason] ?? "", rateAndTotal(rate, all));
    }
  }
}

function rateAndTotal(rate, all) {
  return all === 0 ? "0" : `${count(rate)} (${count(all)})`;
}

function protocols(connections) {
  const there = Object.entries(connections).filter(([, number]) => number > 0);
  return there.map(([protocol, number]) => `${count(number)} ${protocol}`).join(", ") || "0";
}

// Returns the most important numbers, each with its words.
export function headline(figures, history) {
  const { gauges } = figures;
  const rate = (key) => count(history.rate((each) => total(each.counters[key])));
  return [
    [count(Math.round(history.rate((each) => each.turns))), "turns a second"],
    [count(total(gauges.members)), "members"],
    [count(gauges.rooms.open), "rooms"],
    [count(total(gauges.connections)), "connections"],
    [rate("messages"), "messages a second"],
    [rate("datagrams_sent"), "sent a second"],
    [rate("dropped_datagrams"), "dropped a second"],
  ];
}
