// An image of the gallery as an element: in the size shown, loaded lazily, in a box of fixed size.

import { addressOf } from "./api.js";
import { el } from "./dom.js";

const SIZES = [160, 320, 640, 1280];

/** The address of a thumbnail whose longer side has at least this many CSS pixels, if there is one. */
export function thumbnail(image, side) {
  const needed = side * Math.min(window.devicePixelRatio || 1, 2);
  const size = SIZES.find((one) => one >= needed) ?? SIZES.at(-1);
  return addressOf(image.thumbnail.replace(/size=\d+/, `size=${size}`));
}

/** An `img`; one that cannot be loaded gives way to its name. */
export function picture(image, side, { alt = image.name, eager = false } = {}) {
  const scale = side / Math.max(image.width, image.height, 1);
  const element = el("img", {
    src: thumbnail(image, side),
    alt,
    width: Math.max(1, Math.round(image.width * scale)),
    height: Math.max(1, Math.round(image.height * scale)),
    loading: eager ? "eager" : "lazy",
    decoding: "async",
    draggable: "false",
  });
  element.addEventListener(
    "error",
    () => element.replaceWith(el("span", { class: "gone" }, `${image.name} cannot be shown`)),
    { once: true },
  );
  return element;
}
