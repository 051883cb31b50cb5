// Repeats golden histories with the script of the chat page, in node and in browsers. Each history
// begins with a line that describes the member; each other line is the time in nanoseconds, an input,
// and the expected outputs. `src/stream/golden_tests.rs` writes them.

// Returns the number of lines that were repeated. Throws an error at the first difference. `machines`
// are `{StreamReceiver, StreamSender}`.
export function replay(histories, machines) {
  const lines = histories.trimEnd().split("\n");
  let member = null;
  lines.forEach((line, place) => {
    const value = JSON.parse(line);
    if (!Array.isArray(value)) {
      member = new Member(value, machines);
      return;
    }
    const ours = JSON.stringify(member.handle(value));
    if (ours !== line) {
      throw new Error(`line ${place + 1}\nexpected ${line}\nfound    ${ours}`);
    }
  });
  return lines.length;
}

// The machines of one member.
class Member {
  #receiver;
  #sender;

  constructor({ tag, next, member, expected, keepAlive, room }, { StreamReceiver, StreamSender }) {
    this.#receiver = new StreamReceiver(tag, next, keepAlive, 0);
    this.#sender = new StreamSender(member, expected, room);
  }

  // Handles the input of a line, and returns the line with our own outputs.
  handle([now, input, bytes]) {
    switch (input) {
      case "datagram":
        return [now, input, bytes, this.#receive(fromHex(bytes), now)];
      case "push":
        return [now, input, bytes, this.#sender.push(fromHex(bytes))];
      case "carry":
        this.#receiver.restart(true);
        this.#sender.restart(true);
        return [now, input];
      case "doubt":
        this.#receiver.doubt(now);
        return [now, input];
      default:
        return [now, input, this.#transmit(now), this.#state()];
    }
  }

  #receive(bytes, now) {
    const events = [];
    const isKnown = this.#receiver.handleDatagram(bytes, now, (event) => {
      this.#sender.handleEvent(event, now);
      events.push(encode(event));
    });
    return isKnown ? events : null;
  }

  #transmit(now) {
    const bodies = [];
    for (let body; (body = this.#receiver.pollTransmit(now) ?? this.#sender.pollTransmit(now)); ) {
      bodies.push(toHex(body));
    }
    return bodies;
  }

  #state() {
    const [receiver, sender] = [this.#receiver, this.#sender];
    return [
      receiver.pollTimeout(),
      sender.pollTimeout(),
      receiver.next(),
      receiver.resumeAt(),
      receiver.isComplete(),
      receiver.gone(),
      receiver.repaired(),
      receiver.unanswered(),
      receiver.roundTrip(),
      sender.first(),
      sender.openIds().length,
      sender.timeouts(),
    ];
  }
}

function encode(event) {
  const { kind, number, code, member, id } = event;
  switch (kind) {
    case "message":
      return [kind, number, member, id, digest(event.name), digest(event.text), event.isLate];
    case "notice":
      return [kind, number, code, member, digest(event.name), digest(event.text)];
    case "aside":
      return [kind, code, event.expected, id, digest(event.text)];
    default:
      return [kind, event.first, event.count];
  }
}

// Returns size and FNV-1a hash (32 bits).
function digest(bytes) {
  const hash = bytes.reduce((hash, byte) => Math.imul(hash ^ byte, 0x01000193) >>> 0, 0x811c9dc5);
  return `${bytes.length}:${hash.toString(16).padStart(8, "0")}`;
}

// Returns hex digits. A run of 8 or more equal bytes is `(digits*count)`.
function toHex(bytes) {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
  const runs = [];
  for (const pair of digits) {
    if (runs.at(-1)?.pair === pair) {
      runs.at(-1).count += 1;
    } else {
      runs.push({ pair, count: 1 });
    }
  }
  return runs.map(({ pair, count }) => (count < 8 ? pair.repeat(count) : `(${pair}*${count})`)).join("");
}

function fromHex(text) {
  const digits = text.replace(/\((..)\*(\d+)\)/g, (_, pair, count) => pair.repeat(Number(count)));
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
