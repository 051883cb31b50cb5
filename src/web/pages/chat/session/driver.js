// Drives the machines of one member over its path: passes datagrams and time to them, and sends what comes out.

import { encodeHave } from "../stream/body.js";
import { MILLISECOND, SECOND } from "../stream/round_trip.js";
import { StreamReceiver } from "../stream/receiver.js";
import { StreamSender } from "../stream/sender.js";
import { Alarm, currentTime } from "./deadline.js";

// Times of additional `have`s on a new path that may lose them, so that a path that loses one datagram in ten hardly
// ever counts as blocked (C5).
const PROOFS = [250 * MILLISECOND, SECOND];
// Time without a datagram after which datagrams count as blocked.
const DOUBT_AFTER = 2_500 * MILLISECOND;
// Unanswered `have`s after which the server counts as silent, or this time after the first one.
const MOST_UNANSWERED = 4;
const SILENCE = 15 * SECOND;

export class PathDriver {
  #platform;
  #handlers;
  #alarm;
  #receiver;
  #sender;
  #path = null;
  #startedAt = 0;
  #proofs = [];
  // The time at which the first unanswered `have` was noticed, or null.
  #silentSince = null;

  // The handlers are `onEvent(event)`, `onEnd(code)` after the end of the path, `onSilence()`, `onBlocked()` if no
  // datagrams arrive, and `onTurn(now)`, which feeds the sender and returns a time to be called again, or null.
  constructor(platform, handlers) {
    [this.#platform, this.#handlers] = [platform, handlers];
    this.#alarm = new Alarm(platform, () => this.pump());
  }

  // Begins as a new member: `next` is the first entry to receive.
  enter({ tag, member, expected, keepAlive }, next, roomSize) {
    this.#receiver = new StreamReceiver(tag, next, keepAlive, this.#now());
    this.#sender = new StreamSender(member, expected, roomSize);
  }

  // Goes on over this path.
  attach(path) {
    this.detach();
    this.#receiver.restart(path.isCarried);
    this.#sender.restart(path.isCarried);
    [this.#path, this.#startedAt, this.#silentSince] = [path, this.#now(), null];
    this.#proofs = path.isCarried ? [] : PROOFS.map((time) => this.#startedAt + time);
    path.start({
      onDatagram: (bytes) => this.#handleDatagram(bytes),
      onEnd: (code) => {
        this.detach();
        this.#handlers.onEnd(code);
      },
    });
    this.pump();
  }

  // Leaves the path, if there is one. The machines keep their state.
  detach() {
    this.#path?.stop();
    this.#path?.close();
    this.#path = null;
    this.#alarm.set(null);
  }

  get receiver() {
    return this.#receiver;
  }

  get sender() {
    return this.#sender;
  }

  get path() {
    return this.#path;
  }

  // Asks for a sign of life, because the network has changed.
  doubt() {
    this.#receiver.doubt(this.#now());
    this.pump();
  }

  #now() {
    return currentTime(this.#platform);
  }

  #handleDatagram(bytes) {
    const now = this.#now();
    this.#receiver.handleDatagram(bytes, now, (event) => {
      this.#sender.handleEvent(event, now);
      this.#handlers.onEvent(event);
    });
    this.pump();
  }

  // Does all that is due, and sets the alarm for the rest.
  pump() {
    if (!this.#path) {
      return;
    }
    const now = this.#now();
    const turnAt = this.#handlers.onTurn(now);
    if (this.#sender.timeouts() > 0) {
      // Otherwise only the next keep-alive would notice a dead server, up to 20 s later.
      this.#receiver.doubt(now);
    }
    this.#transmit(now);
    if (this.#checkSilence(now)) {
      const times = [turnAt, this.#receiver.pollTimeout(), this.#sender.pollTimeout(), this.#checkAt(), this.#proofs[0]];
      this.#alarm.set(times.reduce((low, at) => Math.min(low, at ?? Infinity), Infinity));
    }
  }

  #transmit(now) {
    for (let body; (body = this.#receiver.pollTransmit(now) ?? this.#sender.pollTransmit(now)); ) {
      this.#path.send(body);
    }
    if (this.#path.hasDatagrams) {
      this.#proofs = [];
    }
    while (this.#proofs[0] <= now) {
      this.#proofs.shift();
      this.#path.send(encodeHave(this.#receiver.next()));
    }
  }

  // Returns true if the path may still work. Otherwise it has told the handlers.
  #checkSilence(now) {
    const unanswered = this.#receiver.unanswered();
    this.#silentSince = unanswered > 0 ? (this.#silentSince ?? now) : null;
    if (this.#path.hasDatagrams === false && this.#startedAt + DOUBT_AFTER <= now) {
      this.#handlers.onBlocked();
      return false;
    }
    if (unanswered >= MOST_UNANSWERED || (this.#silentSince ?? now) + SILENCE <= now) {
      this.detach();
      this.#handlers.onSilence();
      return false;
    }
    return true;
  }

  #checkAt() {
    const isUnproved = this.#path.hasDatagrams === false;
    return isUnproved ? this.#startedAt + DOUBT_AFTER : this.#silentSince && this.#silentSince + SILENCE;
  }
}
