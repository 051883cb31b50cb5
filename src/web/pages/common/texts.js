// Owns the look-up of texts in the reader's language, and their way into the static part of a page.

// Returns the function that looks up a text. A text with `{key}` takes a value; without one the braces stay, for
// splitSentence. A text whose form depends on a number is an object with the keys of Intl.PluralRules, and its number is
// the value `count`.
export function makeTranslator(table, language) {
  const plurals = new Intl.PluralRules(language);
  const numbers = new Intl.NumberFormat(language);
  const shown = (value) => (typeof value === "number" ? numbers.format(value) : String(value));
  return (key, values = {}) => {
    const entry = table[key];
    const text = typeof entry === "object" ? (entry[plurals.select(values.count)] ?? entry.other) : entry;
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? shown(values[name]) : whole));
  };
}

// Splits a text at the places of its values: a text between two places has the key `text`, a place has the key `place`.
export function splitSentence(sentence) {
  const parts = sentence.split(/\{(\w+)\}/);
  return parts.map((part, index) => (index % 2 === 1 ? { place: part } : { text: part })).filter((part) => part.text !== "");
}

// Writes the texts of a language into the elements below a root. `data-text` names the text of an element,
// `data-label` its name for assistive technology (and its tooltip on a button), `data-hint` its placeholder.
export function translateElements(root, translate) {
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = translate(element.dataset.text);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    const label = translate(element.dataset.label);
    element.setAttribute("aria-label", label);
    if (element.localName === "button") {
      element.title = label;
    }
  }
  for (const element of root.querySelectorAll("[data-hint]")) {
    element.placeholder = translate(element.dataset.hint);
  }
}
