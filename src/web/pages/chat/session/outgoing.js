// The user's lines until the server is done with them: those that wait for a path or for space, and those whose fate is
// unknown. Their local ids survive a rejoin, while the ids on the wire begin again.

import { MAX_TEXT } from "../stream/datagram.js";
import { SECOND } from "../stream/round_trip.js";

// The most lines and bytes that wait.
const MAX_LINES = 256;
const MAX_LINE_BYTES = 256 << 10;
// Time that the outcome of a line may come later than the notice that it was taken. The datagram with it may be late.
const OUTCOME_PATIENCE = 2 * SECOND;

export class Outgoing {
  // Each is `{id, text, bytes, wireId, doneAt, answer}`. A line of the page itself has an `answer`, the two functions
  // that settle its promise.
  #lines = [];
  #nextId = 1;
  #onSettled;

  // Calls `onSettled(id, outcome)` when the server is done with a line of the user.
  constructor(onSettled) {
    this.#onSettled = onSettled;
  }

  // Adds a line and returns its local id. Throws a RangeError if it is too long, or too much waits.
  push(text, answer = null) {
    const bytes = new TextEncoder().encode(text);
    const waiting = this.#lines.reduce((sum, line) => sum + line.bytes.length, bytes.length);
    if (bytes.length > MAX_TEXT) {
      throw new RangeError(`a line has at most ${MAX_TEXT} bytes`);
    }
    if (this.#lines.length >= MAX_LINES || waiting > MAX_LINE_BYTES) {
      throw new RangeError("too much is waiting for the server");
    }
    const id = this.#nextId;
    this.#nextId += 1;
    this.#lines.push({ id, text, bytes, wireId: null, doneAt: null, answer });
    return id;
  }

  // Hands the lines that wait to a sender, as far as it has space.
  feed(sender) {
    for (const line of this.#lines.filter(({ wireId }) => wireId === null)) {
      line.wireId = sender.push(line.bytes);
      if (line.wireId === null) {
        return;
      }
    }
  }

  // Settles the line with this id on the wire. `text` is that of its answer. Returns `{id, isOfPage}`, with the id 0 if
  // the line is unknown.
  settle(wireId, outcome, text) {
    const place = this.#lines.findIndex((line) => line.wireId !== null && line.wireId === wireId);
    if (place < 0) {
      return { id: 0, isOfPage: false };
    }
    const [line] = this.#lines.splice(place, 1);
    this.#finish(line, outcome, text);
    return { id: line.id, isOfPage: line.answer !== null };
  }

  // Handles an aside without a text that answers the line with this id on the wire. A command that the server has taken
  // gets no other answer.
  noteState(wireId, expected) {
    const line = this.#lines.find((other) => other.wireId === wireId);
    if (line && wireId < expected && isCommand(line.text)) {
      this.settle(wireId, "answered", null);
    }
  }

  #finish({ id, answer }, outcome, text) {
    if (!answer) {
      this.#onSettled(id, outcome);
    } else if (outcome === "answered" && text !== null) {
      answer.resolve(text);
    } else {
      answer.reject(new Error(text ?? "the answer is lost"));
    }
  }

  // Settles the lines below this id on the wire whose outcome has not come in time. If entries are `gone`, a message was
  // probably among them. Otherwise the server must have refused it.
  settleOverdue(firstOpen, gone, now) {
    for (const line of this.#lines.filter(({ wireId }) => wireId !== null && wireId < firstOpen)) {
      line.doneAt ??= now;
    }
    for (const line of this.#remove(({ doneAt }) => doneAt !== null && doneAt + OUTCOME_PATIENCE <= now)) {
      const outcome = isCommand(line.text) ? "answered" : gone > 0 ? "relayed" : "refused";
      this.#finish(line, outcome, null);
    }
  }

  // Returns the time of the next call of `settleOverdue`, or null.
  timeout() {
    const first = this.#lines.find(({ doneAt }) => doneAt !== null);
    return first ? first.doneAt + OUTCOME_PATIENCE : null;
  }

  // Prepares for another membership: settles the lines that the old one has taken. All others are sent again.
  restart(firstOpen) {
    for (const line of this.#remove(({ wireId }) => wireId !== null && wireId < firstOpen)) {
      this.#finish(line, isCommand(line.text) ? "answered" : "relayed", null);
    }
    for (const line of this.#lines) {
      [line.wireId, line.doneAt] = [null, null];
    }
  }

  // Rejects the lines of the page. Those of the user stay, so that it can be shown what was not said.
  close() {
    for (const line of this.#remove(({ answer }) => answer !== null)) {
      this.#finish(line, "refused", "the membership has ended");
    }
  }

  // Returns the user's lines, oldest first.
  pending() {
    return this.#lines.filter(({ answer }) => !answer).map(({ id, text }) => ({ id, text }));
  }

  // Removes and returns some lines.
  #remove(isRemoved) {
    const removed = this.#lines.filter(isRemoved);
    this.#lines = this.#lines.filter((line) => !removed.includes(line));
    return removed;
  }
}

// Returns true if the server answers the line, and does not relay it (W22).
function isCommand(text) {
  return text.startsWith("/") && !text.startsWith("//");
}
