// The page: it shows the state in its address, and every change is a new address.

import * as api from "./api.js";
import { acceptImages } from "./accept.js";
import { showDuplicates } from "./duplicates.js";
import { announce, byId, el, number } from "./dom.js";
import { drawFilters, foldOutside } from "./filters.js";
import { keepJustified } from "./grid.js";
import { listenToKeys } from "./keys.js";
import { closePanel, openPanel } from "./panel.js";
import { drawQuery } from "./query.js";
import { askForToken } from "./session.js";
import { format, PAGE_SIZE, parse, queryOf, searching } from "./state.js";
import { placeholders, plainTile, telling, tile } from "./tiles.js";

const STARTERS = 12;
const USUAL_ASPECTS = [1.5, 1, 0.75, 1.33, 1.5, 0.67, 1.33, 1, 1.5, 0.75, 1.33, 1.5];

let state = parse(location.search);
let fields = [];
let rerankers = [];
/** The content of the grid: the query and its hits so far. */
let answered = { query: null, hits: [] };
let searches = new AbortController();

const actions = {
  open: (image, from) => go({ open: image.id }, from),
  more: (image) => navigate(searching(state, [`id:${image.id}`])),
  not: (image) => {
    const reference = `id:${image.id}`;
    if (state.wanted.includes(reference)) return;
    announce(`${image.name} is not wanted; searching again`);
    go({ unwanted: [...new Set([...state.unwanted, reference])], open: null });
  },
  wanted: (image) => {
    announce(`${image.name} is wanted, too; searching again`);
    go({ wanted: [...new Set([...state.wanted, `id:${image.id}`])], crop: null, open: null });
  },
  close: () => go({ open: null }),
};

/** Change the state. A new search is shown from its first hit. */
function go(changes, from = null) {
  const next = { ...state, ...changes };
  next.count = changes.count ?? (queryOf(next) === queryOf(state) ? state.count : PAGE_SIZE);
  if (!next.wanted.length) next.crop = null;
  navigate(next, from);
}

function navigate(next, from = null) {
  const address = format(next);
  if (address !== format(state)) history.pushState(null, "", address);
  state = next;
  show(from);
}

const linkTo = (image) => format(searching(state, [`id:${image.id}`]));

function show(from = null) {
  const asking = state.wanted.length > 0;
  byId("start").hidden = state.view !== "search" || asking;
  byId("search").hidden = state.view !== "search" || !asking;
  byId("duplicates").hidden = state.view !== "duplicates";
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const here = link.dataset.view === state.view;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (state.view === "duplicates") showDuplicates(byId("duplicates"), state.verify, { actions, guarded, go });
  else if (asking) guarded(() => showAnswer());
  if (state.open === null) closePanel();
  else openPanel(state.open, state, { actions, linkTo, from });
}

/** Run a request to the server; on failure show the reason and a next step. */
async function guarded(work) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) {
      if (await askForToken(error.message)) await start();
      return;
    }
    fail(error);
  }
}

function fail(error) {
  const again = el("button", { type: "button", class: "plain", onclick: () => start() }, "try again");
  const place = byId("verdict");
  place.replaceChildren(el("span", { class: "bad" }, error.message), " ", again);
  if (byId("search").hidden) byId("start-title").replaceWith(titleFor(error.message, again));
  byId("grid").replaceChildren();
  byId("grid").removeAttribute("aria-busy");
  byId("more").hidden = true;
  answered = { query: null, hits: [] };
  announce(error.message);
}

function titleFor(message, button) {
  return el("h2", { class: "quiet", id: "start-title" }, el("span", { class: "bad" }, message), " ", button);
}

