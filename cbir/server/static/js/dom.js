// Building elements: the page never turns text into HTML, so no name or value can become markup.

/** An element with attributes, `on…` listeners and children (elements or text; null is left out). */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, attributes);
  element.append(...children);
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

export const byId = (id) => document.getElementById(id);

/** Announce a text to screen readers. */
export function announce(text) {
  byId("live").textContent = text;
}

/** Whether a key press is typing into a field. */
export function isTyping(target) {
  return target instanceof HTMLElement && target.closest("input, select, textarea") !== null;
}

export const number = (value) => value.toLocaleString("en-US");

/** A size of a file. */
export const bytes = (count) =>
  count < 1e6 ? `${Math.max(1, Math.round(count / 1e3))} kB` : `${(count / 1e6).toFixed(1)} MB`;

/** A metadata value as people read it. */
export function shown(value) {
  if (Array.isArray(value)) return value.map(shown).join(", ");
  if (typeof value === "number") return String(Math.round(value * 1e6) / 1e6);
  return String(value);
}
