// Owns the field for new messages: its keys, completion, and the lines that were sent.

import { TabCompletion } from "../text/completion.js";
import { InputHistory } from "../text/input_history.js";
import { speech } from "../texts/language.js";
import { showText } from "./elements.js";
import { Suggestions } from "./suggestions.js";

// The most bytes of a message in the protocol (W18).
const MOST_BYTES = 4096;

export class Composer {
  #field;
  #error;
  #history = new InputHistory();
  #completion = new TabCompletion();
  #suggestions;
  #room;

  // `room` has send(text), names(), scrollPages(n) and scrollToEnd().
  constructor(element, room) {
    this.#room = room;
    this.#field = element.querySelector("textarea");
    this.#error = element.querySelector(".composer-error");
    this.#suggestions = new Suggestions(element.querySelector(".suggestions"), this.#field, (at) => this.#pick(at));
    this.#field.addEventListener("keydown", (event) => this.#handleKey(event));
    this.#field.addEventListener("input", () => this.#handleInput());
    this.#field.addEventListener("blur", () => this.#suggestions.hide());
    element.querySelector(".composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
      this.#field.focus();
    });
  }

  focus() {
    this.#field.focus();
  }

  setHint(text) {
    this.#field.placeholder = text;
  }

  // Nothing can be sent any more, or again.
  setEnabled(isEnabled) {
    this.#field.disabled = !isEnabled;
    this.#field.form.querySelector("button").disabled = !isEnabled;
  }

  // Puts a name at the cursor, as completion does.
  insertName(name) {
    const start = this.#field.selectionStart;
    this.#field.setRangeText(start === 0 ? `${name}: ` : `@${name} `, start, this.#field.selectionEnd, "end");
    this.#field.focus();
    this.#grow();
  }

  // Puts back a text that could not be sent.
  #restore(text, reason) {
    this.#field.value = text;
    showText(this.#error, reason);
    this.#field.setAttribute("aria-invalid", "true");
    this.#grow();
  }

  #handleKey(event) {
    // Keys that belong to an input method, such as the Enter that ends a conversion. Safari reports that one as 229.
    if (event.isComposing || event.keyCode === 229 || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    const handlers = {
      Enter: () => !event.shiftKey && this.#send(),
      Tab: () => this.#complete(!event.shiftKey),
      ArrowUp: () => !event.shiftKey && this.#isOnFirstLine() && this.#recall(this.#history.older(this.#field.value)),
      ArrowDown: () => !event.shiftKey && this.#isOnLastLine() && this.#recall(this.#history.newer()),
      PageUp: () => this.#scroll(-1),
      PageDown: () => this.#scroll(1),
      Escape: () => this.#escape(),
    };
    if (handlers[event.key]?.()) {
      event.preventDefault();
    }
  }

  #send() {
    const text = this.#field.value;
    if (text.trim() === "") {
      return true;
    }
    const excess = new TextEncoder().encode(text).length - MOST_BYTES;
    if (excess > 0) {
      this.#restore(text, speech.t("tooLong", { count: excess }));
      return true;
    }
    this.#field.value = "";
    this.#handleInput();
    try {
      this.#room.send(text);
      this.#history.add(text);
    } catch {
      this.#restore(text, speech.t("tooMany"));
    }
    return true;
  }

  // Completes the text before the cursor. Without a candidate, Tab moves the focus as elsewhere.
  #complete(isForward) {
    const { value, selectionStart } = this.#field;
    if (selectionStart === 0 || selectionStart !== this.#field.selectionEnd) {
      return false;
    }
    const line = this.#completion.next(value.slice(0, selectionStart), this.#room.names(), isForward);
    if (line === null) {
      return false;
    }
    this.#showCompletion(line);
    return true;
  }

  #pick(at) {
    this.#showCompletion(this.#completion.pick(at));
    this.#suggestions.hide();
  }

  #showCompletion(line) {
    this.#field.setRangeText(line, 0, this.#field.selectionStart, "end");
    this.#suggestions.show(this.#completion.words, this.#completion.at);
    this.#grow();
  }

  // Suggests commands behind `/` and names behind `@` while the reader types.
  #handleInput() {
    const typed = this.#field.value.slice(0, this.#field.selectionStart);
    const suggests = /^\/\S*$|^\/(ban|host|kick|unban) |(^|\s)@[^@]*$/.test(typed);
    if (suggests && this.#completion.begin(typed, this.#room.names())) {
      this.#suggestions.show(this.#completion.words, this.#completion.at);
    } else {
      this.#suggestions.hide();
    }
    showText(this.#error, "");
    this.#field.removeAttribute("aria-invalid");
    this.#grow();
  }

  #recall(line) {
    if (line === null) {
      return false;
    }
    this.#field.value = line;
    this.#field.setSelectionRange(line.length, line.length);
    this.#suggestions.hide();
    this.#grow();
    return true;
  }

  #scroll(pages) {
    this.#room.scrollPages(pages);
    return true;
  }

  #escape() {
    if (this.#suggestions.isShown) {
      this.#suggestions.hide();
    } else {
      this.#room.scrollToEnd();
    }
    return true;
  }

  #isOnFirstLine() {
    return !this.#field.value.slice(0, this.#field.selectionStart).includes("\n");
  }

  #isOnLastLine() {
    return !this.#field.value.slice(this.#field.selectionEnd).includes("\n");
  }

  // Browsers without `field-sizing` need the height as a number.
  #grow() {
    if (!CSS.supports("field-sizing", "content")) {
      this.#field.style.height = "auto";
      this.#field.style.height = `${this.#field.scrollHeight + 2}px`;
    }
  }
}
