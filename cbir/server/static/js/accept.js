// Accepts images by drop, by paste, or by choosing a file, anywhere on the page.

import * as dropped from "./dropped.js";
import { byId } from "./dom.js";

const MOST = 16;

/** Call `accepted` with references to the images, `failed` with an Error when there are none. */
export function acceptImages(accepted, failed) {
  const area = byId("drop");
  const input = byId("file");
  const take = async (files) => {
    const images = [...files].filter((file) => file.type.startsWith("image/") || /\.(tiff?|heic|avif)$/i.test(file.name));
    if (images.length) accepted(await Promise.all(images.slice(0, MOST).map(dropped.keep)));
    else if (files.length) failed(new Error(`${files[0].name || "this"} is not an image`));
  };
  area.addEventListener("click", () => input.click());
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      input.click();
    }
  });
  input.addEventListener("change", async () => {
    await take(input.files);
    input.value = ""; // the same file may be chosen again
  });
  document.addEventListener("paste", (event) => take(event.clipboardData?.files ?? []));
  let depth = 0;
  const highlight = (on) => document.body.classList.toggle("dropping", on);
  document.addEventListener("dragenter", (event) => {
    if (event.dataTransfer?.types.includes("Files")) highlight(++depth > 0);
  });
  document.addEventListener("dragleave", (event) => {
    if (event.dataTransfer?.types.includes("Files")) highlight(--depth > 0);
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    depth = 0;
    highlight(false);
    take(event.dataTransfer?.files ?? []);
  });
}
