// A server for tests of the page's script: one room at a time, whose members are all carried or all datagram members as
// far as the page can tell. It is written from PROTOCOL.md, and shares no code with the page.

import { FakeSocket, FakeTransport, Platform } from "./platform.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

// Returns the bytes of numbers, given as `[size, value]`, and of byte arrays.
export function pack(...fields) {
  return Uint8Array.from(fields.flatMap((field) => (Array.isArray(field) ? bigEndian(...field) : [...field])));
}

function bigEndian(size, value) {
  return Array.from({ length: size }, (_, place) => Math.floor(value / 256 ** (size - 1 - place)) % 256);
}

function number(bytes) {
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0);
}

export class FakeServer {
  platform = new Platform();
  isUp = true;
  answersSessions = true;
  passesDatagrams = true;
  url = "http://127.0.0.1:9001/";
  // All requests, and all connections with a member, in their order.
  requests = [];
  connections = [];
  attempts = 0;
  room = null;
  // Returns the status of a request, if a test wants one.
  refuse = () => 0;

  constructor() {
    const { platform } = this;
    [FakeSocket.platform, FakeSocket.server, FakeTransport.server] = [platform, this, this];
    platform.WebSocket = FakeSocket;
    platform.fetch = async () => {
      if (!this.isUp) {
        throw new TypeError("the server is down");
      }
      return { json: async () => ({ port: 9002, hashes: ["AAEC"] }) };
    };
    this.restart();
  }

  // Forgets everything, as a server that is started again.
  restart() {
    this.room = { name: "lobby", life: this.attempts + 77, entries: [], members: new Map(), isOpen: true };
  }

  offerWebTransport() {
    this.platform.isSecureContext = true;
    this.platform.WebTransport = FakeTransport;
  }

  accept(wire) {
    this.attempts += 1;
    return new Connection(this, wire);
  }

  // Adds an entry to the room and sends it to all members.
  say(kind, body) {
    this.room.entries.push(pack([2, 1 + body.length], [1, kind], body));
    this.room.members.forEach((member) => member.catchUp());
  }

  notice(code, member, name, text) {
    this.say(1, pack([1, code], [4, member], [1, name.length], encoder.encode(name + text)));
  }

  get last() {
    return this.connections.at(-1);
  }
}

class Connection {
  constructor(server, wire) {
    [this.server, this.wire, this.member, this.isCut] = [server, wire, null, false];
    this.isSession = wire instanceof FakeTransport;
    // Bodies from the page, and the sizes of those that came as units.
    [this.bodies, this.units] = [[], []];
  }

  receive(data) {
    if (this.isCut) {
      return;
    }
    if (!this.member) {
      this.answerRequest(JSON.parse(data));
      return;
    }
    this.bodies.push(data);
    this.member.handle(data);
  }

  receiveUnit(unit) {
    const content = unit.slice(2);
    this.units.push(content.length);
    this.receive(this.member ? content : decoder.decode(content));
  }

  answerRequest(request) {
    this.server.requests.push(request);
    const status = this.server.refuse(request);
    if (status === null) {
      return;
    }
    const reply = status === 0 ? this.grant(request) : { status };
    const text = JSON.stringify(reply);
    if (this.isSession) {
      this.wire.receiveUnit(pack([2, text.length], encoder.encode(text)));
    } else {
      this.wire.receive(text);
    }
    this.member?.catchUp();
  }

  grant(request) {
    const { room } = this.server;
    if (request.operation === "list") {
      return { status: 0, rooms: this.server.list(request) };
    }
    const old = room.members.get(request.token);
    const isHidden = old?.connection.isSession && !this.isSession && this.server.url.startsWith("http:");
    if (request.operation === "resume" && (!old || isHidden)) {
      return { status: 2 };
    }
    const isNew = !old;
    this.member = old ?? new FakeMember(this.server, request.username);
    this.member.connection = this;
    this.server.connections.push(this);
    if (isNew) {
      this.member.enter();
    }
    this.member.cursor = isNew ? this.member.next : this.member.confirmed;
    const { token, tag, next, expected } = this.member;
    const completion = { token, member: this.member.number, tag, life: room.life, next, expected };
    return { status: 0, ...completion, keep_alive: 20, idle_timeout: 300 };
  }

  send(datagram) {
    if (!this.isCut) {
      this.wire.receive(datagram);
    }
  }

  // Ends the connection with a close code.
  cut(code) {
    this.isCut = true;
    this.wire.fail(code);
  }

  leave() {
    this.isCut = true;
  }
}

class FakeMember {
  constructor(server, name) {
    const number = server.room.members.size + 1;
    Object.assign(this, { server, name, number, token: `token ${server.attempts}`, tag: 1000 + number });
    Object.assign(this, { next: server.room.entries.length + 1, expected: 1, begun: [], isMute: false });
    this.confirmed = this.next;
  }

  enter() {
    this.server.room.members.set(this.token, this);
    this.server.notice(1, this.number, this.name, `${this.name} joined`);
  }

  // Sends the entries that were not sent on this connection.
  catchUp() {
    const { entries } = this.server.room;
    while (this.cursor <= entries.length) {
      this.send(this.cursor, entries[this.cursor - 1]);
      this.cursor += 1;
    }
  }

  send(sequence, entry) {
    if (!this.isMute) {
      this.connection.send(pack([4, this.tag], [8, sequence], entry));
    }
  }

  aside(code, id, text = "") {
    const body = pack([1, code], [4, this.expected], [4, id], encoder.encode(text));
    this.send(this.server.room.entries.length + 1, pack([2, 1 + body.length], [1, 2], body));
  }

  handle(body) {
    switch (body[0]) {
      case 0:
      case 3:
        return this.take(body[0], number(body.slice(1, 5)), body.slice(5));
      case 1:
        this.confirmed = Math.max(this.confirmed, number(body.slice(1)));
        return this.aside(12, 0);
      default:
        return this.repair(body.slice(1));
    }
  }

  take(kind, id, text) {
    if (id !== this.expected) {
      return this.aside(12, id);
    }
    this.expected += 1;
    this.begun.push(...text);
    return kind === 3 ? this.aside(12, id) : this.speak(id, Uint8Array.from(this.begun.splice(0)));
  }

  speak(id, text) {
    const line = decoder.decode(text);
    if (line === "/exit") {
      this.server.room.members.delete(this.token);
      this.aside(2, id);
      return this.connection.cut(4002);
    }
    if (line.startsWith("/")) {
      return this.aside(10, id, `answer to ${line}`);
    }
    for (let at = 0; at < text.length || at === 0; at += 1000) {
      const part = text.slice(at, at + 1000);
      const isLast = at + 1000 >= text.length;
      const name = encoder.encode(this.name);
      this.server.say(isLast ? 0 : 3, pack([4, this.number], [4, id], [1, name.length], name, part));
    }
  }

  repair(ranges) {
    for (let at = 0; at < ranges.length; at += 10) {
      const from = number(ranges.slice(at, at + 8));
      for (let place = 0; place < number(ranges.slice(at + 8, at + 10)); place += 1) {
        this.send(from + place, this.server.room.entries[from + place - 1]);
      }
    }
  }
}
