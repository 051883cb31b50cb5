// Owns the reader's lines that the server has not taken yet. They stand below all others.

import { speech } from "../texts/language.js";
import { make } from "./elements.js";

export class PendingView {
  #root;
  #frame = null;
  #onChange;

  // Calls `onChange` when the height has changed.
  constructor(room, onChange) {
    this.#root = room.querySelector(".pending");
    this.#onChange = onChange;
  }

  // Shows the lines of a membership with the next frame: most are taken before it.
  show(membership) {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = null;
      this.#draw(membership.state === "ended" ? [] : membership.pending);
    });
  }

  #draw(pending) {
    if (pending.length === 0 && this.#root.childElementCount === 0) {
      return;
    }
    const known = new Map(Array.from(this.#root.children, (line) => [line.dataset.id, line]));
    this.#root.replaceChildren(...pending.map(({ id, text }) => known.get(String(id)) ?? makePendingLine(id, text)));
    this.#onChange();
  }
}

function makePendingLine(id, text) {
  const note = make("span", { class: "time" }, "…");
  const state = make("span", { class: "visually-hidden" }, speech.t("sending"));
  return make("p", { class: "line message waiting", "data-id": id }, note, make("span", { class: "who" }), state, make("span", { class: "text", dir: "auto" }, text));
}
