// The globals of a browser for tests, with a clock that the test moves. WebSockets and WebTransport sessions end at a
// server of the test: see server.js.

// Lets all promises settle that need no time.
function settle() {
  return new Promise((resolve) => globalThis.setTimeout(resolve, 0));
}

export class Platform extends EventTarget {
  #now = 0;
  #timers = new Map();
  #nextTimer = 1;
  isSecureContext = false;
  performance = { now: () => this.#now };
  Math = { random: () => 0.5 };
  // The servers of tests set these.
  WebSocket = null;
  WebTransport = undefined;
  fetch = null;

  setTimeout(call, milliseconds) {
    this.#timers.set(this.#nextTimer, { call, at: this.#now + Math.max(milliseconds, 0) });
    this.#nextTimer += 1;
    return this.#nextTimer - 1;
  }

  clearTimeout(timer) {
    this.#timers.delete(timer);
  }

  // Moves the clock and calls the timers on the way.
  async advance(milliseconds) {
    const end = this.#now + milliseconds;
    await settle();
    for (let timer; (timer = this.#nextDue(end)); await settle()) {
      this.#now = Math.max(this.#now, timer[1].at);
      this.#timers.delete(timer[0]);
      timer[1].call();
    }
    this.#now = end;
  }

  // Moves the clock until the condition holds, for a minute at most.
  async until(condition) {
    for (let waited = 0; !condition(); waited += 10) {
      if (waited > 60_000) {
        throw new Error(`never came true: ${condition}`);
      }
      await this.advance(10);
    }
  }

  #nextDue(end) {
    const due = [...this.#timers].filter(([, { at }]) => at <= end);
    due.sort(([first, { at: firstAt }], [second, { at: secondAt }]) => firstAt - secondAt || first - second);
    return due[0];
  }
}

// A WebSocket whose other end is `server.accept(connection)`.
export class FakeSocket extends EventTarget {
  static platform;
  static server;
  OPEN = 1;
  readyState = 0;
  #incoming = [];

  constructor(url) {
    super();
    this.url = url;
    const { platform, server } = FakeSocket;
    platform.setTimeout(() => {
      if (!server.isUp) {
        this.fail(1006);
      } else if (this.readyState === 0) {
        this.readyState = 1;
        this.connection = server.accept(this);
        this.dispatchEvent(new Event("open"));
      }
    }, 1);
  }

  send(data) {
    const copy = typeof data === "string" ? data : data.slice();
    FakeSocket.platform.setTimeout(() => this.connection.receive(copy), 1);
  }

  // For the server: a message to the page. Messages that wait together come without a pause.
  receive(data) {
    this.#incoming.push(typeof data === "string" ? data : data.slice().buffer);
    FakeSocket.platform.setTimeout(() => {
      for (const data of this.#incoming.splice(0).filter(() => this.readyState === 1)) {
        this.dispatchEvent(new MessageEvent("message", { data }));
      }
    }, 1);
  }

  // For the server: the end of the connection.
  fail(code) {
    FakeSocket.platform.setTimeout(() => {
      if (this.readyState < 3) {
        this.readyState = 3;
        this.dispatchEvent(Object.assign(new Event("close"), { code }));
      }
    }, 1);
  }

  close() {
    if (this.readyState < 2) {
      this.readyState = 2;
      this.connection?.leave();
      this.fail(1005);
    }
  }
}

// A WebTransport session whose other end is `server.accept(connection)`.
export class FakeTransport {
  static server;
  #toPage = newStream();
  #datagramsToPage = newStream();
  #end;
  isOpen = true;

  constructor(url, options) {
    const { server } = FakeTransport;
    [this.url, this.options] = [url, options];
    this.closed = new Promise((resolve) => (this.#end = resolve));
    this.ready = server.answersSessions ? Promise.resolve() : new Promise(() => {});
    this.connection = server.accept(this);
    this.datagrams = {
      maxDatagramSize: 600,
      readable: this.#datagramsToPage.readable,
      writable: new WritableStream({ write: (body) => this.#sendDatagram(body) }),
    };
  }

  #sendDatagram(body) {
    if (FakeTransport.server.passesDatagrams) {
      this.connection.receive(body.slice());
    }
  }

  async createBidirectionalStream() {
    const write = (unit) => this.connection.receiveUnit(unit.slice());
    return { readable: this.#toPage.readable, writable: new WritableStream({ write }) };
  }

  // For the server: a datagram, and bytes on the stream.
  receive(data) {
    if (FakeTransport.server.passesDatagrams) {
      this.#datagramsToPage.controller.enqueue(data.slice());
    }
  }

  receiveUnit(unit) {
    this.#toPage.controller.enqueue(unit.slice());
  }

  fail(closeCode) {
    this.isOpen = false;
    this.#end({ closeCode });
  }

  close() {
    if (this.isOpen) {
      this.connection.leave();
      this.fail(0);
    }
  }
}

function newStream() {
  let controller;
  const readable = new ReadableStream({ start: (its) => (controller = its) });
  return { readable, controller };
}
