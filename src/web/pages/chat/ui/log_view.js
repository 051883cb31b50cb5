// Owns the lines of a room in the page: batches, their bound, days, and where the reader has scrolled to.

import { isOtherDay } from "../text/clock.js";
import { speech } from "../texts/language.js";
import { showText } from "./elements.js";
import { followsLine, makeLine, makeSeparator } from "./lines.js";

// The lines of a room in the page. More would make each new one slow.
const MOST_SHOWN = 1000;

// The reader is at the end within this distance, in pixels.
const END_DISTANCE = 40;

export class LogView {
  #root;
  #lines;
  #button;
  #waiting = [];
  #frame = null;
  #isVisible = false;
  #isAtEnd = true;
  #newCount = 0;
  #previous = null;
  // A moment of the newest day that has a separator.
  #day = null;
  #marker = null;
  #me = "";

  constructor(room) {
    this.#root = room.querySelector(".log");
    this.#lines = room.querySelector(".lines");
    this.#button = room.querySelector(".to-end");
    this.#root.addEventListener("scroll", () => this.#noteScroll(), { passive: true });
    this.#button.addEventListener("click", () => this.scrollToEnd());
    new ResizeObserver(() => this.keepEnd()).observe(this.#root);
  }

  // The reader's name, for mentions.
  set me(name) {
    this.#me = name;
  }

  // Adds an entry. It appears with the next frame in which the room is visible.
  push(entry) {
    this.#waiting.push(entry);
    if (this.#waiting.length > 2 * MOST_SHOWN) {
      this.#waiting.splice(0, this.#waiting.length - MOST_SHOWN);
    }
    this.#schedule();
  }

  // Marks the place of the first unread line. There is one such mark.
  pushMarker() {
    this.#waiting = this.#waiting.filter(({ kind }) => kind !== "new");
    this.#marker?.remove();
    this.#marker = null;
    this.push({ kind: "new" });
  }

  setVisible(isVisible) {
    this.#isVisible = isVisible;
    if (isVisible) {
      this.#flush();
      this.keepEnd();
    }
  }

  scrollToEnd() {
    this.#isAtEnd = true;
    this.keepEnd();
    this.#showCount();
  }

  // Scrolls by pages. A negative number goes to older lines.
  scrollPages(pages) {
    this.#root.scrollBy(0, pages * this.#root.clientHeight * 0.85);
  }

  #schedule() {
    if (this.#isVisible && this.#frame === null) {
      this.#frame = requestAnimationFrame(() => this.#flush());
    }
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = null;
    const batch = this.#waiting.splice(0);
    if (batch.length === 0) {
      return;
    }
    const nodes = batch.slice(-MOST_SHOWN).flatMap((entry) => this.#nodesOf(entry));
    this.#lines.append(...nodes);
    this.#trim();
    if (!this.#isAtEnd) {
      this.#newCount += batch.filter(({ kind }) => kind === "message").length;
    }
    this.keepEnd();
    this.#showCount();
  }

  // Returns the separators before an entry, and its line.
  #nodesOf(entry) {
    if (entry.kind === "new") {
      this.#marker = makeSeparator("new", speech.t("newLines"));
      this.#previous = null;
      return [this.#marker];
    }
    const nodes = [];
    const previous = this.#previous;
    if (entry.isHistory && previous === null) {
      nodes.push(makeSeparator("history", speech.t("earlier")));
    } else if (!entry.isHistory && (this.#day === null || isOtherDay(this.#day, entry.at))) {
      nodes.push(makeSeparator("day", speech.clock.day(entry.at)));
      this.#day = entry.at;
    }
    const follows = nodes.length === 0 && followsLine(entry, previous);
    this.#previous = entry;
    return [...nodes, makeLine(entry, follows, this.#me)];
  }

  // Removes the oldest lines. A reader who has scrolled up keeps the lines in view.
  #trim() {
    const excess = this.#lines.childElementCount - MOST_SHOWN;
    if (excess <= 0) {
      return;
    }
    const kept = this.#lines.children[excess];
    const before = this.#isAtEnd ? 0 : kept.offsetTop;
    const range = document.createRange();
    range.setStart(this.#lines, 0);
    range.setEnd(this.#lines, excess);
    range.deleteContents();
    if (!this.#isAtEnd) {
      this.#root.scrollTop -= before - kept.offsetTop;
    }
  }

  // Stays at the end after the log or its content has changed its height.
  keepEnd() {
    if (this.#isAtEnd && this.#isVisible) {
      this.#root.scrollTop = this.#root.scrollHeight;
    }
  }

  #noteScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#root;
    // A hidden log has no height.
    if (clientHeight > 0) {
      this.#isAtEnd = scrollHeight - scrollTop - clientHeight < END_DISTANCE;
      this.#showCount();
    }
  }

  #showCount() {
    if (this.#isAtEnd) {
      this.#newCount = 0;
    }
    this.#button.hidden = this.#isAtEnd;
    const text = this.#newCount > 0 ? speech.t("newCount", { count: this.#newCount }) : speech.t("toEnd");
    showText(this.#button.querySelector("span"), text);
  }
}
