// Opens the way to the server: WebTransport where the browser and the network have it, else a WebSocket.

import { RequestChannel } from "./websocket_path.js";
import { openSession, requestOver, sessionTerms } from "./webtransport_path.js";
import { collectRooms } from "./requests.js";
import { currentTime } from "./deadline.js";
import { SECOND } from "../stream/round_trip.js";

// After a session that did not open or lost all datagrams, WebTransport is not tried for so long. Networks change, so
// it is not forever.
const MISTRUST = 300 * SECOND;
// Time that the WebSocket for lists stays open without a request, in milliseconds.
const LIST_PAUSE = 10_000;

export class Dialer {
  #url;
  #platform;
  // The time from which WebTransport may be tried.
  #trustedAt = -Infinity;
  #lists = null;
  #listTimer = null;

  constructor(url, platform) {
    [this.#url, this.#platform] = [url, platform];
  }

  // Sends a create, join or resume request. Returns `{reply, path}`, or rejects with a RequestError.
  async open(text) {
    const session = await this.#session();
    if (session) {
      return await requestOver(session, text, this.#platform);
    }
    const channel = await RequestChannel.open(this.#url, this.#platform);
    try {
      const reply = await channel.request(text);
      return { reply, path: channel.path() };
    } catch (error) {
      channel.close();
      error.isExposed = new URL(this.#url).protocol === "http:";
      throw error;
    }
  }

  // Returns a session, or null if there can't be one.
  async #session() {
    const { isSecureContext, WebTransport } = this.#platform;
    if (!isSecureContext || !WebTransport || currentTime(this.#platform) < this.#trustedAt) {
      return null;
    }
    const terms = await sessionTerms(this.#url, this.#platform).catch(() => null);
    try {
      return terms && (await openSession(terms, this.#platform));
    } catch {
      this.distrust();
      return null;
    }
  }

  // Notes that datagrams do not arrive.
  distrust() {
    this.#trustedAt = currentTime(this.#platform) + MISTRUST;
  }

  // Returns the rooms with this prefix.
  async rooms(prefix) {
    this.#platform.clearTimeout(this.#listTimer);
    if (!this.#lists?.isOpen()) {
      this.#lists = await RequestChannel.open(this.#url, this.#platform);
    }
    const lists = this.#lists;
    try {
      return await collectRooms(prefix, (text) => lists.request(text));
    } finally {
      this.#listTimer = this.#platform.setTimeout(() => lists.close(), LIST_PAUSE);
    }
  }
}
