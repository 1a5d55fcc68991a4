// The panel at the side: one image, its metadata, why it matched, and similar images.

import * as api from "./api.js";
import * as dropped from "./dropped.js";
import { byId, bytes, el, number, shown } from "./dom.js";
import { drawMatches } from "./explain.js";
import { keepJustified } from "./grid.js";
import { picture, thumbnail } from "./picture.js";
import { plainTile } from "./tiles.js";

let returnTo = null;
let current = null;

/** Show an image of the gallery. `actions` as for tiles, and `close`; `linkTo` makes addresses. */
export async function openPanel(id, state, { actions, linkTo, from = null }) {
  const panel = byId("panel");
  returnTo = from ?? returnTo ?? document.activeElement;
  const key = `${id} ${state.wanted} ${state.crop}`;
  if (current === key) return;
  current = key;
  panel.hidden = false;
  panel.replaceChildren(head("", actions), el("div", { class: "large waiting" }));
  panel.focus({ preventScroll: true });
  document.body.classList.add("with-panel");
  try {
    const image = await api.image(id);
    if (current !== key) return;
    panel.setAttribute("aria-label", image.name);
    panel.replaceChildren(
      head(image.name, actions),
      large(image),
      tools(image, actions),
      facts(image),
      ...(state.wanted.length && !state.wanted.includes(`id:${id}`) ? [why(image, state)] : []),
      alike(image, linkTo),
    );
    panel.scrollTop = 0;
    panel.querySelector(".close").focus({ preventScroll: true });
  } catch (error) {
    if (current === key) {
      panel.replaceChildren(head("", actions), el("p", { class: "bad" }, error.message));
    }
  }
}

/** Close the panel; focus goes back to where it came from. */
export function closePanel() {
  const panel = byId("panel");
  if (panel.hidden) return;
  panel.hidden = true;
  panel.replaceChildren();
  current = null;
  document.body.classList.remove("with-panel");
  if (returnTo?.isConnected) returnTo.focus({ preventScroll: true });
  returnTo = null;
}

function head(name, actions) {
  return el(
    "header",
    {},
    el("h2", { class: "name" }, name),
    el(
      "button",
      { type: "button", class: "close", "aria-label": "Close (Escape)", onclick: actions.close },
      "×",
    ),
  );
}

function large(image) {
  const full = picture(image, 640, { eager: true });
  full.classList.add("large");
  return el("a", { href: api.addressOf(image.file), target: "_blank", rel: "noopener", title: "the file itself" }, full);
}

function tools(image, actions) {
  return el(
    "div",
    { class: "actions" },
    el("button", { type: "button", onclick: () => actions.more(image) }, "Search with this"),
    el("button", { type: "button", onclick: () => actions.wanted(image) }, "Add"),
    el("button", { type: "button", onclick: () => actions.not(image) }, "Exclude"),
  );
}

function facts(image) {
  const rows = Object.entries(image.metadata).map(([name, value]) => [name, shown(value)]);
  rows.push(["size", `${number(image.width)} × ${number(image.height)} pixels, ${bytes(image.size)}`]);
  if (image.key) rows.push(["key", image.key]);
  rows.push(["id", String(image.id)]);
  return el(
    "dl",
    {},
    rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]),
  );
}

/** Geometric verification costs a tenth of a second or two: on demand. */
function why(image, state) {
  const section = el("section", {}, el("h3", {}, "Why it matched"));
  const button = el("button", { type: "button" }, "show the verified matches");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const reference = state.wanted[0];
      const crop = state.wanted.length === 1 ? state.crop : null;
      const [found, left, right] = await Promise.all([
        api.matches(reference, crop, image.id),
        queryPicture(reference, crop),
        loaded(thumbnail(image, 640)),
      ]);
      button.replaceWith(drawMatches(left, right, found));
    } catch (error) {
      button.replaceWith(el("p", { class: "bad" }, error.message));
    }
  });
  section.append(button);
  return section;
}

/** The query, or the region of it that was searched with, as a loaded image. */
async function queryPicture(reference, crop) {
  let address;
  if (reference.startsWith("id:")) {
    address = thumbnail(await api.image(Number(reference.slice(3))), 640);
  } else {
    const file = await dropped.get(reference);
    address = URL.createObjectURL(file ?? new Blob());
  }
  const whole = await loaded(address);
  if (!crop) return whole;
  const [x, y, width, height] = crop;
  const canvas = el("canvas", {
    width: Math.max(1, Math.round(width * whole.naturalWidth)),
    height: Math.max(1, Math.round(height * whole.naturalHeight)),
  });
  canvas
    .getContext("2d")
    .drawImage(whole, -x * whole.naturalWidth, -y * whole.naturalHeight);
  return loaded(canvas.toDataURL());
}

function loaded(address) {
  return new Promise((resolve, reject) => {
    const image = el("img", { src: address, alt: "" });
    image.addEventListener("load", () => resolve(image), { once: true });
    image.addEventListener("error", () => reject(new Error("this browser cannot show the image")), {
      once: true,
    });
  });
}

function alike(image, linkTo) {
  const list = el("ul", { class: "grid small", "aria-label": "Similar images" });
  const section = el("section", { hidden: true }, el("h3", {}, "Similar"), list);
  api.recommendations(image.id).then(
    (found) => {
      if (!found.length) return;
      section.hidden = false;
      list.replaceChildren(
        ...found.map((one) => plainTile(one.image, linkTo(one.image), one.image.name)),
      );
      keepJustified(list);
    },
    () => {}, // the image itself is there; what is like it is an extra
  );
  return section;
}
