// A box drawn on the query to search for that detail: with a pointer, or with the arrow keys.

import { announce, el } from "./dom.js";

const LEAST = 0.04;
const STEP = 0.04;

/**
 * A surface over an image on which a region can be drawn.
 * `crop` is [x, y, width, height] as fractions or null; `changed` is called with a new one.
 */
export function cropSurface(image, crop, changed) {
  const box = el("span", { class: "crop" });
  const surface = el(
    "div",
    {
      class: "crop-surface",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "region selector",
      "aria-label":
        "Search for a detail: drag a box, or use the arrow keys to move it and Shift with arrow " +
        "keys to size it; Enter searches, Backspace clears.",
    },
    image,
    box,
  );
  let current = crop;
  const show = () => {
    surface.classList.toggle("cropped", current !== null);
    if (!current) return;
    ["left", "top", "width", "height"].forEach((side, place) => {
      box.style[side] = `${100 * current[place]}%`;
    });
  };
  pointer(surface, (next, done) => {
    current = next ?? crop;
    show();
    if (done && next) changed(next);
  });
  surface.addEventListener("keydown", (event) => {
    const next = keyed(event, current);
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "Enter" || next === null) {
      changed(next);
      return;
    }
    current = next;
    show();
    announce(`region ${current.map((part) => `${Math.round(100 * part)} %`).join(", ")}`);
  });
  show();
  return surface;
}

/** The region after a key press; null clears it, undefined if the key is not for the box. */
function keyed(event, current) {
  if (event.key === "Backspace" || event.key === "Delete") return null;
  if (event.key === "Enter") return current ?? undefined;
  const [dx, dy] =
    { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [];
  if (dx === undefined) return undefined;
  const [x, y, width, height] = current ?? [0.25, 0.25, 0.5, 0.5];
  if (event.shiftKey) {
    return [
      x,
      y,
      clamp(width + dx * STEP, LEAST, 1 - x),
      clamp(height + dy * STEP, LEAST, 1 - y),
    ];
  }
  return [clamp(x + dx * STEP, 0, 1 - width), clamp(y + dy * STEP, 0, 1 - height), width, height];
}

/** Follow a drag; `drawn(region, done)` gets null when the box is too small. */
function pointer(surface, drawn) {
  let start = null;
  const place = (event) => {
    const area = surface.getBoundingClientRect();
    return [
      clamp((event.clientX - area.left) / area.width, 0, 1),
      clamp((event.clientY - area.top) / area.height, 0, 1),
    ];
  };
  const region = (event) => {
    const [x, y] = place(event);
    const [left, top] = [Math.min(x, start[0]), Math.min(y, start[1])];
    const [width, height] = [Math.abs(x - start[0]), Math.abs(y - start[1])];
    return width < LEAST || height < LEAST ? null : [left, top, width, height];
  };
  surface.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    start = place(event);
    surface.setPointerCapture(event.pointerId);
    event.preventDefault();
    surface.focus({ preventScroll: true });
  });
  surface.addEventListener("pointermove", (event) => start && drawn(region(event), false));
  surface.addEventListener("pointerup", (event) => {
    if (!start) return;
    const found = region(event);
    start = null;
    drawn(found, true);
  });
  surface.addEventListener("pointercancel", () => {
    start = null;
    drawn(null, false);
  });
}

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
