// An open message of a sender, or a part of one. Each has an id (S16).

import { encodeMessage, encodePart } from "./body.js";

class OpenPart {
  // The time at which it was last sent, or null.
  sentAt = null;
  isRepeated = false;
  // True if its answer measures the round trip: it was not repeated (Karn's rule) and not yet answered.
  isTimed = true;

  constructor(text, isLast) {
    [this.text, this.isLast] = [text, isLast];
  }

  // Returns the body with this id.
  encode(id) {
    return this.isLast ? encodeMessage(id, this.text) : encodePart(id, this.text);
  }

  noteSent(now) {
    this.isRepeated = this.sentAt !== null;
    this.isTimed &&= !this.isRepeated;
    this.sentAt = now;
  }
}

// Returns the parts of a text, each of at most `size` bytes. An empty text is one part.
export function splitText(text, size) {
  const parts = [];
  for (let start = 0; start < text.length || start === 0; start += size) {
    parts.push(new OpenPart(text.subarray(start, start + size), start + size >= text.length));
  }
  return parts;
}
