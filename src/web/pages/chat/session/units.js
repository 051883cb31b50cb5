// Units on a stream (C1): `size u16 | content`.

import { MAX_DOWNSTREAM, viewOf } from "../stream/datagram.js";

const SIZE_FIELD = 2;

// The most bytes of a reply. Lists of rooms are longer than datagrams, but they travel on WebSockets.
const MAX_UNIT = MAX_DOWNSTREAM;

export function encodeUnit(content) {
  const unit = new Uint8Array(SIZE_FIELD + content.length);
  viewOf(unit).setUint16(0, content.length);
  unit.set(content, SIZE_FIELD);
  return unit;
}

// Cuts the bytes of a stream into units, wherever they were cut on their way.
export class UnitReader {
  #bytes = new Uint8Array(0);

  // Adds bytes and returns the contents of the units that are complete now. Returns null if a unit is larger than
  // the server may send: its borders are lost then.
  push(chunk) {
    this.#bytes = joined(this.#bytes, chunk);
    const contents = [];
    while (this.#bytes.length >= SIZE_FIELD) {
      const end = SIZE_FIELD + viewOf(this.#bytes).getUint16(0);
      if (end > SIZE_FIELD + MAX_UNIT) {
        return null;
      }
      if (end > this.#bytes.length) {
        break;
      }
      contents.push(this.#bytes.slice(SIZE_FIELD, end));
      this.#bytes = this.#bytes.subarray(end);
    }
    return contents;
  }
}

function joined(first, second) {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
