// Owns the look of one line of a room: a message, a notice, a separator.

import { hueOf } from "../text/fold.js";
import { splitMessage } from "../text/pieces.js";
import { speech } from "../texts/language.js";
import { make, makeSentence } from "./elements.js";

// Messages of one sender that follow within this time, in milliseconds, do not repeat its name.
const GROUP_TIME = 180_000;

// Returns true if a line continues the sender's line before it.
export function followsLine(entry, previous) {
  const areMessages = entry.kind === "message" && previous?.kind === "message";
  return areMessages && entry.name === previous.name && entry.isHistory === previous.isHistory && entry.at - previous.at < GROUP_TIME;
}

// Returns the line of an entry of the room. `me` is the reader's name.
export function makeLine(entry, follows, me) {
  return entry.kind === "message" ? makeMessage(entry, follows, me) : makeNotice(entry);
}

function makeMessage(entry, follows, me) {
  const classes = ["line", "message", follows ? "follows" : "begins", entry.own ? "own" : "", entry.isMention ? "mention" : ""];
  const line = make("article", { class: classes.filter((word) => word !== "").join(" ") });
  line.append(makeTime(entry), makeName(entry.name), " ", makeText(entry, me));
  return line;
}

function makeName(name) {
  return make("span", { class: "who", "data-hue": hueOf(name), title: name }, make("bdi", {}, name), make("span", { class: "visually-hidden" }, ":"));
}

function makeText(entry, me) {
  const text = make("span", { class: "text", dir: "auto" });
  for (const piece of splitMessage(entry.text, entry.own ? "" : me)) {
    if (piece.href !== undefined) {
      text.append(make("a", { href: piece.href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" }, piece.text));
    } else if (piece.isMention) {
      text.append(make("mark", {}, piece.text));
    } else {
      text.append(piece.text);
    }
  }
  return text;
}

// The wire has no times: a line from before the reader came has none.
function makeTime({ at, isHistory }) {
  if (isHistory) {
    return make("span", { class: "time" });
  }
  return make("time", { class: "time", datetime: new Date(at).toISOString(), title: speech.clock.both(at) }, speech.clock.time(at));
}

function makeNotice(entry) {
  const line = make("p", { class: `line notice ${entry.kind}`, "data-code": entry.code ?? 0 });
  line.append(makeTime(entry), make("span", { class: "who", "aria-hidden": "true" }, "·"), make("span", { class: "text", dir: "auto" }, ...noticeNodes(entry)));
  return line;
}

// Known notices appear in the reader's language, and all others as the server wrote them.
function noticeNodes({ kind, code, name, text, count }) {
  if (kind === "gone") {
    return [speech.t("gone", { count })];
  }
  const isNamed = [1, 2, 3, 4, 6].includes(code) && name !== "";
  if (kind === "notice" && (isNamed || code === 5 || code === 13)) {
    return makeSentence(speech.t(`notice${code}`), { name });
  }
  return [text];
}

// Returns the plain text of an entry, for announcements and notifications.
export function textOfEntry(entry) {
  if (entry.kind === "message") {
    return speech.t("says", { name: entry.name, text: entry.text });
  }
  return noticeNodes(entry).map((node) => node.textContent ?? node).join("");
}

// Returns a line between lines: a day, the beginning of the new lines, the end of the history.
export function makeSeparator(kind, text) {
  return make("p", { class: `line separator ${kind}`, role: "separator", "aria-label": text }, make("span", { "aria-hidden": "true" }, text));
}
