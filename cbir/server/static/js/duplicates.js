// The view of duplicates in groups: keep all, or keep one and remove the others.

import * as api from "./api.js";
import { announce, bytes, el, number } from "./dom.js";
import { picture } from "./picture.js";

const PAGE = 20;
const POLL_MS = 700;

let turn = 0;

/** Draw the view; `actions.open` shows an image, `guarded` runs what asks the server. */
export function showDuplicates(section, verify, tools) {
  if (section.dataset.shown === String(verify)) return;
  section.dataset.shown = String(verify);
  turn += 1;
  tools.guarded(() => draw(section, verify, tools, turn)).finally(() => {
    // Left, or failed, before the response: the next visit sends the request again.
    if (!section.querySelector(".done")) delete section.dataset.shown;
  });
}

async function draw(section, verify, tools, own) {
  const found = await ready(section, verify, own);
  if (!found) return;
  const title = found.total
    ? `${number(found.total)} groups of duplicates; ${number(found.redundant)} images (${bytes(found.bytes_saved)}) could be removed`
    : "No duplicates found";
  const list = el("div", {});
  const more = el("button", { type: "button", class: "more", hidden: true }, "Show more");
  section.replaceChildren(
    el("h2", { class: "done" }, title),
    el(
      "p",
      { class: "quiet" },
      "No file is deleted here: an image that is taken out of the gallery keeps its file.",
    ),
    verifySwitch(verify, tools.go),
    list,
    more,
    alikeImages(found, tools),
  );
  let offset = 0;
  const append = ({ groups, total }) => {
    list.append(...groups.map((group) => drawGroup(group, tools)));
    offset += PAGE;
    more.hidden = offset >= total;
  };
  append(found);
  more.addEventListener("click", () =>
    tools.guarded(async () => {
      const next = await api.duplicates(offset, PAGE, verify);
      if (next.groups) append(next);
    }),
  );
  announce(title);
}

/** Pairs that look alike and are not proven to be copies: to look at, with nothing to remove. */
function alikeImages({ alike = [], alike_total: total = 0 }, tools) {
  if (!alike.length) return "";
  const pair = ({ images, reason }) =>
    el(
      "li",
      {},
      images.map((image) =>
        el(
          "button",
          {
            type: "button",
            class: "plain",
            "aria-label": `Open ${image.name}`,
            onclick: (event) => tools.actions.open(image, event.currentTarget),
          },
          picture(image, 120, { alt: "" }),
        ),
      ),
      el("span", { class: "quiet" }, reason),
    );
  return el(
    "section",
    { "aria-label": "Alike, not proven" },
    el("h3", {}, `Alike, not proven to be copies: ${number(total)} pairs`),
    el("ul", { class: "members" }, alike.map(pair)),
  );
}

/** The first groups, once the search has finished; shows its progress until then. */
async function ready(section, verify, own) {
  const line = el("p", { class: "quiet", role: "status" }, "Looking for duplicates …");
  section.replaceChildren(line);
  for (;;) {
    const found = await api.duplicates(0, PAGE, verify);
    if (own !== turn || section.hidden) return null;
    // An older result is shown after a change of the gallery, unless all its images are gone.
    if (found.groups && (found.current || found.groups.length)) return found;
    if (!found.groups && found.total) {
      line.textContent = `Looking for duplicates: ${found.stage} ${number(found.done)} / ${number(found.total)}`;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (own !== turn || section.hidden) return null;
  }
}

function verifySwitch(verify, go) {
  const box = el("input", { type: "checkbox", checked: verify });
  box.addEventListener("change", () => go({ verify: box.checked }));
  return el("label", { class: "switch" }, box, " parts and frames, too (slower)");
}

function drawGroup(group, tools) {
  const images = [group.keeper, ...group.others];
  const ids = images.map((image) => image.id);
  const keepAll = el(
    "button",
    { type: "button", onclick: () => tools.guarded(() => dismiss(box, ids)) },
    "keep all: no duplicates",
  );
  const box = el(
    "section",
    { class: "pair-group", "aria-label": `${ids.length} copies of ${group.keeper.name}` },
    el("p", { class: "quiet" }, why(group)),
    el(
      "ul",
      { class: "members" },
      images.map((image) => member(image, images, tools, (line) => box.replaceWith(line))),
    ),
    el("div", { class: "actions" }, keepAll),
  );
  return box;
}

function member(image, images, { actions, guarded }, replaceGroup) {
  const others = images.filter((one) => one.id !== image.id);
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
    el(
      "span",
      { class: "quiet" },
      `${number(image.width)} × ${number(image.height)} · ${bytes(image.size)}`,
    ),
    el("span", { class: "keeper" }, image === images[0] ? "suggested to keep" : ""),
    el(
      "button",
      {
        type: "button",
        "aria-label": `Keep ${image.name}, take the others out`,
        onclick: () => guarded(() => keepOnly(image, others, replaceGroup)),
      },
      "keep this one only",
    ),
  );
}

function why(group) {
  const words = {
    exact: "the same file",
    near: "the same picture",
    verified: "a part of it, or it in a frame",
  };
  const forms = [...new Set(group.evidence.map((one) => one.form).filter(Boolean))];
  return [...group.kinds.map((kind) => words[kind]), ...forms].join(", ");
}

async function dismiss(box, ids) {
  await api.dismiss(ids);
  const undo = el(
    "button",
    {
      type: "button",
      class: "plain",
      onclick: async () => {
        await api.dismiss(ids, { undo: true });
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

async function keepOnly(image, others, replaceGroup) {
  const names = others.map((one) => one.name).join(", ");
  const question = `Take ${names} out of the gallery? Files on disk stay; uploaded ones go.`;
  if (!window.confirm(question)) return;
  for (const other of others) await api.remove(other.id);
  const message = `${image.name} kept; ${others.length} taken out.`;
  const line = el("p", { class: "quiet pair-group", tabindex: "-1" }, message);
  replaceGroup(line);
  line.focus();
  announce(message);
}
