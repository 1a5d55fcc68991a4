// Why it matched: two images beside each other, and lines between the places they share.

import { el, svg } from "./dom.js";

const GAP = 0.04;
const MOST_LINES = 60;

/** Draw matches between two loaded images (`img` elements) as a figure. */
export function drawMatches(left, right, found) {
  // Both images get one height; widths are in units of it.
  const [wide, other] = [left, right].map((image) => image.naturalWidth / image.naturalHeight);
  const width = wide + GAP + other;
  const lines = every(found.places, MOST_LINES).map(([x, y, u, v]) =>
    svg("line", { x1: x * wide, y1: y, x2: wide + GAP + u * other, y2: v }),
  );
  const dots = every(found.places, MOST_LINES).flatMap(([x, y, u, v]) => [
    svg("circle", { cx: x * wide, cy: y, r: 0.008 }),
    svg("circle", { cx: wide + GAP + u * other, cy: v, r: 0.008 }),
  ]);
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${width} 1`, class: "lines", "aria-hidden": "true" },
    ...lines,
    ...dots,
  );
  const place = (image, from, share) => {
    image.style.left = `${(100 * from) / width}%`;
    image.style.width = `${(100 * share) / width}%`;
    return image;
  };
  const stage = el(
    "div",
    { class: "stage" },
    place(left, 0, wide),
    place(right, wide + GAP, other),
    drawing,
  );
  stage.style.aspectRatio = String(width);
  return el("figure", { class: "matches" }, stage, el("figcaption", { class: "quiet" }, sentence(found)));
}

/** The result in a sentence. */
export function sentence(found) {
  const method = found.method.toUpperCase();
  if (!found.inliers) return `${method} finds no place that both images share.`;
  const sure = found.likely
    ? "more than unrelated images reach: very likely the same object."
    : "no more than unrelated images may reach by chance.";
  return `${found.inliers} of ${found.tentative} ${method} matches agree on one view; ${sure}`;
}

/** At most so many of a list, evenly spread over it. */
function every(items, most) {
  const step = Math.max(1, items.length / most);
  return Array.from({ length: Math.min(items.length, most) }, (_, i) => items[Math.floor(i * step)]);
}
