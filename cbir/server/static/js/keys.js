// Keyboard shortcuts: / to the drop area, arrows through a grid, Enter opens, m more like this, x not this,
// Escape back.

import { byId, isTyping } from "./dom.js";
import { neighbourRow } from "./grid.js";

/** Listen on the whole page. `hitOf` gives the hit of an image's id. */
export function listenToKeys({ actions, hitOf }) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") {
      escape(actions);
      return;
    }
    if (isTyping(event.target)) return;
    if (event.key === "/") {
      event.preventDefault();
      const area = byId("drop");
      if (area.closest("[hidden]")) byId("file").click();
      else area.focus();
      return;
    }
    const face = event.target.closest?.(".face");
    if (!face) return;
    const next = neighbour(face, event.key);
    if (next) {
      event.preventDefault();
      move(face, next);
      return;
    }
    const hit = hitOf(Number(face.dataset.id));
    if (!hit || !face.closest("#grid")) return;
    if (event.key === "m") actions.more(hit.image);
    else if (event.key === "x") actions.not(hit.image);
    else if (event.key === "w") actions.wanted(hit.image);
  });
}

function escape(actions) {
  if (!byId("panel").hidden) actions.close();
  else if (location.search) history.back();
}

function neighbour(face, key) {
  const faces = [...face.closest(".grid").querySelectorAll(".face")];
  const place = faces.indexOf(face);
  if (key === "ArrowRight") return faces[place + 1];
  if (key === "ArrowLeft") return faces[place - 1];
  if (key === "ArrowDown") return neighbourRow(faces, face, 1);
  if (key === "ArrowUp") return neighbourRow(faces, face, -1);
  if (key === "Home") return faces[0];
  if (key === "End") return faces.at(-1);
  return null;
}

function move(from, to) {
  if (from.closest("#grid")) [from.tabIndex, to.tabIndex] = [-1, 0];
  to.focus();
  to.scrollIntoView({ block: "nearest" });
}
