// Receives a stream: delivers its entries in order, each once, and requests missing ones. It has no
// socket and no clock: the caller feeds it datagrams, sends what `pollTransmit` returns, and passes the
// time with every call. It behaves as `src/stream/receiver.rs` does: `tests/script` compares the two.

import { encodeHave, encodeRepair } from "./body.js";
import { Code, HEADER_SIZE, parseDatagram } from "./datagram.js";
import { KeepAlive } from "./keep_alive.js";
import { Sequencer } from "./sequencer.js";

// Bytes of entries received behind a gap after which another `have` is due (S8).
const CONFIRM_AFTER = 32 << 10;
// Bytes of entries since the last `have` after which a datagram without entries is answered at once:
// our credit may be used up, and the server then waits for the confirmation.
const ANSWER_AT_ONCE = 8 << 10;

export class StreamReceiver {
  #tag;
  #sequencer;
  #keepAlive;
  // Bytes of the entries received behind a gap since the last `have`.
  #unconfirmed = 0;
  // Bytes of all entries received since the last `have`.
  #sinceHave = 0;
  // The number in the last `have`.
  #confirmed;
  // True on a path that loses nothing (C1).
  #isCarried = false;

  // Creates a receiver of the datagrams with this tag, from the entry with the number `next` on. These
  // two and `keepAlive` are in the completion (S1). It has something to send at once.
  constructor(tag, next, keepAlive, now) {
    this.#tag = tag;
    this.#sequencer = new Sequencer(next);
    this.#keepAlive = new KeepAlive(keepAlive, now);
    this.#confirmed = next;
  }

  // Goes on over another path. If that one carries the datagrams (C1), nothing is lost on it, and the
  // receiver requests no repairs. It has a `have` to send at once: what follows the last entry may be
  // lost.
  restart(isCarried) {
    this.#isCarried = isCarried;
    this.#keepAlive.restart();
  }

  // Handles a datagram and passes the events that it allows to `deliver`: numbered ones in order,
  // asides at once. Returns false if it is not of this stream (S3) and changed nothing.
  handleDatagram(bytes, now, deliver) {
    const datagram = parseDatagram(bytes);
    if (!datagram || datagram.tag !== this.#tag) {
      return false;
    }
    this.#keepAlive.noteDatagram(now);
    if (bytes.length === HEADER_SIZE) {
      this.#noteQuestion(datagram.sequence, now);
    }
    this.#handleEntries(datagram, now, deliver);
    return true;
  }

  #handleEntries({ sequence, entries }, now, deliver) {
    let number = sequence;
    let isFirst = true;
    for (const entry of entries) {
      if (entry.numbers === 0) {
        this.#deliverAside(entry, now, deliver);
        continue;
      }
      const end = number + entry.numbers;
      if (end >= 2 ** 64) {
        break;
      }
      this.#keepAlive.cancelAnswer();
      if (isFirst) {
        this.#sequencer.noteDatagram(number, end, now);
      }
      this.#count(entry.bytes.length);
      if (this.#sequencer.accept(number, end, entry, now, deliver)) {
        this.#keepAlive.requestHave();
      }
      [number, isFirst] = [end, false];
    }
    // A datagram without a numbered entry tells the number of the next one.
    if (isFirst) {
      this.#sequencer.learn(sequence, 0, now);
    }
  }

  // Handles a datagram without entries: the server has sent everything below `sequence` and asks for a
  // confirmation.
  #noteQuestion(sequence, now) {
    const isLost =
      sequence === this.#confirmed && this.#keepAlive.isLost(this.#answerTimeout(), now);
    if (isLost || (sequence > this.#confirmed && this.#sinceHave >= ANSWER_AT_ONCE)) {
      this.#keepAlive.requestHaveAtOnce();
    } else if (sequence > this.#confirmed) {
      this.#keepAlive.scheduleAnswer(now);
    }
  }

  #deliverAside({ kind, code, expected, id, text }, now, deliver) {
    if (kind !== "aside") {
      return;
    }
    // The server answers a `have` so.
    if (code === Code.STATE && id === 0) {
      this.#keepAlive.noteAnswer(now);
      this.#sequencer.setRoundTrip(this.roundTrip());
    }
    deliver({ kind, code, expected, id, text });
  }

  #count(bytes) {
    this.#sinceHave += bytes;
    if (this.#sequencer.gapCount() > 0) {
      this.#unconfirmed += bytes;
      if (this.#unconfirmed >= CONFIRM_AFTER) {
        this.#keepAlive.requestHave();
      }
    }
  }

  // Asks the server for a sign of life, at most once a second.
  doubt(now) {
    this.#keepAlive.doubt(now);
  }

  // Handles the passing of time. `pollTransmit` does that as well.
  handleTimeout(now) {
    this.#keepAlive.handleTimeout(now);
  }

  // Returns the next body to send, or null if there is none. Call it until then after a datagram or a
  // timeout.
  pollTransmit(now) {
    this.handleTimeout(now);
    // `have` comes first: it refills the budget from which repairs are sent (S11).
    if (this.#keepAlive.isReady(this.#answerTimeout(), now)) {
      this.#keepAlive.noteSent(now);
      [this.#unconfirmed, this.#sinceHave, this.#confirmed] = [0, 0, this.next()];
      return encodeHave(this.next());
    }
    const ranges = this.#isCarried ? [] : this.#sequencer.request(now);
    return ranges.length > 0 ? encodeRepair(ranges) : null;
  }

  #answerTimeout() {
    return this.#sequencer.answerTimeout();
  }

  // Returns the time of the next call of `handleTimeout`, which may be past. There is always one.
  pollTimeout() {
    const keepAlive = this.#keepAlive.timeout(this.#answerTimeout());
    const repair = this.#isCarried ? null : this.#sequencer.wake();
    return repair === null ? keepAlive : Math.min(repair, keepAlive);
  }

  // Returns the number of the next entry: everything below has arrived.
  next() {
    return this.#sequencer.next();
  }

  // Returns the number from which a receiver that replaces this one goes on. It is below `next` while
  // parts of a message are still to come (S16).
  resumeAt() {
    return this.#sequencer.resumeAt();
  }

  // Returns true if no entry that is known to exist is missing.
  isComplete() {
    return this.#sequencer.isComplete();
  }

  // Returns the number of entries that are lost for good, of those whose turn has come.
  gone() {
    return this.#sequencer.gone();
  }

  // Returns the number of entries that came after they were requested.
  repaired() {
    return this.#sequencer.repaired();
  }

  // Returns the time of the last datagram from the server, or of the receiver's creation (S8).
  lastReceived() {
    return this.#keepAlive.lastReceived();
  }

  // Returns the number of `have`s sent since the last datagram or the last call of `restart`.
  unanswered() {
    return this.#keepAlive.unanswered();
  }

  // Returns the smoothed round-trip time (RFC 6298), or null if it is unknown.
  roundTrip() {
    return this.#keepAlive.roundTrip();
  }

  // Returns the bytes that held entries and gaps count for, at most 1 MiB.
  memory() {
    return this.#sequencer.memory();
  }
}
