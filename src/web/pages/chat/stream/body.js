// Bodies to the server: the message part of a datagram (S4), `kind u8 | body`.

import { viewOf } from "./datagram.js";

const BODY_MESSAGE = 0;
const BODY_HAVE = 1;
const BODY_REPAIR = 2;
const BODY_PART = 3;

// The bytes of a message or a part beside its text: kind and id.
export const BODY_OVERHEAD = 5;
// The bytes of one range in a repair request.
const RANGE_SIZE = 10;

// Returns a message, or its last part, with the bytes of its text.
export function encodeMessage(id, text) {
  return encodeText(BODY_MESSAGE, id, text);
}

// Returns a part of a message that is not the last one (S16).
export function encodePart(id, text) {
  return encodeText(BODY_PART, id, text);
}

function encodeText(kind, id, text) {
  const bytes = new Uint8Array(BODY_OVERHEAD + text.length);
  bytes[0] = kind;
  viewOf(bytes).setUint32(1, id);
  bytes.set(text, BODY_OVERHEAD);
  return bytes;
}

// Returns the confirmation that all entries below `next` have arrived (S8).
export function encodeHave(next) {
  const bytes = new Uint8Array(9);
  bytes[0] = BODY_HAVE;
  writeNumber(viewOf(bytes), 1, next);
  return bytes;
}

// Returns a request to repair these ranges, each `{from, count}` (S10).
export function encodeRepair(ranges) {
  const bytes = new Uint8Array(1 + ranges.length * RANGE_SIZE);
  const view = viewOf(bytes);
  bytes[0] = BODY_REPAIR;
  ranges.forEach(({ from, count }, place) => {
    const at = 1 + place * RANGE_SIZE;
    writeNumber(view, at, from);
    view.setUint16(at + 8, count);
  });
  return bytes;
}

function writeNumber(view, at, number) {
  view.setUint32(at, Math.floor(number / 2 ** 32));
  view.setUint32(at + 4, number % 2 ** 32);
}
