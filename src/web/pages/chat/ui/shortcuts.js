// Owns the keys that work everywhere in the page.

// `page` has step(count), showUnread(), toggleMembers() and focusComposer().
export function startShortcuts(page) {
  // The code of a key is its place on the keyboard: with Alt, a Mac types other letters.
  const handlers = {
    ArrowUp: () => page.step(-1),
    ArrowDown: () => page.step(1),
    KeyA: () => page.showUnread(),
    KeyM: () => page.toggleMembers(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey && handlers[event.code] && !hasDialog()) {
      event.preventDefault();
      handlers[event.code]();
    } else if (isTyping(event)) {
      page.focusComposer();
    }
  });
}

function hasDialog() {
  return document.querySelector("dialog[open]") !== null;
}

// Returns true for a letter that is typed outside of all fields: it goes into the field for messages.
function isTyping({ key, altKey, ctrlKey, metaKey, target, defaultPrevented }) {
  const isLetter = key.length === 1 && key !== " " && !altKey && !ctrlKey && !metaKey;
  return isLetter && !defaultPrevented && !hasDialog() && target.closest("input, textarea, select") === null;
}
