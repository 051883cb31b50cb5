// Owns the making of elements. All text is set as text: nothing from the network becomes markup.

// Returns an element with a class and children, which are elements or texts.
export function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) {
    element.className = className;
  }
  element.append(...children);
  return element;
}

// Sets a text if it has changed, so that a selection in it survives.
export function write(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
