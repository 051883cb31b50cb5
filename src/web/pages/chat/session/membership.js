// A membership in a room, as the page sees it. It outlives its paths, and the server's restarts. The detail of each event
// is an object:
//
// | event | detail |
// | --- | --- |
// | `entry` | a message, a notice, an aside or lost entries: see entries.js |
// | `settled` | `{id, outcome}`: the server is done with a line: "relayed", "answered" or "refused" |
// | `state` | `{state, path, reason}`: "open", or "reconnecting" for a reason |
// | `figures` | `{rtt, repairs, gone}`, at most once a second |
// | `rejoined` | `{number, sameRoom}`: we are a new member, in the same room or in another one of its name |
// | `ended` | `{reason, code, status}`: "left", "removed", "closed" or "refused" |

import { Code } from "../stream/datagram.js";
import { Comeback } from "./comeback.js";
import { currentTime } from "./deadline.js";
import { PathDriver } from "./driver.js";
import { EntryReader } from "./entries.js";
import { Figures } from "./figures.js";
import { Outgoing } from "./outgoing.js";

// Time that the server's answer to /exit may take, and time from an aside that ends the membership to the end of its
// path, in milliseconds.
const EXIT_PATIENCE = 2_000;
const END_PATIENCE = 1_000;
// A close code of the server is the sum of this and a code of S4.
const CLOSE_CODES = 4000;

// The ends of a membership that the page reports.
const END_REASONS = new Map([
  [Code.LEFT, "left"],
  [Code.KICKED, "removed"],
  [Code.REMOVED, "removed"],
  [Code.ROOM_CLOSED, "closed"],
]);
// The ends that another membership follows.
const REJOIN_REASONS = new Map([
  [Code.TIMED_OUT, "timeout"],
  [Code.SERVER_STOPPING, "restart"],
]);

export class Membership extends EventTarget {
  #platform;
  #dialer;
  #options;
  #token;
  #driver;
  #entries;
  #outgoing = new Outgoing((id, outcome) => this.#emit("settled", { id, outcome }));
  #comeback = null;
  #state = "open";
  #pathName;
  // The code that has ended the membership, or null.
  #endCode = null;
  #isLeaving = false;
  #figures = new Figures((figures) => this.#emit("figures", figures));
  #onOnline = () => this.#noteNetwork();

  // Begins with a granted request: its options, completion and path.
  constructor({ platform, dialer, options, completion, path }) {
    super();
    [this.#platform, this.#dialer, this.#options] = [platform, dialer, options];
    this.#pathName = path.name;
    this.#entries = new EntryReader(options.username);
    this.#driver = new PathDriver(platform, {
      onEvent: (event) => this.#handleEvent(event),
      onEnd: (code) => this.#handlePathEnd(code),
      onSilence: () => this.#recover("silence", true),
      onBlocked: () => this.#leaveBlockedPath(),
      onTurn: (now) => this.#turn(now),
    });
    this.#begin(completion, completion.next);
    // The page adds its listeners first.
    platform.setTimeout(() => this.#open(path), 0);
    platform.addEventListener?.("online", this.#onOnline);
  }

  get room() {
    return this.#options.room;
  }

  get name() {
    return this.#entries.name;
  }

  get number() {
    return this.#entries.number;
  }

  // "webtransport" or "websocket": the present path, or the last one.
  get path() {
    return this.#pathName;
  }

  // "open", "reconnecting" or "ended".
  get state() {
    return this.#state;
  }

  // The smoothed round trip in milliseconds, or null.
  get rtt() {
    return this.#figures.get().rtt;
  }

  get repairs() {
    return this.#figures.get().repairs;
  }

  get gone() {
    return this.#figures.get().gone;
  }

  // The user's lines that the server is not done with: `[{id, text}]`.
  get pending() {
    return this.#outgoing.pending();
  }

  // Queues a message or a command and returns its id. It is sent when there is a path. Throws a RangeError if it is too
  // long, or if too much waits.
  send(text) {
    const id = this.#outgoing.push(text);
    this.#pumpSoon();
    return id;
  }

  // Sends a command of the page itself. Resolves with the text of the answer.
  ask(command) {
    return new Promise((resolve, reject) => {
      this.#outgoing.push(command, { resolve, reject });
      this.#pumpSoon();
    });
  }

  // Leaves the room. A second call does not wait for the server.
  leave() {
    const isWaiting = !this.#isLeaving && this.#comeback?.hasToken() !== false;
    this.#platform.setTimeout(() => this.#end("left"), isWaiting ? EXIT_PATIENCE : 0);
    if (isWaiting) {
      this.#isLeaving = true;
      this.ask("/exit").catch(() => {});
    }
  }

  #pumpSoon() {
    this.#platform.setTimeout(() => this.#driver.pump(), 0);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  // Begins as a new member, from the entry `next` on.
  #begin(completion, next) {
    [this.#token, this.#endCode] = [completion.token, null];
    this.#entries.enter(completion, currentTime(this.#platform));
    this.#driver.enter(completion, next, new TextEncoder().encode(this.room).length);
  }

  #open(path) {
    if (this.#state === "ended") {
      path.close();
      return;
    }
    [this.#state, this.#pathName] = ["open", path.name];
    this.#emit("state", { state: "open", path: path.name, reason: "" });
    this.#driver.attach(path);
  }

  // Does what is due. Returns the time of the next call, or null.
  #turn(now) {
    const { receiver, sender } = this.#driver;
    this.#outgoing.feed(sender);
    this.#figures.note(receiver, now);
    if (!receiver.isComplete()) {
      return null;
    }
    this.#outgoing.settleOverdue(sender.first(), this.gone, now);
    return this.#outgoing.timeout();
  }

