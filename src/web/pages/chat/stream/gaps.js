// Tracks which entries are missing, and decides when to request each of them.
//
// Reordering and loss look alike at first, so a gap gets some time before it counts as a loss (S10).
// One request asks for no more than one answer can hold. The rest waits until that answer has come or
// is overdue.

import { MILLISECOND, SECOND, doubled } from "./round_trip.js";

// Datagrams from behind a gap that show that it is a loss (S10).
const LOSS_THRESHOLD = 3;
// The longest time between two requests for an entry, unless the round trip itself is longer.
const LONGEST_RETRY = 2 * SECOND;
// Ranges in one request. It then has 641 bytes, which fit every link.
const MAX_RANGES = 64;
// The most entries in a range, whose count has 2 bytes.
const MAX_COUNT = 0xffff;
// Time between two requests, so that ranges that become due one after the other travel together.
const REQUEST_PAUSE = MILLISECOND;
// The round-trip time before the first measurement: that to another continent.
const ASSUMED_ROUND_TRIP = 100 * MILLISECOND;

// The memory that one gap counts for, in bytes, as in the Rust library.
export const GAP_COST = 128;

// Returns the times to wait before a request (S10): `reorder` before the first one, `answer` before
// its repetition.
export function retryDelays(roundTrip) {
  const reorder = Math.max(2 * MILLISECOND, Math.floor((roundTrip ?? 0) / 4));
  const answer = Math.max(
    10 * MILLISECOND,
    Math.floor(((roundTrip ?? ASSUMED_ROUND_TRIP) * 5) / 4),
  );
  return { reorder, answer };
}

// Returns the time to wait after this many requests.
function retryAfter({ answer }, requests) {
  return doubled(answer, requests - 1, Math.max(LONGEST_RETRY, answer));
}

// All gaps, ordered by their first number. A gap is `{first, end, found, ripe, requests, due}`: from
// `ripe` later datagrams on it is a loss, and `due` is the time of its next request.
export class Gaps {
  #missing = [];
  // Datagrams that came from behind all known entries.
  #later = 0;
  // The lowest `ripe`, or a lower value; or null.
  #ripe = null;
  // The time of the next request, or an earlier one; or null.
  #wake = null;
  // The earliest time of a request after the last one, or null.
  #pauseUntil = null;

  get length() {
    return this.#missing.length;
  }

  // Returns the time at which `request` may have something to request, or null.
  wake() {
    return this.#wake;
  }

  // Returns true if a gap begins with this entry.
  beginsAt(first) {
    return this.#missing[this.#placeOf(first)]?.first === first;
  }

  // Counts a datagram from behind all known entries.
  countLater(now) {
    this.#later += 1;
    if (this.#ripe !== null && this.#ripe <= this.#later) {
      this.#wakeAt(now);
    }
  }

  // Adds the missing entries from `first` to below `end`, which lie above all known ones. `shown` is
  // the number of datagrams that came from behind them (0 or 1).
  find(first, end, shown, due, now) {
    const last = this.#missing.at(-1);
    if (last?.end === first && last.requests === 0) {
      // Merging keeps the number of gaps below that of the entries held between them.
      last.end = end;
      return;
    }
    const ripe = this.#later + LOSS_THRESHOLD - shown;
    this.#missing.push({ first, end, found: now, ripe, requests: 0, due });
    this.#ripe = Math.min(this.#ripe ?? ripe, ripe);
    this.#wakeAt(due);
  }

  // Takes the lowest missing entries from `first` to below `end`, as many as are in one gap. Returns
  // `{first, end, found, requested}`, or null if none of them is missing.
  take(first, end, now) {
    const place = this.#lowestIn(first, end);
    if (place === null) {
      return null;
    }
    const gap = this.#missing[place];
    const taken = { first: Math.max(gap.first, first), end: Math.min(gap.end, end) };
    this.#replace(place, [{ ...gap, end: taken.first }, { ...gap, first: taken.end }]);
    this.#updateWake(gap.requests > 0, now);
    return { ...taken, found: gap.found, requested: gap.requests > 0 };
  }

