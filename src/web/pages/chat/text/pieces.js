// Owns the division of a message into plain text, links and mentions.

import { findLinks } from "./links.js";
import { findMentions } from "./mentions.js";

// Returns the pieces of a text, in order: {text}, {text, href} for a link, and {text, isMention: true}.
export function splitMessage(text, name) {
  const links = findLinks(text);
  const isOutside = ({ start, end }) => links.every((link) => end <= link.start || start >= link.end);
  const mentions = findMentions(text, name).filter(isOutside);
  const marked = [...links, ...mentions].sort((a, b) => a.start - b.start);
  const pieces = [];
  let done = 0;
  for (const { start, end, href } of marked) {
    if (start > done) {
      pieces.push({ text: text.slice(done, start) });
    }
    const shown = text.slice(start, end);
    pieces.push(href === undefined ? { text: shown, isMention: true } : { text: shown, href });
    done = end;
  }
  if (done < text.length) {
    pieces.push({ text: text.slice(done) });
  }
  return pieces;
}
