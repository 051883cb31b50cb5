// Time on the page's clock: deadlines and pauses. `platform` has the globals of the browser, or those of a test.

import { MILLISECOND } from "../stream/round_trip.js";
import { RequestError } from "./request_error.js";

// The longest time of a timer in browsers, in milliseconds.
const LONGEST_TIMER = 2 ** 31 - 1;

// Returns the time in nanoseconds, as the machines of the stream count it.
export function currentTime(platform) {
  return Math.round(platform.performance.now() * MILLISECOND);
}

// Returns the outcome of a promise. If it has none after so many milliseconds, calls `giveUp` and rejects.
export async function within(milliseconds, promise, platform, giveUp) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = platform.setTimeout(() => reject(new RequestError(0, "no answer in time")), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } catch (error) {
    giveUp();
    throw error;
  } finally {
    platform.clearTimeout(timer);
  }
}

// A timer that calls back at a time, which may change.
export class Alarm {
  #platform;
  #ring;
  #timer = null;

  constructor(platform, ring) {
    [this.#platform, this.#ring] = [platform, ring];
  }

  // Sets the time in nanoseconds, or null for never. A past time rings soon.
  set(at) {
    this.#platform.clearTimeout(this.#timer);
    if (at === null) {
      return;
    }
    const rest = Math.ceil((at - currentTime(this.#platform)) / MILLISECOND);
    this.#timer = this.#platform.setTimeout(this.#ring, Math.min(Math.max(rest, 0), LONGEST_TIMER));
  }
}
