// The figures of a membership that the page shows: round trip, repairs and lost entries.

import { MILLISECOND, SECOND } from "../stream/round_trip.js";

export class Figures {
  #report;
  // Those of earlier memberships in the room.
  #before = { repairs: 0, gone: 0 };
  #now = { rtt: null, repairs: 0, gone: 0 };
  #reported = "";
  #reportedAt = -Infinity;

  // Calls `report({rtt, repairs, gone})` after changes, at most once a second.
  constructor(report) {
    this.#report = report;
  }

  // Returns `{rtt, repairs, gone}`. `rtt` is the smoothed round trip in milliseconds, or null.
  get() {
    return this.#now;
  }

  // Reads the figures of a receiver.
  note(receiver, now) {
    const roundTrip = receiver.roundTrip();
    this.#now = {
      rtt: roundTrip === null ? null : roundTrip / MILLISECOND,
      repairs: this.#before.repairs + receiver.repaired(),
      gone: this.#before.gone + receiver.gone(),
    };
    const text = JSON.stringify(this.#now);
    if (text !== this.#reported && now - this.#reportedAt >= SECOND) {
      [this.#reported, this.#reportedAt] = [text, now];
      this.#report(this.#now);
    }
  }

  // Goes on with another receiver. `gone` more entries are lost between the two.
  restart(gone) {
    this.#before = { repairs: this.#now.repairs, gone: this.#now.gone + gone };
  }
}
