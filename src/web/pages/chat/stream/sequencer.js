// Puts the numbered entries of a stream in order and tracks the missing ones (S10).
//
// All numbers below `next` were delivered. From `next` to below `known`, an entry is either held or in
// a gap.

import { ENTRY_OVERHEAD, HEADER_SIZE, MAX_DOWNSTREAM, MAX_PACKED, parseEntry } from "./datagram.js";
import { GAP_COST, Gaps, retryDelays } from "./gaps.js";
import { Reassembler } from "./reassembly.js";

// Bytes of memory for entries ahead of their turn and for the gaps between them (S10).
const MAX_HELD = 1 << 20;
// Numbers this far ahead of `next` are not numbers of this stream (S10).
const FAR_AHEAD = 2 ** 32;
// The bytes that a held entry counts for beside its own, as in the Rust library.
const ENTRY_COST = 64;
// The most datagrams in the answer to one repair request (S11).
const MAX_REPAIR = 16;

export class Sequencer {
  #next;
  #known;
  #gaps = new Gaps();
  // Held items by the number of their first entry: `{bytes}`, or `{count, isAligned}` if gone.
  #held = new Map();
  #heldCost = 0;
  #reassembler = new Reassembler();
  #sizes = new EntrySizes();
  #retryDelays = retryDelays(null);
  #gone = 0;
  #repaired = 0;

  constructor(next) {
    [this.#next, this.#known] = [next, next];
  }

  // Notes a datagram whose first entry has the numbers from `first` to below `end`.
  noteDatagram(first, end, now) {
    if (first >= this.#known && !this.#isFar(end)) {
      this.#gaps.countLater(now);
      this.learn(first, 1, now);
    }
  }

  // Learns that all entries below `end` exist. `shown` is the number of datagrams from behind `end`
  // that say so.
  learn(end, shown, now) {
    if (end > this.#known && !this.#isFar(end)) {
      this.#gaps.find(this.#known, end, shown, now + this.#retryDelays.reorder, now);
      this.#known = end;
    }
  }

  #isFar(end) {
    return end - this.#next > FAR_AHEAD;
  }

  // Accepts an entry with the numbers from `first` to below `end`. Returns true if it fills a gap that
  // was requested.
  accept(first, end, entry, now, deliver) {
    this.#sizes.add(entry.bytes.length);
    if (end <= this.#next || this.#isFar(end)) {
      return false;
    }
    if (entry.kind === "gone") {
      return this.#acceptGone(first, end, now, deliver);
    }
    if (first !== this.#known || first !== this.#next) {
      return this.#acceptLate(first, entry, now, deliver);
    }
    this.#known = end;
    this.#deliverNext(entry, false, deliver);
    return false;
  }

