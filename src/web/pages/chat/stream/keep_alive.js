// Decides when to send `have` (S8), which confirms entries and keeps the path open. Its answers show
// that the server lives and measure the round trip.

import { MILLISECOND, RoundTrip, SECOND, doubled } from "./round_trip.js";

// The bounds of the time between two signs of life, whatever a server says (S1).
const SHORTEST_KEEP_ALIVE = SECOND;
const LONGEST_KEEP_ALIVE = 20 * SECOND;
// Time from a datagram without entries to the `have` that answers it. In a room that goes on, the
// next entry arrives by then and makes the answer unnecessary.
const ANSWER_DELAY = 25 * MILLISECOND;
// The shortest time between a `have` and its repetition.
const SHORTEST_REPEAT = SECOND;

export class KeepAlive {
  #interval;
  #isRequested = true;
  // The requested `have` does not wait for the one in flight.
  #isUrgent = false;
  // The time at which one is sent in any case.
  #due;
  // The time at which a datagram without entries is answered, or null.
  #answerAt = null;
  #lastSent = null;
  #lastReceived;
  // `have`s sent since the last datagram from the server.
  #unanswered = 0;
  // `have`s sent and not answered one by one. By Karn's rule, the answer to one of several does not
  // measure the round trip.
  #inFlight = 0;
  #roundTrip = new RoundTrip();

  // Creates a timer whose first `have` is due at once: it proves the path (S7).
  constructor(interval, now) {
    this.#interval = Math.min(Math.max(interval, SHORTEST_KEEP_ALIVE), LONGEST_KEEP_ALIVE);
    this.#due = now;
    this.#lastReceived = now;
  }

  // Notes a datagram from the server, whatever it contains.
  noteDatagram(now) {
    this.#lastReceived = now;
    if (this.#unanswered > 0) {
      this.#unanswered = 0;
      this.#due = (this.#lastSent ?? now) + this.#interval;
    }
  }

  // Notes the answer to a `have`.
  noteAnswer(now) {
    if (this.#inFlight === 1 && this.#lastSent !== null) {
      this.#roundTrip.sample(Math.max(now - this.#lastSent, 0));
    }
    this.#inFlight = Math.max(this.#inFlight - 1, 0);
  }

  // Requests a `have`, because there is something to confirm.
  requestHave() {
    this.#isRequested = true;
  }

  // Requests a `have` at once, because the server sends nothing more before it.
  requestHaveAtOnce() {
    this.#isRequested = true;
    this.#isUrgent = true;
  }

  // Starts again on another path: a `have` is due at once, because the last ones may be lost.
  restart() {
    [this.#unanswered, this.#inFlight] = [0, 0];
    this.requestHaveAtOnce();
  }

  // Returns true if the last `have` was sent at least `answerTimeout` ago.
  isLost(answerTimeout, now) {
    return this.#lastSent === null || this.#lastSent + answerTimeout <= now;
  }

  // Schedules the answer to a datagram without entries.
  scheduleAnswer(now) {
    this.#answerAt ??= now + ANSWER_DELAY;
  }

  // Cancels the scheduled answer, because an entry came: a later `have` confirms both.
  cancelAnswer() {
    this.#answerAt = null;
  }

  // Requests a `have`, unless one was sent a moment ago, because the server may be gone.
  doubt(now) {
    if (this.#lastSent === null || this.#lastSent + SHORTEST_REPEAT <= now) {
      this.#isRequested = true;
    }
  }

  handleTimeout(now) {
    if (this.#due <= now || (this.#answerAt !== null && this.#answerAt <= now)) {
      this.#isRequested = true;
    }
  }

  // Returns the time of the next call of `handleTimeout`. A `have` that is not answered within
  // `answerTimeout` is lost.
  timeout(answerTimeout) {
    if (!this.#isRequested) {
      return this.#answerAt === null ? this.#due : Math.min(this.#answerAt, this.#due);
    }
    const freeAt = this.#isUrgent ? null : this.#freeAt(answerTimeout);
    return freeAt ?? this.#lastReceived;
  }

  // Returns true if a `have` is to be sent now. Unless it is urgent, only one is in flight at a time,
  // so that each can be measured.
  isReady(answerTimeout, now) {
    if (!this.#isRequested || this.#isUrgent) {
      return this.#isRequested;
    }
    const freeAt = this.#freeAt(answerTimeout);
    return freeAt === null || freeAt <= now;
  }

  // Returns the time at which the `have` in flight counts as lost, or null.
  #freeAt(answerTimeout) {
    const isOut = this.#inFlight > 0 && this.#lastSent !== null;
    return isOut ? this.#lastSent + answerTimeout : null;
  }

  // Notes that a `have` was sent.
  noteSent(now) {
    // If the server is silent, the earlier ones may still be answered. Otherwise they are lost.
    const isAnother = this.#unanswered > 0 || this.#isUrgent;
    this.#inFlight = isAnother ? this.#inFlight + 1 : 1;
    this.#isUrgent = false;
    this.#unanswered += 1;
    this.#isRequested = false;
    this.#answerAt = null;
    this.#lastSent = now;
    this.#due = now + this.#repeatAfter();
  }

  #repeatAfter() {
    const first = Math.max(SHORTEST_REPEAT, this.#roundTrip.timeout());
    return doubled(first, this.#unanswered - 1, this.#interval);
  }

  lastReceived() {
    return this.#lastReceived;
  }

  unanswered() {
    return this.#unanswered;
  }

  roundTrip() {
    return this.#roundTrip.smoothed();
  }
}
