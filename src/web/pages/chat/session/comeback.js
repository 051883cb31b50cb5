// Gets a member back into its room: as the old member if its token still works, else as a new one.

import { currentTime } from "./deadline.js";
import { Recovery } from "./recovery.js";
import { RequestError } from "./request_error.js";
import { MAX_HISTORY, NOT_FOUND, completionOf, entryRequest, resumeRequest } from "./requests.js";

export class Comeback {
  #platform;
  #dialer;
  #options;
  // The token of the old membership, or null once it is dead.
  #token;
  #isEncrypted;
  #recovery;
  #isCancelled = false;
  // Ends the pause between two attempts.
  #endPause = null;

  // `options` are those of the first request. `token` is null if the server has ended the membership, which
  // `isEncrypted` if its messages were.
  constructor({ platform, dialer, options, token, isEncrypted }) {
    [this.#platform, this.#dialer, this.#options] = [platform, dialer, options];
    [this.#token, this.#isEncrypted] = [token, isEncrypted];
    this.#recovery = new Recovery(() => platform.Math.random());
  }

  // Tries until an attempt succeeds: the first one at once if it `isUrgent`. Returns `{completion, path, isResumed}`, or
  // null after `cancel`. Rejects with the RequestError that ends the attempts.
  async run(isUrgent) {
    if (!isUrgent) {
      await this.#pause();
    }
    while (!this.#isCancelled) {
      const outcome = await this.#attempt();
      if (outcome && this.#isCancelled) {
        outcome.path.close();
      } else if (outcome) {
        return outcome;
      } else {
        await this.#pause();
      }
    }
    return null;
  }

  // Tries again at once, because the network has changed.
  hurry() {
    this.#recovery.hurry();
    this.#endPause?.();
  }

  cancel() {
    this.#isCancelled = true;
    this.#endPause?.();
  }

  // Returns true if the old membership may still live.
  hasToken() {
    return this.#token !== null;
  }

  async #pause() {
    let timer;
    await new Promise((resolve) => {
      this.#endPause = resolve;
      timer = this.#platform.setTimeout(resolve, this.#recovery.nextPause());
    });
    this.#platform.clearTimeout(timer);
  }

  // Returns null if a later attempt may succeed.
  async #attempt() {
    try {
      return (await this.#resume()) ?? (await this.#enter());
    } catch (error) {
      const status = error instanceof RequestError ? error.status : 0;
      if (this.#isCancelled || this.#recovery.isWorthwhile(status, currentTime(this.#platform))) {
        return null;
      }
      throw error;
    }
  }

  // Returns null if the token is dead or unknown.
  async #resume() {
    // A path that does not know the token shows that the network is back, so WebTransport may work now.
    return (await this.#presentToken()) ?? (await this.#presentToken());
  }

  async #presentToken() {
    if (this.#token === null) {
      return null;
    }
    try {
      const request = resumeRequest(this.#options.room, this.#token);
      return { ...(await openMembership(this.#dialer, request)), isResumed: true };
    } catch (error) {
      if (error.status !== NOT_FOUND) {
        throw error;
      }
      // In cleartext, the server does not know the token of an encrypted member (E9).
      const isUncertain = this.#isEncrypted && error.isExposed;
      this.#token = isUncertain ? this.#token : null;
      return null;
    }
  }

  // Joins with all the history that the server has, to show what was said meanwhile. Creates the room if it is gone and
  // was ours.
  async #enter() {
    const join = { ...this.#options, operation: "join", history: MAX_HISTORY };
    const joined = openMembership(this.#dialer, entryRequest(join));
    const isOurs = this.#options.operation === "create";
    const outcome = isOurs ? await unlessNotFound(joined) : await joined;
    const entered = outcome ?? (await openMembership(this.#dialer, entryRequest(this.#options)));
    return { ...entered, isResumed: false };
  }
}

// Sends a create, join or resume request. Returns `{completion, path}`, or rejects with a RequestError.
export async function openMembership(dialer, request) {
  const { reply, path } = await dialer.open(request);
  try {
    return { completion: completionOf(reply), path };
  } catch (error) {
    path.close();
    throw error;
  }
}

// Returns the outcome of a request, or null if there is no such room or token.
async function unlessNotFound(outcome) {
  try {
    return await outcome;
  } catch (error) {
    if (error instanceof RequestError && error.status === NOT_FOUND) {
      return null;
    }
    throw error;
  }
}
