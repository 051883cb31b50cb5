// Turns the events of a stream into entries for the page: with text in place of bytes, and with what is known about the
// member itself.

import { Code } from "../stream/datagram.js";
import { SECOND } from "../stream/round_trip.js";

// The history ends with the notice of our own join. In a crowd that notice names nobody, so this time after the join
// ends it too.
const HISTORY_TIME = 10 * SECOND;
// Own numbers that are remembered. Each rejoin adds one.
const MAX_OWN = 64;

const entryDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

export class EntryReader {
  // The numbers that we have had in this life of the room, the present one last.
  #own = [];
  #life = null;
  #enteredAt = 0;
  #isHistory = true;
  // Our name as the server writes it.
  name;

  constructor(name) {
    this.name = name;
  }

  // Returns true if this is the life of the room that we have been in.
  isIn(life) {
    return this.#life === life;
  }

  // Notes a new membership.
  enter({ member, life }, now) {
    const before = this.isIn(life) ? this.#own : [];
    this.#own = [...before, member].slice(-MAX_OWN);
    [this.#life, this.#enteredAt, this.#isHistory] = [life, now, true];
  }

  get number() {
    return this.#own.at(-1);
  }

  // Returns the entry of an event. Its `id` is 0 until the line that it belongs to is known.
  read(event, now) {
    const { kind, code = 0, member = 0, number = 0 } = event;
    const name = event.name ? entryDecoder.decode(event.name) : "";
    this.#noteJoin(event, name);
    this.#isHistory &&= now - this.#enteredAt < HISTORY_TIME;
    const common = { kind, at: Date.now(), isHistory: this.#isHistory };
    if (kind === "gone") {
      return { ...common, number: event.first, count: event.count };
    }
    const own = kind === "message" && this.#own.includes(member);
    return { ...common, code, member, id: 0, name, text: entryDecoder.decode(event.text), number, own };
  }

  #noteJoin({ kind, code, member }, name) {
    const isJoin = kind === "notice" && code === Code.JOINED;
    if (isJoin && member === this.number) {
      [this.name, this.#isHistory] = [name, false];
    }
  }
}
