// A server of reactor-chat, as the page sees it: its rooms, and the way into one.

import { openMembership } from "./comeback.js";
import { Dialer } from "./dialer.js";
import { Membership } from "./membership.js";
import { entryRequest } from "./requests.js";

export class Server {
  #platform;
  #dialer;

  // `url` is any URL of the server. `platform` has the globals of the browser, or those of a test.
  constructor(url, platform = globalThis) {
    this.#platform = platform;
    this.#dialer = new Dialer(url, platform);
  }

  // Returns the rooms whose names begin with the prefix, in order: `{room, members, capacity, password, sealed?}`.
  // Rejects with a RequestError.
  async list(prefix) {
    return await this.#dialer.rooms(prefix);
  }

  // Creates or joins a room. The options are `operation` ("create" or "join"), `room` and `username`; optional are
  // `password`, `history`, `capacity` and `hidden` (W6). Returns a Membership, or rejects with a RequestError.
  async enter(options) {
    const { completion, path } = await openMembership(this.#dialer, entryRequest(options));
    return new Membership({ platform: this.#platform, dialer: this.#dialer, options, completion, path });
  }
}
