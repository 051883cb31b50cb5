// Owns a page with one membership, for the tests of sessions, and their assertions.

export function assert(condition, message) {
  if (!condition) {
    throw new Error(message);
  }
}

export function assertEqual(found, expected, message = "") {
  const [left, right] = [JSON.stringify(found), JSON.stringify(expected)];
  assert(left === right, `${message} expected ${right}, found ${left}`);
}

// A page with one membership, and all events of it.
export class Visit {
  events = [];

  // Enters the room. `options` replaces some of the request.
  static async enter(server, Server, options = {}) {
    const visit = new Visit();
    const request = { operation: "join", room: "lobby", username: "ann", password: "pw", ...options };
    const entering = new Server(server.url, server.platform).enter(request);
    let isDone = false;
    const entered = entering.then((membership) => visit.#watch(membership)).finally(() => (isDone = true));
    entered.catch(() => {});
    await server.platform.until(() => isDone);
    await entered;
    await server.platform.advance(10);
    return visit;
  }

  #watch(membership) {
    this.membership = membership;
    for (const type of ["entry", "settled", "state", "figures", "rejoined", "ended"]) {
      membership.addEventListener(type, ({ detail }) => this.events.push({ type, ...detail }));
    }
  }

  of(type) {
    return this.events.filter((event) => event.type === type);
  }

  texts() {
    return this.of("entry").map(({ text }) => text);
  }
}
