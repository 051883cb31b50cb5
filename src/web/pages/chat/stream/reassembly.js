// Joins the parts of long messages (S16).
//
// Entries come in order and without gaps. If a part of a message is gone, the message can't be shown,
// so its other parts count as gone too.

import { MAX_TEXT } from "./datagram.js";

export class Reassembler {
  // The number of the first entry of the message that has begun, or null between two messages.
  #first = null;
  // True if the message that has begun is lost.
  #isLost = false;
  #member = 0;
  #id = 0;
  #isLate = false;
  #texts = [];
  #size = 0;

  // Returns the number of the first entry of the message whose last part is still to come, or null.
  first() {
    return this.#first;
  }

  // Accepts the next entry (a message, a part or a notice) and delivers the event that it completes.
  // Returns the number of entries that turn out to be gone.
  accept(number, entry, isLate, deliver) {
    const gone = this.#continues(entry) ? 0 : this.#giveUp(number, deliver);
    switch (entry.kind) {
      case "part":
        this.#append(number, entry, isLate);
        return gone;
      case "message":
        return gone + this.#complete(number, entry, isLate, deliver);
      case "notice": {
        const { code, member, name, text } = entry;
        deliver({ kind: "notice", number, code, member, name, text });
        return gone;
      }
      default:
        return gone;
    }
  }

  // Accepts that the next `count` entries, from `first` on, are gone. If they are aligned, no message
  // goes on behind them. Returns the number of entries that are gone, including earlier parts of the
  // same message.
  acceptGone(first, count, isAligned, deliver) {
    const end = first + count;
    const from = this.#first ?? first;
    this.#clear();
    if (!isAligned) {
      [this.#first, this.#isLost] = [end, true];
    }
    deliver({ kind: "gone", first: from, count: end - from });
    return end - from;
  }

  // Returns true if an entry can belong to the message that has begun.
  #continues(entry) {
    const isPart = entry.kind === "part" || entry.kind === "message";
    const isSame = entry.member === this.#member && entry.id === this.#id;
    return this.#first !== null && isPart && (this.#isLost || isSame);
  }

  #append(number, { member, id, text }, isLate) {
    if (this.#isLost) {
      return;
    }
    if (this.#size + text.length > MAX_TEXT) {
      // No server relays a message this long.
      [this.#texts, this.#size, this.#isLost] = [[], 0, true];
      this.#first ??= number;
      return;
    }
    this.#first ??= number;
    [this.#member, this.#id, this.#isLate] = [member, id, isLate || this.#isLate];
    // A copy, because a view would keep its whole datagram in memory.
    this.#texts.push(text.slice());
    this.#size += text.length;
  }

  // Delivers the message that this entry ends.
  #complete(number, { member, id, name, text }, isLate, deliver) {
    if (this.#isLost) {
      return this.#giveUp(number + 1, deliver);
    }
    const whole = joinTexts([...this.#texts, text]);
    const late = isLate || this.#isLate;
    this.#clear();
    deliver({ kind: "message", number, member, id, name, text: whole, isLate: late });
    return 0;
  }

  // Drops the message that has begun, up to the entry `end`. Returns the number of lost entries.
  #giveUp(end, deliver) {
    if (this.#first === null) {
      return 0;
    }
    const [first, count] = [this.#first, end - this.#first];
    this.#clear();
    if (count > 0) {
      deliver({ kind: "gone", first, count });
    }
    return count;
  }

  #clear() {
    [this.#first, this.#isLost, this.#isLate] = [null, false, false];
    [this.#texts, this.#size] = [[], 0];
  }
}

// Returns these texts as one.
function joinTexts(texts) {
  if (texts.length === 1) {
    return texts[0];
  }
  const whole = new Uint8Array(texts.reduce((size, text) => size + text.length, 0));
  let at = 0;
  for (const text of texts) {
    whole.set(text, at);
    at += text.length;
  }
  return whole;
}
