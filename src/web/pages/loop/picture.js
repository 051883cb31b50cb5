// Owns the picture of a turn: the sources in the poll, and a card for each of the ten steps.

import { make, write } from "./elements.js";
import { STEPS, budgetWords, limitWords } from "./steps.js";
import { count, duration, percent, total } from "./numbers.js";

// The sources in the poll: their words, and their number from the gauges.
const SOURCES = [
  ["connections", (gauges) => total(gauges.connections)],
  ["UDP sockets", (gauges) => gauges.datagram_sockets.all],
  ["listeners"],
  ["signals"],
  ["log"],
];

// A card with the places of its numbers.
class Card {
  constructor(step, index) {
    this.step = step;
    this.share = make("i", "share");
    this.part = make("span", "", "–");
    this.median = make("span", "");
    this.left = make("p", "left");
    this.budget = make("p", "budget soft");
    this.left.hidden = true;
    this.element = make(
      "li", "card",
      make("h3", "", make("span", "ordinal", `${index + 1}`), step.name),
      make("p", "does", step.does),
      this.budget,
      make("code", "file soft", step.file),
      make("div", "meter", this.share),
      make("p", "times", this.part, this.median),
      this.left,
    );
    this.element.dataset.step = step.key;
  }

  // Shows the measurements of the step: `part` of the last second was in it.
  show(figures, part, limits) {
    this.share.style.width = `${(part * 100).toFixed(2)}%`;
    write(this.part, `${percent(part)} of the time`);
    write(this.median, `median ${duration(figures.median)}`);
    write(this.budget, budgetWords(this.step, limits));
    const leftPart = figures.count > 0 ? figures.left / figures.count : 0;
    this.left.hidden = leftPart === 0;
    this.element.classList.toggle("over", leftPart > 0);
    write(this.left, `${limitWords(figures.limit)} in ${percent(leftPart)} of the turns`);
  }
}

// Returns the part of the last whole second that each step took.
export function shares(steps) {
  const last = steps.map((step) => step.strip_busy.at(-1) ?? 0);
  const whole = last.reduce((sum, busy) => sum + busy, 0);
  return last.map((busy) => (whole > 0 ? busy / whole : 0));
}

export class Picture {
  #cards = STEPS.map((step, index) => new Card(step, index));
  #sources = SOURCES.map(([words, pick]) => ({ words, pick, element: make("li", "", words) }));

  constructor(sources, turn) {
    sources.append(...this.#sources.map((source) => source.element));
    turn.append(...this.#cards.map((card) => card.element));
  }

  show(figures) {
    for (const { words, pick, element } of this.#sources) {
      write(element, pick ? `${words} ${count(pick(figures.gauges))}` : words);
    }
    const parts = shares(figures.steps);
    this.#cards.forEach((card, index) => card.show(figures.steps[index], parts[index], figures.limits));
  }
}

// Returns what the loop does now, in a sentence or two.
export function verdict(figures) {
  const parts = shares(figures.steps);
  const busy = figures.steps.map((step, index) => ({ step, name: STEPS[index].name, part: parts[index] })).slice(1);
  const most = busy.reduce((one, other) => (other.part > one.part ? other : one));
  const work = 1 - parts[0];
  if (figures.turns === 0 || most.step.strip_busy.length === 0) {
    return "Measuring the first second.";
  }
  if (work < 0.02) {
    return `Idle: the thread waits ${percent(parts[0])} of the time.`;
  }
  const over = busy.filter(({ step }) => (step.strip_left.at(-1) ?? 0) > 0).map(({ name }) => name);
  const rest = over.length > 0
    ? ` Work was left over for the next turn in: ${over.join(", ")}.`
    : " Every turn finished its work.";
  return `Busy ${percent(work)} of the time, most of it in “${most.name}” (${percent(most.part)}).${rest}`;
}
