// Results as tiles: the image alone until it is hovered, focused or tapped.

import { el, shown } from "./dom.js";
import { aspectOf } from "./grid.js";
import { picture } from "./picture.js";

const FIELDS_SHOWN = 3;

/** A tile for a hit; `actions` are `open`, `more` and `not`, each called with the image. */
export function tile(hit, { actions, fields = [], link }) {
  const { image } = hit;
  const anchor = el(
    "a",
    { href: link, class: "face", "data-id": image.id, "aria-label": labelOf(hit) },
    picture(image, 320, { alt: "" }),
    outline(hit),
  );
  anchor.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return; // a new tab is the browser's
    event.preventDefault();
    // On a touch screen the first tap lifts the image, as hovering does elsewhere.
    if (matchMedia("(hover: none)").matches && !item.classList.contains("lifted")) lift(item);
    else actions.open(image, anchor);
  });
  const item = el(
    "li",
    { class: "tile", "data-aspect": aspectOf(image).toFixed(4) },
    anchor,
    el("div", { class: "card" }, facts(hit, fields), buttons(hit, actions)),
  );
  return item;
}

/** A tile without actions, for images to start from. */
export function plainTile(image, link, label) {
  return el(
    "li",
    { class: "tile", "data-aspect": aspectOf(image).toFixed(4) },
    el(
      "a",
      { href: link, class: "face", "data-link": true, "data-id": image.id, "aria-label": label },
      picture(image, 320, { alt: "" }),
    ),
  );
}

/** Placeholders for images that are loading. */
export function placeholders(aspects) {
  return aspects.map((aspect) =>
    el("li", { class: "tile waiting", "data-aspect": aspect, "aria-hidden": "true" }),
  );
}

/** The few metadata fields in which hits differ. */
export function telling(hits) {
  const values = new Map();
  for (const { image } of hits) {
    for (const [name, value] of Object.entries(image.metadata)) {
      if (!values.has(name)) values.set(name, new Map());
      const text = shown(value);
      values.get(name).set(text, (values.get(name).get(text) ?? 0) + 1);
    }
  }
  const spread = (counts) => (counts.size > 1 ? counts.size : 0);
  return [...values]
    .filter(([, counts]) => spread(counts) > 0)
    // Few different values tell groups apart; as many as there are hits are names.
    .sort(([, one], [, other]) => spread(one) - spread(other))
    .slice(0, FIELDS_SHOWN)
    .map(([name]) => name);
}

/** Confidence in words; nothing if the gallery is too small. */
export function words(hit) {
  return hit.confidence?.word ?? "";
}

function labelOf(hit) {
  const word = words(hit);
  const inliers = hit.rerank?.inliers ? `, ${hit.rerank.inliers} matches verified` : "";
  return `${hit.image.name}, similarity ${hit.similarity.toFixed(3)}${word && `, ${word}`}${inliers}`;
}

function facts(hit, fields) {
  const { image, similarity } = hit;
  const bar = el("span", { class: "bar" }, el("i"));
  bar.firstChild.style.width = `${100 * Math.max(0, Math.min(1, similarity))}%`;
  const verified = hit.rerank?.inliers ? ` · ${hit.rerank.inliers} verified` : "";
  const word = words(hit);
  const known = fields.filter((name) => name in image.metadata);
  return el(
    "div",
    { class: "facts" },
    bar,
    el("p", {}, el("b", {}, similarity.toFixed(3)), `${verified}${word && ` · ${word}`}`),
    el("p", { class: "name" }, image.name),
    known.length ? el("p", {}, known.map((name) => shown(image.metadata[name])).join(" · ")) : null,
  );
}

function buttons(hit, actions) {
  const button = (what, label, key) =>
    el(
      "button",
      {
        type: "button",
        tabindex: "-1",
        "aria-label": `${label}: ${hit.image.name}`,
        title: `${label} (${key})`,
        onclick: (event) => actions[what](hit.image, event.currentTarget),
      },
      label,
    );
  return el(
    "div",
    { class: "actions" },
    button("more", "Search with this", "m"),
    button("not", "Exclude", "x"),
    button("open", "Open", "Enter"),
  );
}

/** The region that matched, where it is not the whole image. */
function outline(hit) {
  if (!hit.region) return null;
  const box = el("span", { class: "outline" });
  ["left", "top", "width", "height"].forEach((side, place) => {
    box.style[side] = `${100 * hit.region[place]}%`;
  });
  return box;
}

function lift(item) {
  for (const other of item.parentElement.querySelectorAll(".lifted")) other.classList.remove("lifted");
  item.classList.add("lifted");
}
