// Owns times and days as the reader writes them, in local time.

// Returns the functions that write the time, the day, and both of a moment in milliseconds since 1970.
export function makeClock(language) {
  const time = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(language, { weekday: "long", year: "numeric", month: "long", day: "numeric" });
  const both = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
  return { time: (at) => time.format(at), day: (at) => day.format(at), both: (at) => both.format(at) };
}

// Returns true if two moments lie on different days.
export function isOtherDay(one, other) {
  return new Date(one).toDateString() !== new Date(other).toDateString();
}

// Writes a round trip in milliseconds with two significant digits.
export function formatRoundTrip(milliseconds, language) {
  const digits = { maximumSignificantDigits: 2, style: "unit", unit: "millisecond" };
  return new Intl.NumberFormat(language, digits).format(milliseconds);
}
