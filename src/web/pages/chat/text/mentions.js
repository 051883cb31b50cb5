// Owns the search for the reader's name in a text. The rules are those of the terminal client.

import { foldText } from "./fold.js";

// Scripts without blanks between words, and Korean with its particles behind names: a word may begin anywhere.
const UNSPACED = new RegExp(
  "^[\\p{scx=Han}\\p{scx=Hiragana}\\p{scx=Katakana}\\p{scx=Hangul}\\p{scx=Bopomofo}\\p{scx=Yi}\\p{scx=Thai}\\p{scx=Lao}" +
    "\\p{scx=Khmer}\\p{scx=Myanmar}\\p{scx=Tibetan}\\p{scx=Javanese}\\p{scx=Balinese}]",
  "u",
);
const LETTER = /^[\p{Alphabetic}\p{N}]/u;
const CLUSTERS = new Intl.Segmenter(undefined, { granularity: "grapheme" });

// Returns the places of a name in a text as {start, end}, where it stands as a word.
export function findMentions(text, name) {
  const wanted = foldText(name);
  // Most texts mention nobody, and this is faster than the clusters.
  if (wanted === "" || !foldText(text).includes(wanted)) {
    return [];
  }
  const clusters = Array.from(CLUSTERS.segment(text), ({ segment, index }) => {
    return { start: index, end: index + segment.length, folded: foldText(segment) };
  });
  const found = [];
  clusters.forEach(({ start }, at) => {
    const end = endOfName(clusters, at, wanted);
    const isFree = found.length === 0 || found.at(-1).end <= start;
    if (end !== null && isFree && isWordBoundary(text, start) && isWordBoundary(text, end)) {
      found.push({ start, end });
    }
  });
  return found;
}

// Returns the end of the name that begins with a cluster, or null.
function endOfName(clusters, first, wanted) {
  let matched = "";
  for (let at = first; at < clusters.length && matched.length < wanted.length; at += 1) {
    matched += clusters[at].folded;
    if (matched === wanted) {
      return clusters[at].end;
    }
    if (!wanted.startsWith(matched)) {
      return null;
    }
  }
  return null;
}

function isWordBoundary(text, at) {
  const left = Array.from(text.slice(Math.max(0, at - 2), at)).at(-1) ?? " ";
  const right = String.fromCodePoint(text.codePointAt(at) ?? 0x20);
  return !isInsideWord(left) || !isInsideWord(right);
}

function isInsideWord(character) {
  return LETTER.test(character) && !UNSPACED.test(character);
}
