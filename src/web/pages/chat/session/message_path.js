// The way of one member's messages. It keeps what comes before somebody listens.

// The most datagrams that wait for a listener. Servers send fewer; this bounds the memory.
const MAX_EARLY = 4096;

export class MessagePath {
  #handlers = null;
  #early = [];
  #endCode = null;

  // Begins to pass datagrams to `onDatagram(bytes)`, and the end to `onEnd(code)`: the close code, or 0 without one.
  start(handlers) {
    this.#handlers = handlers;
    for (const bytes of this.#early.splice(0)) {
      this.#handlers?.onDatagram(bytes);
    }
    if (this.#endCode !== null) {
      this.#handlers?.onEnd(this.#endCode);
    }
  }

  // Passes nothing on any more.
  stop() {
    this.#handlers = { onDatagram() {}, onEnd() {} };
  }

  // For the transports: a datagram came.
  deliver(bytes) {
    if (this.#handlers) {
      this.#handlers.onDatagram(bytes);
    } else if (this.#early.length < MAX_EARLY) {
      this.#early.push(bytes);
    }
  }

  // For the transports: the path has ended.
  end(code) {
    if (this.#endCode === null) {
      this.#endCode = code;
      this.#handlers?.onEnd(code);
    }
  }
}
