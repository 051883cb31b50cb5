// Sends messages in order, and again until the server has taken them (S5, S6), as `src/stream/sender.rs`
// does.
//
// This is go-back-N: the server takes only the id that it expects. A cursor advances as open messages
// are sent, and returns to the first one when that was lost or refused. A window bounds the number of
// messages in flight. After a timeout or a refusal it is one message, and it grows by one with every
// message that is taken, as in TCP's slow start (RFC 5681).

import { BODY_OVERHEAD } from "./body.js";
import { Code, MAX_PACKED, MAX_TEXT } from "./datagram.js";
import { splitText } from "./open_part.js";
import { MILLISECOND, RoundTrip, SECOND, doubled } from "./round_trip.js";

// The most open messages, each part of a long one counted (S6, S16).
const MAX_OPEN = 64;
// The most bytes of text in open messages (S6).
const MAX_OPEN_BYTES = 32 << 10;
// The largest id, which is never used.
const MAX_ID = 0xffffffff;
// The bytes of a datagram beside room name and body: their sizes, and the token (W17).
const ROOM_OVERHEAD = 2 + 32;

// The bounds of a timeout (S6).
const SHORTEST_TIMEOUT = 20 * MILLISECOND;
const LONGEST_TIMEOUT = 2 * SECOND;
// The pause after the first refusal for the rate, and the longest one while nothing is taken.
const SHORTEST_HOLD = 50 * MILLISECOND;
const LONGEST_HOLD = SECOND;
// The timeout on a path that loses nothing. The server may still drop an answer.
const CARRIED_TIMEOUT = 10 * SECOND;

const OFF = Object.freeze({ kind: "off", at: null });

export class StreamSender {
  #member;
  // The most bytes of text in a datagram.
  #partSize;
  // The id of the first open message, or of the next one.
  #first;
  #open = [];
  #openBytes = 0;
  // The number of open ones that were sent at least once.
  #sent = 0;
  // The index of the open one to send next.
  #cursor = 0;
  // The most open ones in flight.
  #window = MAX_OPEN;
  // `off`; `repeat` the first open message, which counts as lost by then; `hold` back until then.
  #timer = OFF;
  // Timeouts since a message was last taken or answered.
  #timeouts = 0;
  // Refusals for the rate since a message was last taken.
  #refusals = 0;
  #roundTrip = new RoundTrip();
  #isCarried = false;

  // Creates a sender for the member with this number, whose next message must have the id `expected`;
  // both are in the completion (S1). `roomSize` is the size of the room name in bytes.
  constructor(member, expected, roomSize) {
    [this.#member, this.#first] = [member, expected];
    this.#partSize = Math.max(MAX_PACKED - ROOM_OVERHEAD - roomSize - BODY_OVERHEAD, 1);
  }

  // Goes on over another path. All open messages are sent again, because those in flight may be lost.
  // On a path that carries the messages (C1) nothing is lost then, so there are no early repetitions.
  restart(isCarried) {
    this.#isCarried = isCarried;
    this.#repeatAll();
  }

  // Queues a message or a command of at most `MAX_TEXT` bytes. Returns its id, which is that of its
  // last part, or null if there is no space until open messages are taken.
  push(text) {
    const parts = text.length > MAX_TEXT ? [] : splitText(text, this.#partSize);
    const [bytes, open] = [this.#openBytes + text.length, this.#open.length + parts.length];
    const id = this.#first + open - 1;
    if (parts.length === 0 || open > MAX_OPEN || bytes > MAX_OPEN_BYTES || id >= MAX_ID) {
      return null;
    }
    this.#openBytes = bytes;
    this.#open.push(...parts);
    return id;
  }

  // Handles an event that the receiver delivered.
  handleEvent(event, now) {
    if (event.kind === "aside") {
      this.#handleAside(event, now);
    } else if (event.kind === "message" && event.member === this.#member) {
      if (!event.isLate) {
        this.#measure(event.id, now);
      }
      this.#settleBelow(Math.min(event.id + 1, MAX_ID), now);
    }
  }

  #handleAside({ code, expected, id }, now) {
    this.#measure(id, now);
    this.#settleBelow(expected, now);
    // An aside that says that its message was taken says nothing about later ones.
    const wasTaken = id > 0 && id < expected;
    if (code === Code.RATE_LIMITED) {
      this.#hold(id, now);
    } else if (expected === this.#first && !wasTaken && this.#isLost(id, now)) {
      this.#repeatAll();
    }
  }

  // Measures the round trip of the message with this id, which was answered.
  #measure(id, now) {
    const part = this.#open[id - this.#first];
    if (part?.isTimed && part.sentAt !== null) {
      part.isTimed = false;
      this.#roundTrip.sample(Math.min(Math.max(now - part.sentAt, 0), LONGEST_TIMEOUT));
      this.#timeouts = 0;
    }
  }

  // Removes the messages below this id, which the server has taken. It can't have taken those that
  // were never sent.
  #settleBelow(id, now) {
    const settled = Math.min(Math.max(id - this.#first, 0), this.#sent);
    if (settled === 0) {
      return;
    }
    for (const part of this.#open.splice(0, settled)) {
      this.#openBytes -= part.text.length;
    }
    this.#first += settled;
    this.#sent -= settled;
    this.#cursor = Math.max(this.#cursor - settled, 0);
    this.#window = Math.min(this.#window + settled, MAX_OPEN);
    // Progress shows that the path works again. Karn's rule alone would keep the long timeout as long
    // as every taken message was sent twice, which at 10 % loss takes long.
    [this.#refusals, this.#timeouts] = [0, 0];
    this.#restartTimer(now);
  }

  // Restarts the timer as in RFC 6298, 5.2 and 5.3. A hold is not shortened.
  #restartTimer(now) {
    if (!this.#holds()) {
      this.#timer = this.#cursor > 0 ? { kind: "repeat", at: now + this.#timeout() } : OFF;
    }
  }

  #timeout() {
    if (this.#isCarried) {
      return CARRIED_TIMEOUT;
    }
    const first = Math.max(this.#roundTrip.timeout(), SHORTEST_TIMEOUT);
    return doubled(first, this.#timeouts, LONGEST_TIMEOUT);
  }

  #holds() {
    return this.#timer.kind === "hold";
  }

  // Returns true if the first open message is lost, given that the server still expects it and answers
  // the message `id`. It is lost if that one was sent after it, or if it was sent a round trip ago.
  // Once it is repeated only the latter counts, because answers to the first round are still coming.
  #isLost(id, now) {
    const part = this.#open[0];
    if (!part || part.sentAt === null) {
      return false;
    }
    const isOvertaken = id > this.#first && !part.isRepeated;
    return isOvertaken || now - part.sentAt >= this.#answeredWithin();
  }

  // Returns the time by which a message is answered. S10 allows as much for a repair.
  #answeredWithin() {
    const smoothed = this.#roundTrip.smoothed();
    return smoothed === null ? this.#roundTrip.timeout() : Math.floor((smoothed * 5) / 4);
  }

