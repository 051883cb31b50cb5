// Owns the comparison of names and words without regard to case and width, close to the server's folding (W8).

// Each code point is folded alone, so that a text and its pieces fold alike.
export function foldText(text) {
  const folded = Array.from(text.normalize("NFKC"), (character) => character.toUpperCase().toLowerCase());
  return folded.join("").normalize("NFKC");
}

const HUES = 12;

// Returns the number of a name's colour, from its FNV-1a hash: each name has one colour, in all rooms.
export function hueOf(name) {
  const bytes = new TextEncoder().encode(foldText(name));
  const hash = bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193), 0x811c9dc5);
  return (hash >>> 0) % HUES;
}
