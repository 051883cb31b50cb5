// Owns a list of numbers under a heading, each with a short text about it.

import { make, write } from "./elements.js";

// A number with its words.
class Entry {
  constructor(words, about, hasBar) {
    this.value = make("dd", "");
    this.bar = make("i", "share");
    const term = make("dt", "", words, ...(about ? [make("span", "soft small about", about)] : []));
    this.element = make("div", "row", term, this.value, ...(hasBar ? [make("dd", "meter", this.bar)] : []));
  }

  // Shows a text, and the part of the bar that is full.
  show(text, part) {
    write(this.value, text);
    this.bar.style.width = `${Math.min(100, part * 100).toFixed(2)}%`;
  }
}

export class Group {
  #entries = new Map();
  #list = make("dl", "");

  constructor(title, about) {
    this.element = make("section", "group", make("h3", "", title), make("p", "soft small", about), this.#list);
  }

  // Shows a number with a text about it. With `part` it has a bar.
  set(key, words, about, text, part = null) {
    const entry = this.#entry(key, words, about, part !== null);
    entry.show(text, part ?? 0);
    entry.element.classList.toggle("zero", /^0\b/.test(text));
    return entry.element;
  }

  #entry(key, words, about, hasBar) {
    let entry = this.#entries.get(key);
    if (!entry) {
      entry = new Entry(words, about, hasBar);
      this.#entries.set(key, entry);
      this.#list.append(entry.element);
    }
    return entry;
  }
}

// A group whose numbers are mostly zero: these stand folded together at its end.
export class RareGroup extends Group {
  #zeros = make("dl", "");
  #summary = make("summary", "");
  #others = make("dl", "");

  constructor(title, about) {
    super(title, about);
    this.element.append(this.#others, make("details", "", this.#summary, this.#zeros));
  }

  // Shows a number that may be zero.
  set(key, words, about, text) {
    const element = super.set(key, words, about, text);
    const place = text === "0" ? this.#zeros : this.#others;
    if (element.parentElement !== place) {
      place.append(element);
    }
    const zeros = this.#zeros.children.length;
    write(this.#summary, zeros === 1 ? "1 reason without a case" : `${zeros} reasons without a case`);
    this.#summary.parentElement.hidden = zeros === 0;
    return element;
  }
}
