// Owns the announcements for screen readers. Each new line would be read aloud for minutes in a fast room, so they are
// gathered, and of many the last ones are read.

import { speech } from "../texts/language.js";
import { make } from "./elements.js";

const ANNOUNCE_PAUSE = 1000;
const MOST_ANNOUNCED = 4;

let announceTimer = null;
let unspoken = [];

// Reads a text aloud, politely.
export function announce(text) {
  unspoken.push(text.slice(0, 300));
  announceTimer ??= setTimeout(speak, ANNOUNCE_PAUSE);
}

function speak() {
  announceTimer = null;
  const spoken = unspoken.slice(-MOST_ANNOUNCED);
  const more = unspoken.length - spoken.length;
  unspoken = [];
  const lines = spoken.map((text) => make("p", {}, text));
  if (more > 0) {
    lines.unshift(make("p", {}, speech.t("moreSpoken", { count: more })));
  }
  document.getElementById("announcer").replaceChildren(...lines);
}