async function showAnswer() {
  const query = queryOf({ ...state, count: PAGE_SIZE });
  const goOn = query === answered.query;
  if (goOn && answered.hits.length >= state.count) {
    drawFilters(byId("filters"), state, fields, go);
    return;
  }
  searches.abort();
  searches = new AbortController();
  const { signal } = searches;
  const grid = byId("grid");
  grid.setAttribute("aria-busy", "true");
  if (!goOn) {
    window.scrollTo({ top: 0 });
    byId("more").hidden = true;
    byId("verdict").replaceChildren();
    // Known aspect ratios, where the last answer has them, make the nearest guess.
    const aspects = [...grid.children].map((item) => item.dataset.aspect);
    grid.replaceChildren(...placeholders(aspects.length ? aspects : USUAL_ASPECTS));
    drawQuery(byId("query"), state, { fields, rerankers }, go);
    drawFilters(byId("filters"), state, fields, go);
  }
  const before = goOn ? answered.hits : [];
  const found = await api.search(state, before.length, state.count - before.length, signal);
  if (signal.aborted) return;
  const hits = [...before, ...found.hits];
  answered = { query, hits };
  drawHits(hits, before.length);
  drawVerdict(found, hits);
  const full = found.hits.length === state.count - before.length;
  byId("more").hidden = !full;
  grid.removeAttribute("aria-busy");
}

function drawHits(hits, from) {
  const grid = byId("grid");
  const shownFields = telling(hits);
  const tiles = hits
    .slice(from)
    .map((hit) =>
      tile(hit, { actions, fields: shownFields, link: format({ ...state, open: hit.image.id }) }),
    );
  if (from === 0) grid.replaceChildren(...tiles);
  else grid.append(...tiles);
  grid.querySelectorAll(".face").forEach((face, place) => {
    face.tabIndex = place === 0 ? 0 : -1; // one stop for Tab, arrows inside
  });
}

function drawVerdict(found, hits) {
  const line = byId("verdict");
  if (!hits.length) {
    const why = state.where.length ? "No image matches all filters." : "The gallery has no other image.";
    line.replaceChildren([why, ...(found.notes ?? [])].join(" · "));
    announce(why);
    return;
  }
  const took = found.timings_ms;
  const parts = [
    took.embed >= 1 ? `embedded ${took.embed.toFixed(0)} ms` : "",
    `searched in ${took.search.toFixed(1)} ms`,
    took.rerank ? `reranked ${found.reranked} in ${took.rerank.toFixed(0)} ms` : "",
  ];
  const close = found.matched === false ? "No confident match. Most similar images:" : "";
  const notes = (found.notes ?? []).map((note) => el("span", { class: "note" }, ` · ${note}`));
  line.replaceChildren(
    ...(close ? [el("strong", {}, close), " "] : []),
    el("span", {}, parts.filter(Boolean).join(" · ")),
    ...notes,
  );
  announce(`${close ? "no confident match; showing" : "found"} ${hits.length} images; the first is ${hits[0].image.name}`);
}

async function start() {
  await guarded(async () => {
    const [gallery, found] = await Promise.all([api.gallery(), api.fields()]);
    fields = found;
    rerankers = gallery.rerankers;
    byId("size").textContent = `${number(gallery.images)} image${gallery.images === 1 ? "" : "s"}`;
    document.title = `cbir · ${gallery.name}`;
    answered = { query: null, hits: [] };
    show();
    await drawStarters(gallery);
  });
}

async function drawStarters(gallery) {
  const title = byId("start-title");
  title.hidden = false;
  if (gallery.images === 0) {
    title.textContent = "The gallery is empty; 'cbir index FOLDER' fills it, and this page follows.";
    return;
  }
  title.textContent = "or start from one of these";
  const images = await api.sample(STARTERS);
  byId("start-grid").replaceChildren(
    ...images.map((image) => plainTile(image, linkTo(image), `Images like ${image.name}`)),
  );
}

keepJustified(byId("grid"));
keepJustified(byId("start-grid"));
foldOutside(byId("filters"));
byId("more").addEventListener("click", () => go({ count: state.count + PAGE_SIZE }));
acceptImages((references) => navigate(searching(state, references)), fail);
listenToKeys({ actions, hitOf: (id) => answered.hits.find((hit) => hit.image.id === id) });
window.addEventListener("popstate", () => {
  state = parse(location.search);
  show();
});
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-link]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  navigate(parse(new URL(link.href).search));
});
start();
