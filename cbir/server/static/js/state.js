// The state of the page, stored in its address: every state is a link, and back works.

/**
 * The state of the page.
 *
 * wanted, unwanted: image references, `id:12` or `upload:<digest>`
 * crop: [x, y, w, h] as fractions, or null     where: conditions as text, all must hold
 * rerank, group: names or ""                   count: how many hits are shown
 * open: id of the image in the panel, or null  view: "search" or "duplicates"
 * verify: whether duplicates are looked for among parts of pictures, too
 */
export const PAGE_SIZE = 40;

const EMPTY = {
  view: "search",
  wanted: [],
  unwanted: [],
  crop: null,
  where: [],
  rerank: "",
  group: "",
  count: PAGE_SIZE,
  open: null,
  verify: false,
};

const REFERENCE = /^(id:\d{1,18}|upload:[0-9a-f]{8,128})$/;

/** Parse the state in an address; invalid parts are left out. */
export function parse(search) {
  const asked = new URLSearchParams(search);
  const references = (name) => asked.getAll(name).filter((text) => REFERENCE.test(text));
  const open = asked.get("open") ?? "";
  const count = Number.parseInt(asked.get("n") ?? "", 10);
  return {
    ...EMPTY,
    view: asked.get("view") === "duplicates" ? "duplicates" : "search",
    wanted: references("q"),
    unwanted: references("not"),
    crop: parseCrop(asked.get("crop")),
    where: asked.getAll("where").filter((text) => text.trim()),
    rerank: asked.get("rerank") ?? "",
    group: asked.get("group") ?? "",
    count: count > 0 ? Math.min(count, 1000) : PAGE_SIZE,
    verify: asked.get("verify") === "1",
    open: /^\d{1,18}$/.test(open) ? Number(open) : null,
  };
}

/** The address of a state, as a query string. */
export function format(state) {
  const asked = new URLSearchParams();
  if (state.view !== "search") asked.set("view", state.view);
  for (const reference of state.wanted) asked.append("q", reference);
  for (const reference of state.unwanted) asked.append("not", reference);
  if (state.crop) asked.set("crop", state.crop.map((part) => part.toFixed(4)).join(","));
  for (const condition of state.where) asked.append("where", condition);
  if (state.rerank) asked.set("rerank", state.rerank);
  if (state.group) asked.set("group", state.group);
  if (state.count !== PAGE_SIZE) asked.set("n", String(state.count));
  if (state.verify) asked.set("verify", "1");
  if (state.open !== null) asked.set("open", String(state.open));
  return `?${asked}`;
}

/** A new search for these images: filters and options stay, all else is reset. */
export function searching(state, wanted) {
  const { where, rerank, group } = state;
  return { ...EMPTY, wanted, where, rerank, group };
}

/** The query alone: two states that agree in it show the same hits. */
export function queryOf(state) {
  return format({ ...state, open: null });
}

function parseCrop(text) {
  const parts = (text ?? "").split(",").map(Number);
  const inside = parts.length === 4 && parts.every((part) => part >= 0 && part <= 1);
  if (!inside || parts[2] <= 0 || parts[3] <= 0) return null;
  const [x, y, width, height] = parts;
  return [x, y, Math.min(width, 1 - x), Math.min(height, 1 - y)];
}