  #handleEvent(event) {
    const { kind, code, id } = event;
    if (kind === "aside" && (code === Code.STATE || code === Code.RATE_LIMITED)) {
      this.#outgoing.noteState(id, event.expected);
      return;
    }
    const entry = this.#entries.read(event, currentTime(this.#platform));
    if (kind === "message" && event.member === this.number) {
      entry.id = this.#outgoing.settle(id, "relayed", null).id;
    } else if (kind === "aside") {
      this.#noteEnd(code);
      const outcome = code === Code.REFUSED ? "refused" : "answered";
      const line = this.#outgoing.settle(id, outcome, entry.text);
      entry.id = line.id;
      if (line.isOfPage) {
        return;
      }
    }
    this.#emit("entry", entry);
  }

  // Notes an aside that ends the membership. The end of the path follows, unless the server is an odd one.
  #noteEnd(code) {
    const isEnd = END_REASONS.has(code) || REJOIN_REASONS.has(code);
    if (isEnd && this.#endCode === null) {
      this.#endCode = code;
      const { path } = this.#driver;
      this.#platform.setTimeout(() => this.#driver.path === path && this.#handlePathEnd(CLOSE_CODES + code), END_PATIENCE);
    }
  }

  #handlePathEnd(closeCode) {
    this.#driver.detach();
    const code = this.#endCode ?? closeCode - CLOSE_CODES;
    if (this.#state === "ended") {
      return;
    }
    if (END_REASONS.has(code)) {
      this.#end(END_REASONS.get(code), { code });
    } else if (REJOIN_REASONS.has(code)) {
      this.#token = null;
      this.#recover(REJOIN_REASONS.get(code), code !== Code.SERVER_STOPPING);
    } else {
      this.#recover("connection", true);
    }
  }

  #leaveBlockedPath() {
    this.#dialer.distrust();
    this.#driver.detach();
    this.#recover("connection", true);
  }

  #noteNetwork() {
    this.#comeback?.hurry();
    this.#driver.doubt();
  }

  // Gets back into the room. The first attempt is made at once if it `isUrgent`.
  async #recover(reason, isUrgent) {
    if (this.#isLeaving && this.#token === null) {
      this.#end("left");
      return;
    }
    this.#state = "reconnecting";
    this.#emit("state", { state: "reconnecting", path: this.#pathName, reason });
    const [platform, dialer, options, token] = [this.#platform, this.#dialer, this.#options, this.#token];
    this.#comeback = new Comeback({ platform, dialer, options, token, isEncrypted: this.#pathName === "webtransport" });
    try {
      const outcome = await this.#comeback.run(isUrgent);
      this.#comeback = null;
      if (outcome) {
        this.#comeBack(outcome);
      }
    } catch (error) {
      this.#end("refused", { status: error.status ?? 0 });
    }
  }

  #comeBack({ completion, path, isResumed }) {
    if (isResumed) {
      this.#token = completion.token;
    } else if (this.#isLeaving) {
      path.close();
      this.#end("left");
      return;
    } else {
      this.#rejoin(completion);
    }
    this.#open(path);
  }

  // Goes on as a new member. In the same room, the record continues where the old one broke off, as far as newcomers
  // may see the entries since then.
  #rejoin(completion) {
    const seen = this.#driver.receiver.resumeAt();
    this.#outgoing.restart(this.#driver.sender.first());
    const sameRoom = this.#entries.isIn(completion.life);
    const missed = sameRoom ? Math.max(completion.next - seen, 0) : 0;
    this.#figures.restart(missed);
    this.#begin(completion, sameRoom ? Math.max(completion.next, seen) : completion.next);
    this.#emit("rejoined", { number: this.number, sameRoom });
    if (missed > 0) {
      const event = { kind: "gone", first: seen, count: missed };
      this.#emit("entry", this.#entries.read(event, currentTime(this.#platform)));
    }
  }

  #end(reason, { code = 0, status = 0 } = {}) {
    if (this.#state === "ended") {
      return;
    }
    this.#state = "ended";
    this.#comeback?.cancel();
    this.#driver.detach();
    this.#outgoing.close();
    this.#platform.removeEventListener?.("online", this.#onOnline);
    this.#emit("ended", { reason, code, status });
  }
}