  // Returns the place of the first gap that begins at this number or behind it.
  #placeOf(first) {
    let [low, high] = [0, this.#missing.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      [low, high] = this.#missing[middle].first < first ? [middle + 1, high] : [low, middle];
    }
    return low;
  }

  #lowestIn(first, end) {
    const place = this.#placeOf(first);
    if (place > 0 && this.#missing[place - 1].end > first) {
      return place - 1;
    }
    return place < this.#missing.length && this.#missing[place].first < end ? place : null;
  }

  // Puts these gaps in the place of one, without empty ones.
  #replace(place, gaps) {
    this.#missing.splice(place, 1, ...gaps.filter((gap) => gap.first < gap.end));
  }

  // Updates the wake-up after entries were taken. Requested ones make room for another request.
  #updateWake(requested, now) {
    if (this.#missing.length === 0) {
      [this.#wake, this.#ripe] = [null, null];
    } else if (requested) {
      this.#wakeAt(Math.max(this.#pauseUntil ?? now, now));
    }
  }

  #wakeAt(at) {
    this.#wake = Math.min(this.#wake ?? at, at);
  }

  // Returns the entries to request now, of the lowest `maxGaps` gaps, as ranges `{from, count}`. There
  // are none while answers to earlier requests are still to come. `window` is the number of entries
  // that one answer holds, at least 1.
  request(now, window, maxGaps, delays) {
    if (this.#wake === null || this.#wake > now || this.#pauses(now)) {
      return [];
    }
    const lowest = this.#missing.slice(0, maxGaps);
    const due = lowest.filter((gap) => this.#isDue(gap, now)).slice(0, MAX_RANGES);
    const ranges = this.#requestGaps(due, this.#budget(now, window), now, delays);
    this.#pauseUntil = ranges.length > 0 ? now + REQUEST_PAUSE : null;
    this.#recomputeWake(now);
    return ranges;
  }

  #pauses(now) {
    const pauses = this.#pauseUntil !== null && this.#pauseUntil > now;
    if (pauses) {
      this.#wake = this.#pauseUntil;
    }
    return pauses;
  }

  #isDue(gap, now) {
    return gap.due <= now || (gap.requests === 0 && gap.ripe <= this.#later);
  }

  // Returns the number of entries that may be requested: at least half an answer, so that requests
  // are few.
  #budget(now, window) {
    const awaited = this.#missing
      .filter((gap) => gap.requests > 0 && gap.due > now)
      .reduce((sum, gap) => sum + gap.end - gap.first, 0);
    return awaited > Math.floor(window / 2) ? 0 : window - awaited;
  }

  #requestGaps(due, budget, now, delays) {
    const ranges = [];
    let left = budget;
    for (const gap of due) {
      if (left === 0) {
        break;
      }
      const count = Math.min(gap.end - gap.first, left, MAX_COUNT);
      this.#noteRequest(gap, count, now, delays);
      appendRange(ranges, gap.first, count);
      left -= count;
    }
    return ranges;
  }

  // Notes a request for the first `count` entries of a gap.
  #noteRequest(gap, count, now, delays) {
    const requests = gap.requests + 1;
    const end = gap.first + count;
    const requested = { ...gap, end, requests, due: now + retryAfter(delays, requests) };
    this.#replace(this.#placeOf(gap.first), [requested, { ...gap, first: end }]);
  }

  // Finds the time of the next request. Due entries that did not fit the budget wait until requested
  // ones come or are overdue. If the request was full, they wait for the pause only.
  #recomputeWake(now) {
    const waiting = this.#missing.filter((gap) => !this.#isDue(gap, now));
    const unripe = waiting.filter((gap) => gap.requests === 0);
    this.#wake = least(waiting.map((gap) => gap.due));
    this.#ripe = least(unripe.map((gap) => gap.ripe));
    if (this.#pauseUntil !== null && waiting.length < this.#missing.length) {
      this.#wakeAt(this.#pauseUntil);
    }
  }
}

// Returns the least of these numbers, or null if there is none.
function least(numbers) {
  return numbers.reduce((low, number) => Math.min(low ?? number, number), null);
}

// Appends entries to a request, to its last range if they follow it directly.
function appendRange(ranges, from, count) {
  const last = ranges.at(-1);
  if (last && last.from + last.count === from && last.count + count <= MAX_COUNT) {
    last.count += count;
  } else {
    ranges.push({ from, count });
  }
}