  // Accepts one entry while others are missing.
  #acceptLate(number, entry, now, deliver) {
    this.learn(number + 1, 1, now);
    if (number !== this.#next && !this.#hasRoom(ENTRY_COST + entry.bytes.length)) {
      // It stays missing, and is requested when the held entries are fewer.
      return false;
    }
    const taken = this.#gaps.take(number, number + 1, now);
    if (!taken) {
      return false;
    }
    this.#repaired += taken.requested ? 1 : 0;
    if (number === this.#next) {
      this.#deliverNext(entry, true, deliver);
      this.#deliverHeld(deliver);
    } else {
      // A copy, because a view would keep its whole datagram in memory.
      this.#hold(number, { bytes: entry.bytes.slice() });
    }
    return taken.requested;
  }

  // Accepts that the server no longer holds these entries: those that are missing are gone. Held and
  // delivered ones are not.
  #acceptGone(first, end, now, deliver) {
    this.learn(end, 1, now);
    let hasRequested = false;
    // The next entries are delivered at once and need no room.
    while (first <= this.#next || this.#hasRoom(ENTRY_COST)) {
      const run = this.#takeRun(first, end, now);
      if (!run) {
        break;
      }
      hasRequested ||= run.requested;
      // The server forgets whole messages, so none goes on behind the end of what is gone.
      this.#hold(run.first, { count: run.end - run.first, isAligned: run.end === end });
      this.#deliverHeld(deliver);
    }
    return hasRequested;
  }

  // Takes the lowest missing entries of these, with all missing ones that follow directly.
  #takeRun(first, end, now) {
    const run = this.#gaps.take(first, end, now);
    while (run && this.#gaps.beginsAt(run.end)) {
      const more = this.#gaps.take(run.end, end, now);
      if (!more) {
        break;
      }
      run.requested ||= more.requested;
      run.end = more.end;
    }
    return run;
  }

  #hold(number, item) {
    this.#held.set(number, item);
    this.#heldCost += costOf(item);
  }

  // Delivers the next entry, which has one number.
  #deliverNext(entry, isLate, deliver) {
    const number = this.#next;
    this.#next += 1;
    this.#gone += this.#reassembler.accept(number, entry, isLate, deliver);
  }

  #deliverHeld(deliver) {
    for (let item; (item = this.#held.get(this.#next)); ) {
      this.#held.delete(this.#next);
      this.#heldCost -= costOf(item);
      if (item.bytes) {
        this.#deliverNext(parseEntry(item.bytes), true, deliver);
      } else {
        const first = this.#next;
        this.#next += item.count;
        this.#gone += this.#reassembler.acceptGone(first, item.count, item.isAligned, deliver);
      }
    }
  }

  // Returns the entries to request now, as ranges.
  request(now) {
    // While no more may be held, only the next entry is of use.
    const maxGaps = this.#hasRoom(MAX_DOWNSTREAM) ? Infinity : 1;
    return this.#gaps.request(now, this.#sizes.entriesPerAnswer(), maxGaps, this.#retryDelays);
  }

  // Returns true if `cost` more bytes may be held. An entry within a gap makes two gaps of it, and the
  // entry after it may be behind another gap.
  #hasRoom(cost) {
    return this.memory() + 2 * GAP_COST + cost <= MAX_HELD;
  }

  // Returns the bytes that held entries and gaps count for.
  memory() {
    return this.#heldCost + this.gapCount() * GAP_COST;
  }

  gapCount() {
    return this.#gaps.length;
  }

  answerTimeout() {
    return this.#retryDelays.answer;
  }

  // Notes another round-trip time, or null.
  setRoundTrip(roundTrip) {
    this.#retryDelays = retryDelays(roundTrip);
  }

  // Returns the time at which `request` may have something to request, or null.
  wake() {
    return this.#gaps.wake();
  }

  next() {
    return this.#next;
  }

  // Returns the number from which a receiver that replaces this one goes on.
  resumeAt() {
    return this.#reassembler.first() ?? this.#next;
  }

  isComplete() {
    return this.#next === this.#known;
  }

  gone() {
    return this.#gone;
  }

  repaired() {
    return this.#repaired;
  }
}

function costOf(item) {
  return ENTRY_COST + (item.bytes?.length ?? 0);
}

// Bytes of an entry, before the first one arrives.
const ASSUMED_SIZE = 256;
// Entries after which the weight of all earlier ones is halved.
const REMEMBERED_ENTRIES = 256;

// The average size of recent entries.
class EntrySizes {
  #bytes = 0;
  #entries = 0;

  add(bytes) {
    if (this.#entries === REMEMBERED_ENTRIES) {
      this.#bytes = Math.floor(this.#bytes / 2);
      this.#entries = Math.floor(this.#entries / 2);
    }
    this.#bytes += bytes;
    this.#entries += 1;
  }

  // Returns the number of entries of average size in one answer to a repair request (S11).
  entriesPerAnswer() {
    const average = this.#entries === 0 ? ASSUMED_SIZE : Math.floor(this.#bytes / this.#entries);
    const size = Math.max(average, ENTRY_OVERHEAD);
    return MAX_REPAIR * Math.max(Math.floor((MAX_PACKED - HEADER_SIZE) / size), 1);
  }
}
