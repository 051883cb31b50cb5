// Owns the table of the steps and its heat strips: a row for each step, a column for each second of the last minute.

import { make, write } from "./elements.js";
import { STEPS } from "./steps.js";
import { count, duration, percent } from "./numbers.js";

const SECONDS = 60;
// Size of a cell in pixels of the canvas. The style stretches it.
const CELL = 10;
const HEIGHT = 24;

// The meanings of the colour: the list in the figures, and the values of the coldest and the hottest cell. Times are in
// microseconds, turns in parts of all turns.
const HEATS = {
  busy: { list: "strip_busy", cold: 1000, hot: 1e6, words: (value) => `${duration(value * 1000)} in a second` },
  longest: { list: "strip_longest", cold: 20, hot: 20_000, words: (value) => duration(value * 1000) },
  left: { list: "strip_left", cold: 0.001, hot: 1, words: (value) => `${percent(value)} of the turns` },
};

// Returns the heat of a value from 0 to 1, on a logarithmic scale. Only nothing is quite cold.
export function heat(value, { cold, hot }) {
  if (value <= 0) {
    return 0;
  }
  const part = Math.log(value / cold) / Math.log(hot / cold);
  return 0.06 + 0.94 * Math.min(1, Math.max(0, part));
}

// A row with the places of its numbers.
class Row {
  constructor(step) {
    this.numbers = ["median", "p99", "longest", "left"].map(() => make("td", "number", "–"));
    this.canvas = make("canvas", "strip");
    this.canvas.width = SECONDS * CELL;
    this.canvas.height = HEIGHT;
    this.canvas.setAttribute("role", "img");
    this.name = step.name;
    this.element = make(
      "tr", "", make("th", "", step.name), ...this.numbers, make("td", "of-strip", this.canvas),
    );
    this.element.firstChild.scope = "row";
    this.element.dataset.step = step.key;
  }

  write(figures) {
    const [median, p99, longest, left] = this.numbers;
    write(median, duration(figures.median));
    write(p99, duration(figures.p99));
    write(longest, duration(figures.longest));
    const part = figures.count > 0 ? figures.left / figures.count : 0;
    write(left, part > 0 ? percent(part) : "–");
    left.classList.toggle("over", part > 0);
  }

  // Draws the seconds, the newest at the right. Those before the first viewer stay empty.
  draw(values, kind, look) {
    const pen = this.canvas.getContext("2d");
    const style = getComputedStyle(this.canvas);
    pen.clearRect(0, 0, this.canvas.width, HEIGHT);
    const first = SECONDS - values.length;
    values.forEach((value, index) => {
      pen.globalAlpha = heat(value, kind);
      pen.fillStyle = style.color;
      pen.fillRect((first + index) * CELL, 0, CELL - 1, HEIGHT);
    });
    pen.globalAlpha = 1;
    pen.strokeStyle = style.outlineColor;
    pen.lineWidth = 2;
    if (look > 1) {
      pen.strokeRect((SECONDS - look) * CELL, 1, CELL - 1, HEIGHT - 2);
    }
    const hottest = values.reduce((one, other) => Math.max(one, other), 0);
    const label = `${this.name}: at most ${kind.words(hottest)} in the last minute`;
    if (this.canvas.getAttribute("aria-label") !== label) {
      this.canvas.setAttribute("aria-label", label);
    }
  }
}

export class Strips {
  #rows = STEPS.map((step) => new Row(step));
  #heat = "busy";
  // Seconds before now, of the column that is looked at; 1 is the last whole second.
  #look = 1;
  #figures = null;

  constructor(root) {
    root.querySelector("#steps tbody").append(...this.#rows.map((row) => row.element));
    this.cold = root.querySelector("#cold");
    this.hot = root.querySelector("#hot");
    this.looked = root.querySelector("#looked");
    const look = root.querySelector("#look");
    // The slider runs as the strips do: to the right is now.
    look.addEventListener("input", () => this.#lookAt(SECONDS + 1 - Number(look.value)));
    look.value = SECONDS;
    for (const choice of root.querySelectorAll("input[name=heat]")) {
      choice.addEventListener("change", () => {
        this.#heat = choice.value;
        this.#draw();
      });
    }
    this.#draw();
  }

  show(figures) {
    this.#figures = figures;
    this.#rows.forEach((row, index) => row.write(figures.steps[index]));
    this.#draw();
  }

  #lookAt(second) {
    this.#look = second;
    this.#draw();
  }

  // Returns the values of a step, one for each second.
  #values(step) {
    const list = step[HEATS[this.#heat].list];
    return this.#heat === "left"
      ? list.map((left, index) => left / Math.max(1, this.#figures.strip_turns[index]))
      : list;
  }

  #draw() {
    const kind = HEATS[this.#heat];
    write(this.cold, this.#heat === "left" ? "none" : duration(kind.cold * 1000));
    write(this.hot, this.#heat === "left" ? "all" : duration(kind.hot * 1000));
    if (this.#figures) {
      this.#rows.forEach((row, index) => row.draw(this.#values(this.#figures.steps[index]), kind, this.#look));
      write(this.looked, this.#words());
    }
  }

  // Returns the words about the second that is looked at.
  #words() {
    const { steps, strip_turns: turns } = this.#figures;
    const index = turns.length - this.#look;
    if (index < 0) {
      return `${this.#look} s ago nobody watched, so nothing was measured`;
    }
    const busy = steps.map((step, of) => [STEPS[of].name, step.strip_busy[index]]).slice(1);
    const [name, most] = busy.reduce((one, other) => (other[1] > one[1] ? other : one));
    const when = this.#look === 1 ? "last second" : `${this.#look} s ago`;
    return `${when}: ${count(turns[index])} turns, most time in “${name}” (${duration(most * 1000)})`;
  }
}
