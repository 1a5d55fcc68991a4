// The query: a card with its images, its crop box, and its options folded below.

import * as api from "./api.js";
import { cropSurface } from "./cropbox.js";
import * as dropped from "./dropped.js";
import { el } from "./dom.js";
import { picture } from "./picture.js";

const SIDE = 280;

/** Draw the card for a state. `go` is called with changes of the state. */
export async function drawQuery(card, state, { fields, rerankers }, go) {
  const [main, ...others] = await Promise.all(state.wanted.map(shownImage));
  const unwanted = await Promise.all(state.unwanted.map(shownImage));
  card.replaceChildren(
    ...(main ? [mainImage(main, state, go)] : []),
    ...strip("and like", others, (one) => without(state, "wanted", one), go),
    ...strip("not like", unwanted, (one) => without(state, "unwanted", one), go),
    knobs(state, { fields, rerankers }, go),
  );
}

/** A reference with an element that shows it. */
async function shownImage(reference) {
  if (reference.startsWith("id:")) {
    try {
      const image = await api.image(Number(reference.slice(3)));
      return { reference, name: image.name, element: () => picture(image, SIDE, { eager: true }) };
    } catch (error) {
      return { reference, name: error.message, element: () => gone(error.message) };
    }
  }
  const file = await dropped.get(reference);
  if (!file) return { reference, name: "an image that is gone", element: () => gone("not here any more") };
  return { reference, name: file.name || "pasted image", element: () => ofFile(file) };
}

function ofFile(file) {
  const address = URL.createObjectURL(file);
  const image = el("img", { src: address, alt: file.name || "the query", draggable: "false" });
  image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
  // A TIFF, say, that the server reads and this browser does not.
  image.addEventListener("error", () => image.replaceWith(gone(file.name)), { once: true });
  return image;
}

const gone = (text) => el("span", { class: "gone" }, text);

function mainImage(main, state, go) {
  const image = main.element();
  const alone = state.wanted.length === 1;
  const surface = alone
    ? cropSurface(image, state.crop, (crop) => go({ crop, count: undefined }))
    : el("div", { class: "crop-surface" }, image);
  const hint = state.crop
    ? el("button", { type: "button", class: "plain", onclick: () => go({ crop: null }) }, "whole image")
    : el("span", {}, alone ? "draw a box to search for a detail" : "");
  return el(
    "figure",
    { class: "main-image" },
    surface,
    el("figcaption", { class: "quiet" }, el("span", { class: "name" }, main.name), hint),
  );
}

function without(state, part, reference) {
  return { [part]: state[part].filter((one) => one !== reference) };
}

function strip(title, images, change, go) {
  if (!images.length) return [];
  const items = images.map((one) =>
    el(
      "li",
      {},
      one.element(),
      el(
        "button",
        {
          type: "button",
          class: "away",
          "aria-label": `Leave out ${one.name}`,
          onclick: () => go(change(one.reference)),
        },
        "×",
      ),
    ),
  );
  return [el("div", { class: "strip" }, el("p", { class: "quiet" }, title), el("ul", {}, items))];
}

function knobs(state, { fields, rerankers }, go) {
  const choice = (label, value, options, name) =>
    el(
      "label",
      {},
      label,
      el(
        "select",
        { onchange: (event) => go({ [name]: event.target.value }) },
        options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)),
      ),
    );
  const orders = [["", "Similarity"]].concat(rerankers.map((one) => [one.name, one.label]));
  const groups = [["", "all images"]].concat(
    fields.filter((one) => one.type !== "list").map((one) => [one.name, `one image per ${one.name}`]),
  );
  return el(
    "details",
    { class: "knobs", open: Boolean(state.rerank || state.group) },
    el("summary", {}, "Options"),
    choice("Order by", state.rerank, orders, "rerank"),
    fields.length ? choice("Show", state.group, groups, "group") : null,
  );
}
