// Owns the making of elements. Texts go into the page as text nodes, never as markup.

import { splitSentence } from "../../common/texts.js";

// Returns a new element with attributes and children. A child is a node or a text.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Returns an icon of the page's set. Its meaning must stand beside it as text.
export function makeIcon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// Returns the nodes of a sentence whose places `{key}` are filled with names. Each name is isolated, so that its
// direction does not disturb the sentence.
export function makeSentence(sentence, names) {
  return splitSentence(sentence).map(({ text, place }) => text ?? make("bdi", {}, names[place] ?? ""));
}

// Shows a text in an element, or hides the element if there is none.
export function showText(element, text) {
  element.hidden = text === "";
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

// Puts elements into a parent in this order, and removes all others. Elements at their place stay, with their focus.
export function placeChildren(parent, elements) {
  elements.forEach((element, at) => {
    if (parent.children[at] !== element) {
      parent.insertBefore(element, parent.children[at] ?? null);
    }
  });
  while (parent.children.length > elements.length) {
    parent.lastElementChild.remove();
  }
}
