// Owns numbers: their form as text, and rates from the counters of successive figures.

// Returns a duration in nanoseconds with three digits and its unit.
export function duration(nanoseconds) {
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    // Below the unit by half a digit, the text would be rounded up to 1,000 of the smaller one.
    if (nanoseconds >= size * 0.9995) {
      return `${(nanoseconds / size).toPrecision(3)} ${unit}`;
    }
  }
  return `${Math.round(nanoseconds)} ns`;
}

// Returns a number with separators. Rates below ten keep one digit behind the point.
export function count(value) {
  const digits = value < 10 && value % 1 !== 0 ? 1 : 0;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

export function percent(part) {
  const value = part * 100;
  if (value > 0 && value < 0.1) {
    return "< 0.1 %";
  }
  return `${value < 10 ? value.toFixed(1).replace(".0", "") : Math.round(value)} %`;
}

export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let index = 0;
  while (value >= 1024 && index < units.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${value < 10 && index > 0 ? value.toFixed(1) : Math.round(value)} ${units[index]}`;
}

// Returns the sum of a counter, whose value is a number or an object by reason.
export function total(value) {
  return typeof value === "object" && value ? Object.values(value).reduce((sum, each) => sum + each, 0) : (value ?? 0);
}

// Milliseconds that a rate is about: shorter than the eye needs, longer than two texts of the server.
const WINDOW = 2000;

// The figures of the last seconds, for rates.
export class History {
  #figures = [];

  // Takes new figures. Those of a restarted server have nothing in common with the old ones.
  push(figures) {
    if (this.#figures.at(-1)?.uptime > figures.uptime) {
      this.#figures = [];
    }
    this.#figures.push(figures);
    while (this.#figures.length > 2 && figures.uptime - this.#figures[1].uptime >= WINDOW) {
      this.#figures.shift();
    }
  }

  // Returns how much a number rises in a second. `pick` finds it in figures.
  rate(pick) {
    const [first, last] = [this.#figures[0], this.#figures.at(-1)];
    const seconds = (last.uptime - first.uptime) / 1000;
    return seconds > 0 ? (pick(last) - pick(first)) / seconds : 0;
  }
}
