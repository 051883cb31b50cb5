// Owns the list of completions above the field.

import { speech } from "../texts/language.js";
import { make } from "./elements.js";

const MOST_SUGGESTED = 10;

let suggestionLists = 0;

export class Suggestions {
  #list;
  #field;
  #prefix;

  // Calls `pick(index)` when the reader clicks a completion.
  constructor(list, field, pick) {
    this.#list = list;
    this.#field = field;
    suggestionLists += 1;
    this.#prefix = `suggestions-${suggestionLists}`;
    list.id = this.#prefix;
    field.setAttribute("aria-controls", this.#prefix);
    // A press would take the focus from the field.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
    list.addEventListener("click", ({ target }) => {
      const option = target.closest("[role=option]");
      if (option !== null) {
        pick(Number(option.dataset.at));
      }
    });
  }

  // Shows words, and which one stands in the field.
  show(words, at) {
    const first = at < words.length ? Math.max(0, at - MOST_SUGGESTED + 1) : 0;
    const shown = words.slice(first, first + MOST_SUGGESTED);
    this.#list.replaceChildren(...shown.map((word, index) => this.#makeOption(word, first + index, at)));
    this.#list.hidden = shown.length === 0;
    if (at < words.length) {
      this.#field.setAttribute("aria-activedescendant", `${this.#prefix}-${at}`);
    } else {
      this.#field.removeAttribute("aria-activedescendant");
    }
  }

  hide() {
    this.show([], 0);
  }

  get isShown() {
    return !this.#list.hidden;
  }

  #makeOption(word, index, at) {
    const attributes = { role: "option", id: `${this.#prefix}-${index}`, "data-at": index, "aria-selected": String(index === at) };
    const label = word.replace(/:? $/, "");
    const option = make("li", attributes, make("bdi", {}, label));
    if (label.startsWith("/")) {
      const key = `command${label[1].toUpperCase()}${label.slice(2)}`;
      option.append(" ", make("span", { class: "soft" }, speech.t(key)));
    }
    return option;
  }
}
