// Owns the completion of commands and names. The rules are those of the terminal client.

import { foldText } from "./fold.js";

// The commands of the server, and those of the page. Those that take a word end with a blank.
const COMMANDS = ["/ban ", "/bans", "/exit", "/help", "/host ", "/join ", "/kick ", "/leave", "/unban ", "/who"];
const TAKES_NAME = ["/ban ", "/host ", "/kick ", "/unban "];

// Returns {start, words}: each word can take the place of the line's text from `start` on.
function completeLine(line, names) {
  const command = TAKES_NAME.find((word) => line.startsWith(word));
  if (command !== undefined) {
    return { start: command.length, words: namesFrom(line.slice(command.length), names, "") };
  }
  if (line.startsWith("/")) {
    return { start: 0, words: COMMANDS.filter((word) => word.startsWith(line)) };
  }
  // A name may hold blanks, so the longest beginning of a name counts.
  for (let at = 0; at < line.length; at += 1) {
    if (line[at] !== " " && (at === 0 || /\s/.test(line[at - 1]))) {
      const start = line[at] === "@" ? at + 1 : at;
      const words = namesFrom(line.slice(start), names, start === 0 ? ": " : " ");
      if (words.length > 0) {
        return { start, words };
      }
    }
  }
  return { start: line.length, words: [] };
}

function namesFrom(beginning, names, behind) {
  const wanted = foldText(beginning);
  const fitting = names.map((name) => ({ name, folded: foldText(name) })).filter(({ folded }) => folded.startsWith(wanted));
  fitting.sort((a, b) => (a.folded < b.folded ? -1 : 1));
  return fitting.map(({ name }) => name + behind);
}

// A cycle through the words that complete a line. Behind the last one comes the text as it was typed.
export class TabCompletion {
  #typed = "";
  #start = 0;
  #shown = null;
  // The words of the cycle.
  words = [];
  // The index of the shown word. It is the number of words for the text as it was typed.
  at = 0;

  // Returns the next candidate for the line up to the cursor, or null.
  next(line, names, isForward) {
    if (this.#shown !== line && !this.begin(line, names)) {
      return null;
    }
    const count = this.words.length + 1;
    return this.pick((this.at + (isForward ? 1 : count - 1)) % count);
  }

  // Begins a cycle at a line. Returns false if nothing completes it.
  begin(line, names) {
    const { start, words } = completeLine(line, names);
    [this.#typed, this.#start, this.#shown] = [line, start, line];
    [this.words, this.at] = [words, words.length];
    return words.length > 0;
  }

  // Returns the line with a word of the cycle.
  pick(at) {
    this.at = at;
    this.#shown = at < this.words.length ? this.#typed.slice(0, this.#start) + this.words[at] : this.#typed;
    return this.#shown;
  }
}
