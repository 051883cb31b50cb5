// The WebTransport session at /chat on the datagram port (H6, H8): a bidirectional stream has the request, the reply,
// then units; the other messages are datagrams.

import { MAX_DOWNSTREAM } from "../stream/datagram.js";
import { within } from "./deadline.js";
import { MessagePath } from "./message_path.js";
import { RequestError } from "./request_error.js";
import { grantedReply } from "./requests.js";
import { UnitReader, encodeUnit } from "./units.js";

// Time to open a session, in milliseconds. After that a WebSocket is used.
const SESSION_TIMEOUT = 2_000;
// Time for a reply, in milliseconds. The server delays some for 4 s (W12).
const STREAM_REPLY_TIMEOUT = 10_000;
// Datagrams that the browser keeps for us: as many as the server sends at once while we catch up (S7), twice.
const INCOMING_DATAGRAMS = 128;

// Returns the address of sessions with the server of this URL, and the options with the hashes of the certificates that it
// shows (H9). Rejects if the server is not there, or has no WebTransport.
export async function sessionTerms(url, platform) {
  const target = new URL("/webtransport.json", url);
  const fetched = platform.fetch(target, { cache: "no-store" }).then((response) => response.json());
  const { port, hashes } = await within(SESSION_TIMEOUT, fetched, platform, () => {});
  const serverCertificateHashes = hashes.map((hash) => ({ algorithm: "sha-256", value: fromBase64(hash) }));
  const certificates = hashes.length > 0 ? { serverCertificateHashes } : {};
  return { address: `https://${target.hostname}:${port}/chat`, options: { requireUnreliable: true, ...certificates } };
}

// Opens a session. Rejects if there is none within 2 seconds.
export async function openSession({ address, options }, platform) {
  const transport = new platform.WebTransport(address, options);
  // Otherwise a session that fails would be an unhandled rejection.
  transport.closed.catch(() => {});
  await within(SESSION_TIMEOUT, transport.ready, platform, () => transport.close());
  return transport;
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// Sends a request on a stream of the session. Returns `{reply, path}`, or rejects with a RequestError and closes the
// session.
export async function requestOver(transport, text, platform) {
  const close = () => transport.close();
  return await within(STREAM_REPLY_TIMEOUT, ask(transport, text), platform, close);
}

async function ask(transport, text) {
  try {
    const stream = await transport.createBidirectionalStream();
    const [writer, reader] = [stream.writable.getWriter(), stream.readable.getReader()];
    writer.write(encodeUnit(new TextEncoder().encode(text))).catch(() => {});
    const units = new UnitReader();
    const [first, ...more] = await readUnits(reader, units);
    const reply = grantedReply(new TextDecoder().decode(first));
    return { reply, path: new WebTransportPath(transport, { writer, reader, units, more }) };
  } catch (error) {
    throw error instanceof RequestError ? error : new RequestError(0, `the session has ended: ${error}`);
  }
}

// Reads until at least one unit is complete.
async function readUnits(reader, units) {
  for (;;) {
    const { value, done } = await reader.read();
    const contents = done ? null : units.push(value);
    if (!contents) {
      throw new RequestError(0, "the stream has ended");
    }
    if (contents.length > 0) {
      return contents;
    }
  }
}

class WebTransportPath extends MessagePath {
  name = "webtransport";
  isCarried = false;
  // True once a datagram has come. Those on the stream do not count.
  hasDatagrams = false;
  #transport;
  #stream;
  #datagrams;

  constructor(transport, stream) {
    super();
    [this.#transport, this.#stream] = [transport, stream];
    const { datagrams } = transport;
    datagrams.incomingHighWaterMark = INCOMING_DATAGRAMS;
    // Older browsers have one writable instead of the method.
    this.#datagrams = (datagrams.createWritable?.() ?? datagrams.writable).getWriter();
    transport.closed.then(({ closeCode }) => this.end(closeCode), () => this.end(0));
    stream.more.forEach((content) => this.deliver(content));
    this.#readStream();
    this.#readDatagrams(datagrams.readable.getReader());
  }

  async #readStream() {
    const { reader, units } = this.#stream;
    try {
      for (;;) {
        (await readUnits(reader, units)).forEach((content) => this.deliver(content));
      }
    } catch {
      // The end of the session follows, with its code. A stream that ends alone is an error of the server.
      await this.#transport.closed.catch(() => {});
    }
  }

  async #readDatagrams(reader) {
    try {
      for (let read; !(read = await reader.read()).done; ) {
        this.hasDatagrams = true;
        if (read.value.length <= MAX_DOWNSTREAM) {
          this.deliver(read.value);
        }
      }
    } catch {
      // The end of the session follows.
    }
  }

  send(body) {
    const isLong = body.length > this.#transport.datagrams.maxDatagramSize;
    const written = isLong ? this.#stream.writer.write(encodeUnit(body)) : this.#datagrams.write(body);
    // A lost datagram is sent again.
    written.catch(() => {});
  }

  close() {
    this.#transport.close();
  }
}
