// Owns the members of a room, as far as they are known: from answers to `/who`, and from notices since.

import { parseMembers } from "./member_list.js";

// The least time between two queries, in milliseconds. Notices about a crowd name nobody, and a crowd that queries all
// at once would be a burden.
const QUERY_PAUSE = 60_000;

// A server may make up new names for ever.
const MOST_NAMES = 10_000;

const [CODE_JOINED, CODE_LEFT, CODE_TIMED_OUT, CODE_KICKED, CODE_NEW_HOST] = [1, 2, 3, 4, 6];

export class Roster {
  // The known names.
  names = new Set();
  // The host's name, or null.
  host = null;
  // The names whose traffic is unencrypted while that of others is not.
  inClear = new Set();
  // The members that are not known by name.
  more = 0;
  #isCurious = true;
  #askedAt = null;
  // Changes since the last query: its answer may be older than they are.
  #gone = new Set();
  #hasNewHost = false;

  add(name) {
    if (name !== "" && this.names.size < MOST_NAMES) {
      this.names.add(name);
    }
  }

  // Handles a notice. An empty name stands for several members.
  note(code, name) {
    if ([CODE_JOINED, CODE_LEFT, CODE_TIMED_OUT].includes(code) && name === "") {
      this.#isCurious = true;
    } else if (code === CODE_JOINED) {
      this.#gone.delete(name);
      this.add(name);
    } else if ([CODE_LEFT, CODE_TIMED_OUT, CODE_KICKED].includes(code)) {
      this.#remove(name);
    } else if (code === CODE_NEW_HOST) {
      this.host = name;
      this.#hasNewHost = true;
    }
  }

  #remove(name) {
    if (!this.names.delete(name)) {
      this.more = Math.max(0, this.more - 1);
    }
    this.inClear.delete(name);
    this.#gone.add(name);
    if (this.host === name) {
      this.host = null;
    }
  }

  // Returns the time until the list should be requested, in milliseconds, or null if it need not be.
  queryDelay(now) {
    if (!this.#isCurious) {
      return null;
    }
    return this.#askedAt === null ? 0 : Math.max(0, this.#askedAt + QUERY_PAUSE - now);
  }

  noteQuery(now) {
    [this.#isCurious, this.#askedAt, this.#hasNewHost] = [false, now, false];
    this.#gone.clear();
  }

  // Takes an answer to `/who`. A list that was cut removes nobody.
  learn(text) {
    const list = parseMembers(text);
    if (list === null) {
      return;
    }
    if (list.host !== null && !this.#hasNewHost) {
      this.host = list.host;
    }
    if (list.more === 0) {
      this.names.clear();
    }
    const listed = list.names.filter((name) => !this.#gone.has(name));
    listed.forEach((name) => this.add(name));
    this.more = Math.max(0, listed.length + list.more - this.names.size);
    this.inClear = new Set(list.inClear);
  }

  // Forgets everything, for a new membership.
  reset() {
    this.names.clear();
    this.inClear.clear();
    [this.host, this.more, this.#isCurious, this.#askedAt] = [null, 0, true, null];
  }
}
