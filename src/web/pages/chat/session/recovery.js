// The pauses between attempts to get back into a room, and the judgement of their failures.

import { SECOND } from "../stream/round_trip.js";

// The first pause and the longest, in milliseconds. It doubles, and up to half of it is added or removed by chance: the
// pages of a restarted server must not all come at once, again and again.
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 16_000;
// Time that a guest waits for its host to create the room again, and that we wait for our name. A quiet host notices a
// lost server with its next keep-alive, up to 20 s later.
const ROOM_PATIENCE = 60 * SECOND;

// Refusals that a later attempt may not get (W10): our old membership still has the name, or somebody else was faster.
const REFUSED_FOR_NOW = [1, 2, 6];
// No answer at all, and a server that is busy: there is no end to these attempts.
const UNREACHED = [0, 8, 10];

export class Recovery {
  #random;
  #pause = FIRST_PAUSE;
  // The time of the first refusal for now.
  #refusedSince = null;

  constructor(random) {
    this.#random = random;
  }

  // Returns the milliseconds until the next attempt.
  nextPause() {
    const pause = this.#pause * (0.5 + this.#random());
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE);
    return pause;
  }

  // Begins with short pauses again, because the network has changed.
  hurry() {
    this.#pause = FIRST_PAUSE;
  }

  // Returns true if another attempt may succeed after this status.
  isWorthwhile(status, now) {
    if (UNREACHED.includes(status)) {
      this.#refusedSince = null;
      return true;
    }
    this.#refusedSince ??= now;
    return REFUSED_FOR_NOW.includes(status) && now - this.#refusedSince < ROOM_PATIENCE;
  }
}
