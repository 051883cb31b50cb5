// Owns the lines that the reader has sent, for the arrow keys.

const MOST_LINES = 200;

export class InputHistory {
  #lines = [];
  #at = 0;
  #draft = "";

  // Adds a sent line, and ends the walk.
  add(line) {
    if (this.#lines.at(-1) !== line) {
      this.#lines.push(line);
    }
    this.#lines.splice(0, this.#lines.length - MOST_LINES);
    this.#at = this.#lines.length;
    this.#draft = "";
  }

  // Returns the line before the shown one, or null. The unsent text is kept behind the newest line.
  older(shown) {
    if (this.#at === 0) {
      return null;
    }
    if (this.#at === this.#lines.length) {
      this.#draft = shown;
    }
    this.#at -= 1;
    return this.#lines[this.#at];
  }

  // Returns the line behind the shown one, at last the unsent text, or null.
  newer() {
    if (this.#at === this.#lines.length) {
      return null;
    }
    this.#at += 1;
    return this.#lines[this.#at] ?? this.#draft;
  }
}