  // Pauses, because the server refused the message `id` for the rate. It refuses those sent behind it
  // as well and answers each: all of that is one refusal.
  #hold(id, now) {
    const isStale = id < this.#first || this.#sent === 0;
    if (isStale || this.#holds()) {
      return;
    }
    const first = Math.max(SHORTEST_HOLD, this.#roundTrip.smoothed() ?? 0);
    const at = now + doubled(first, this.#refusals, LONGEST_HOLD);
    this.#refusals += 1;
    this.#goBack({ kind: "hold", at });
  }

  // Sends all open messages again.
  #repeatAll() {
    if (!this.#holds()) {
      [this.#cursor, this.#timer] = [0, OFF];
    }
  }

  // Returns to the first open message, and stays there until it is taken.
  #goBack(timer) {
    [this.#cursor, this.#window, this.#timer] = [0, 1, timer];
  }

  // Handles the passing of time. `pollTransmit` does that as well.
  handleTimeout(now) {
    const { kind, at } = this.#timer;
    if (kind === "repeat" && at <= now) {
      this.#timeouts += 1;
      this.#goBack(OFF);
    } else if (kind === "hold" && at <= now) {
      this.#timer = OFF;
    }
  }

  // Returns the next body to send, or null if there is none. Call it until then after a push, an event
  // or a timeout.
  pollTransmit(now) {
    this.handleTimeout(now);
    const part = this.#open[this.#cursor];
    if (this.#holds() || this.#cursor >= this.#window || !part) {
      return null;
    }
    const body = part.encode(this.#first + this.#cursor);
    part.noteSent(now);
    this.#cursor += 1;
    this.#sent = Math.max(this.#sent, this.#cursor);
    if (this.#timer === OFF) {
      this.#timer = { kind: "repeat", at: now + this.#timeout() };
    }
    return body;
  }

  // Returns the time of the next call of `handleTimeout`, or null while nothing is in flight.
  pollTimeout() {
    return this.#timer.at;
  }

  // Returns the number of timeouts since a message was last taken or answered.
  timeouts() {
    return this.#timeouts;
  }

  // Returns the ids of the open messages, oldest first.
  openIds() {
    const ids = this.#open.map((part, place) => (part.isLast ? this.#first + place : null));
    return ids.filter((id) => id !== null);
  }

  // Returns the id of the first open message or part, or the next id if there is none.
  first() {
    return this.#first;
  }
}
