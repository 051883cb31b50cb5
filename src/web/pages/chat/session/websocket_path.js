// The WebSocket at /chat (H6, H7): requests and replies as text messages, then datagrams as binary ones.

import { MAX_DOWNSTREAM } from "../stream/datagram.js";
import { within } from "./deadline.js";
import { MessagePath } from "./message_path.js";
import { RequestError } from "./request_error.js";
import { grantedReply } from "./requests.js";

// Time to open a WebSocket, and time for a reply, in milliseconds. The server delays some replies for 4 s (W12).
const OPEN_TIMEOUT = 10_000;
const REPLY_TIMEOUT = 10_000;

// A WebSocket for requests, one after the other.
export class RequestChannel {
  #socket;
  #platform;
  // It begins with the WebSocket, because the first datagrams may follow the reply without a pause.
  #path;

  constructor(socket, platform) {
    [this.#socket, this.#platform, this.#path] = [socket, platform, new WebSocketPath(socket)];
  }

  // Opens a WebSocket to the server with this URL.
  static async open(url, platform) {
    const target = new URL("/chat", url);
    target.protocol = target.protocol === "https:" ? "wss:" : "ws:";
    const socket = new platform.WebSocket(target.href);
    socket.binaryType = "arraybuffer";
    const opened = nextEvent(socket, "open");
    await within(OPEN_TIMEOUT, opened, platform, () => socket.close());
    return new RequestChannel(socket, platform);
  }

  // Sends a request and returns the reply that grants it. Rejects with a RequestError.
  async request(text) {
    const reply = nextEvent(this.#socket, "message");
    this.#socket.send(text);
    const { data } = await within(REPLY_TIMEOUT, reply, this.#platform, () => this.close());
    return grantedReply(typeof data === "string" ? data : "");
  }

  // Returns the path of the member that the last request has made.
  path() {
    return this.#path;
  }

  isOpen() {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  close() {
    this.#socket.close();
  }
}

// Returns the next event of this type. Rejects if the WebSocket ends before it.
function nextEvent(socket, type) {
  return new Promise((resolve, reject) => {
    const settle = (event) => {
      socket.removeEventListener(type, settle);
      socket.removeEventListener("close", settle);
      if (event.type === type) {
        resolve(event);
      } else {
        reject(new RequestError(0, "the connection has ended"));
      }
    };
    socket.addEventListener(type, settle);
    socket.addEventListener("close", settle);
  });
}

class WebSocketPath extends MessagePath {
  name = "websocket";
  isCarried = true;
  #socket;

  constructor(socket) {
    super();
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      // A message that no server sends is lost, like a datagram that is too long.
      if (data instanceof ArrayBuffer && data.byteLength <= MAX_DOWNSTREAM) {
        this.deliver(new Uint8Array(data));
      }
    });
    socket.addEventListener("close", ({ code }) => this.end(code));
  }

  send(body) {
    if (this.#socket.readyState === this.#socket.OPEN) {
      this.#socket.send(body);
    }
  }

  close() {
    this.#socket.close();
  }
}
