// The one module that knows the HTTP API. Every failure is an ApiError in words for people.

import * as dropped from "./dropped.js";

// Relative, so that the page works below a proxy's path, too.
const BASE = new URL(`${document.documentElement.dataset.root ?? ""}api/v1/`, document.baseURI);
const BUSY_TRIES = 3;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const gallery = () => ask("gallery");
export const fields = async () => (await ask("fields")).fields;
export const image = (id) => ask(`images/${id}`);
export const sample = async (limit) => (await ask(`images?sample=true&limit=${limit}`)).images;
export const recommendations = async (id) =>
  (await ask(`images/${id}/recommendations?k=12`)).recommendations;

/** Hits `offset` to `offset + k` of the search that a state describes. */
export async function search(state, offset, k, signal) {
  const ids = (references) =>
    references.filter((one) => one.startsWith("id:")).map((one) => Number(one.slice(3)));
  const options = {
    ids: ids(state.wanted),
    unwanted_ids: ids(state.unwanted),
    where: state.where,
    k,
    offset,
    ...(state.crop && state.wanted.length === 1 && { crop: state.crop }),
    ...(state.rerank && { rerank: state.rerank }),
    ...(state.group && { group_by: state.group }),
  };
  const form = new FormData();
  for (const [name, references] of [
    ["image", state.wanted],
    ["unwanted_image", state.unwanted],
  ]) {
    for (const reference of references) {
      if (reference.startsWith("upload:")) form.append(name, await fileOf(reference));
    }
  }
  if (!form.has("image") && !form.has("unwanted_image")) {
    return ask("search", { ...posted(options), signal });
  }
  form.append("options", JSON.stringify(options));
  return ask("search/upload", { method: "POST", body: form, signal });
}

/** The verified matches between a query and an image of the gallery. */
export async function matches(reference, crop, id) {
  if (reference.startsWith("id:") && !crop) {
    return ask(`images/${id}/matches?query_id=${reference.slice(3)}`);
  }
  const form = new FormData();
  form.append("image", await fileOf(reference));
  form.append("image_id", String(id));
  if (crop) form.append("crop", crop.join(","));
  return ask("search/matches", { method: "POST", body: form });
}

/** Show the server its token once; a cookie that pages cannot read remembers it. */
export const signIn = (token) => ask("session", posted({ token }));

/** An address that the API has given, below the path at which this page is. */
export const addressOf = (given) => new URL(given.replace(/^.*?\/api\/v1\//, ""), BASE).href;

async function fileOf(reference) {
  if (reference.startsWith("id:")) {
    const shown = await image(Number(reference.slice(3)));
    return (await send(addressOf(shown.file))).blob();
  }
  const file = await dropped.get(reference);
  if (!file) {
    throw new ApiError(0, "this search began with an image that was dropped in another browser, or long ago; drop it again");
  }
  return file;
}

function posted(body) {
  const headers = { "Content-Type": "application/json", "X-Requested-With": "cbir" };
  return { method: "POST", body: JSON.stringify(body), headers };
}

async function ask(path, options = {}) {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

async function send(path, options = {}) {
  for (let tries = 1; ; tries += 1) {
    let response;
    try {
      response = await fetch(new URL(path, BASE), options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(0, "the server cannot be reached; is 'cbir serve' still running?");
    }
    if (response.ok) return response;
    if (response.status === 503 && tries < BUSY_TRIES) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(seconds, 5)));
      continue;
    }
    throw new ApiError(response.status, await reasonOf(response));
  }
}

async function reasonOf(response) {
  try {
    return (await response.json()).detail || `the server answered ${response.status}`;
  } catch {
    return `the server answered ${response.status}`;
  }
}

/** Groups of duplicates; while the search runs, its progress, without `groups`. */
export const duplicates = (offset, limit, verify) =>
  ask(`duplicates?offset=${offset}&limit=${limit}&verify=${verify}`);

/** Mark these images as no duplicates of one another, or with `undo` remove the mark. */
export function dismiss(ids, { undo = false } = {}) {
  const pairs = ids.flatMap((first, place) => ids.slice(place + 1).map((second) => [first, second]));
  return ask("duplicates/dismissals", posted({ pairs, undo }));
}

/** Remove an image from the gallery. Its file stays, unless it was uploaded. */
export const remove = (id) =>
  send(`images/${id}`, { method: "DELETE", headers: { "X-Requested-With": "cbir" } });
