// The duplicates of the gallery in groups: keep all, or keep one and take the others out.

import * as api from "./api.js";
import { announce, el, number } from "./dom.js";
import { picture } from "./picture.js";

const PAGE = 20;
const POLL_MS = 700;

let drawing = 0;

/** Draw the view; `actions.open` shows an image, `guarded` runs what asks the server. */
export function showDuplicates(section, { actions, guarded }) {
  if (section.dataset.shown) return;
  section.dataset.shown = "yes";
  drawing += 1;
  guarded(() => draw(section, actions, guarded, drawing)).finally(() => {
    if (!section.querySelector(".pair-group, .done")) delete section.dataset.shown;
  });
}

/** Have the next visit ask the server again. */
export function forgetDuplicates(section) {
  drawing += 1;
  delete section.dataset.shown;
}

async function draw(section, actions, guarded, turn) {
  const found = await ready(section, turn);
  if (!found || turn !== drawing) return;
  const title = found.total
    ? `${number(found.total)} groups of duplicates; ${number(found.redundant)} images (${megabytes(found.bytes_saved)}) could go`
    : "No duplicates found.";
  const list = el("div", {});
  const more = el("button", { type: "button", class: "more", hidden: true }, "Show more");
  section.replaceChildren(
    el("h2", { class: "done" }, title),
    el("p", { class: "quiet" }, "Nothing is deleted here: an image that is taken out of the gallery keeps its file."),
    list,
    more,
  );
  let shown = 0;
  const append = (groups, total) => {
    list.append(...groups.map((group) => drawGroup(group, actions, guarded)));
    shown += groups.length;
    more.hidden = shown >= total;
  };
  append(found.groups, found.total);
  more.addEventListener("click", () =>
    guarded(async () => {
      const next = await api.duplicates(shown, PAGE);
      if (next.state === "ready") append(next.groups, next.total);
    }),
  );
  announce(title);
}

/** The first groups once the server has looked at all images; says how far it is until then. */
async function ready(section, turn) {
  const line = el("p", { class: "quiet", role: "status" }, "Looking for duplicates …");
  section.replaceChildren(line);
  for (;;) {
    const found = await api.duplicates(0, PAGE);
    if (turn !== drawing) return null;
    if (found.state === "ready") return found;
    if (found.total) {
      line.textContent = `Looking for duplicates: ${found.stage} ${number(found.done)} / ${number(found.total)}`;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (section.hidden) return null;
  }
}

function drawGroup(group, actions, guarded) {
  const ids = group.images.map((image) => image.id);
  const box = el("section", { class: "pair-group", "aria-label": `${ids.length} copies of ${group.images[0].name}` });
  const members = el(
    "ul",
    { class: "members" },
    group.images.map((image, place) => member(image, place, group, actions, guarded, box)),
  );
  const keepAll = el(
    "button",
    { type: "button", onclick: () => guarded(() => dismiss(box, ids)) },
    "keep all: no duplicates",
  );
  box.append(el("p", { class: "quiet" }, why(group)), members, el("div", { class: "actions" }, keepAll));
  return box;
}

function member(image, place, group, actions, guarded, box) {
  const others = group.images.filter((one) => one.id !== image.id);
  return el(
    "li",
    {},
    el(
      "button",
      {
        type: "button",
        class: "plain",
        "aria-label": `Open ${image.name}`,
        onclick: (event) => actions.open(image, event.currentTarget),
      },
      picture(image, 200, { alt: "" }),
    ),
    el("span", { class: "name" }, image.name),
    el("span", { class: "quiet" }, `${number(image.width)} × ${number(image.height)} · ${megabytes(image.size)}`),
    place === 0 ? el("span", { class: "keeper" }, "suggested to keep") : null,
    el(
      "button",
      {
        type: "button",
        "aria-label": `Keep ${image.name}, take the others out`,
        onclick: () => guarded(() => keepOnly(box, image, others)),
      },
      "keep this one only",
    ),
  );
}

function why(group) {
  const words = { exact: "the same file", near: "the same picture", verified: "a part, or in a frame" };
  return group.kinds.map((kind) => words[kind] ?? kind).join(", ");
}

async function dismiss(box, ids) {
  await api.dismiss(ids);
  const undo = el(
    "button",
    {
      type: "button",
      class: "plain",
      onclick: async () => {
        await api.undismiss(ids);
        line.replaceWith(box);
      },
    },
    "undo",
  );
  const line = el("p", { class: "quiet pair-group" }, `${ids.length} images kept; they will not be shown again. `, undo);
  box.replaceWith(line);
  undo.focus();
  announce("kept");
}

async function keepOnly(box, image, others) {
  const names = others.map((one) => one.name).join(", ");
  if (!window.confirm(`Take ${names} out of the gallery? Files on disk stay; uploaded ones go.`)) return;
  for (const other of others) await api.remove(other.id);
  const line = el("p", { class: "quiet pair-group", tabindex: "-1" }, `${image.name} kept; ${others.length} taken out.`);
  box.replaceWith(line);
  line.focus();
  announce("taken out");
}

function megabytes(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
