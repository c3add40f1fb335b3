// Elements. Text goes in as text: nothing here, or anywhere on the page, reads markup.

/** Makes an element; what begins with `on` listens, `true` sets an attribute and `false` leaves it out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value !== false && value !== undefined) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** Puts the words of the language into the elements that name them. */
export function translate(words, root = document) {
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = words[element.dataset.text];
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", words[element.dataset.label]);
  }
}
