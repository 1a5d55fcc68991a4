// Filters as chips made from the gallery's own fields, with counts; numbers get a range.

import * as conditions from "./conditions.js";
import { el, number, shown } from "./dom.js";

const MOST_CHIPS = 8;

/** Draw the chips for a state. `go` is called with a new list of conditions. */
export function drawFilters(bar, state, fields, go) {
  const useful = fields.filter(tellsApart);
  const asked = (field) => conditions.of(field.name, state.where);
  const first = useful.filter((field) => asked(field).length);
  const rest = useful.filter((field) => !asked(field).length);
  const chips = [...first, ...rest].slice(0, Math.max(MOST_CHIPS, first.length));
  const known = new Set(useful.map((field) => field.name));
  const foreign = state.where.filter((condition) => !known.has(conditions.read(condition)?.field));
  bar.replaceChildren(
    ...chips.map((field) => chip(field, asked(field), (own) => {
      go({ where: conditions.replaced(field.name, state.where, own) });
    })),
    ...foreign.map((condition) => plainChip(condition, () => {
      go({ where: state.where.filter((one) => one !== condition) });
    })),
    ...(state.where.length
      ? [el("button", { type: "button", class: "plain", onclick: () => go({ where: [] }) }, "clear")]
      : []),
  );
}

/** Only one chip is unfolded at a time; a click elsewhere or Escape folds it. */
export function foldOutside(bar) {
  const fold = (except) => {
    for (const open of bar.querySelectorAll("details[open]")) if (open !== except) open.open = false;
  };
  bar.addEventListener("toggle", (event) => event.target.open && fold(event.target), true);
  document.addEventListener("click", (event) => bar.contains(event.target) || fold(null));
  bar.addEventListener("keydown", (event) => {
    const open = event.target.closest("details[open]");
    if (event.key !== "Escape" || !open) return;
    event.stopPropagation();
    open.open = false;
    open.querySelector("summary").focus();
  });
}

/** Whether a field sorts images into groups; one whose values are all different names them. */
function tellsApart(field) {
  if (field.type === "text" && field.distinct > field.values.length) {
    return 2 * field.distinct <= field.count;
  }
  return field.values.length > 1 || field.histogram.length > 1;
}

function chip(field, asked, change) {
  const summary = describe(field, asked);
  const ranged = field.type === "number" || field.type === "date";
  return el(
    "details",
    { class: `chip${asked.length ? " on" : ""}` },
    el("summary", {}, summary),
    el("div", { class: "popover" }, ranged ? range(field, asked, change) : choices(field, asked, change)),
  );
}

function plainChip(condition, drop) {
  return el(
    "button",
    { type: "button", class: "chip on", "aria-label": `Remove filter ${condition}`, onclick: drop },
    `${condition} ×`,
  );
}

function describe(field, asked) {
  if (!asked.length) return field.name;
  const parts = asked.map(({ operator, values }) => {
    if (operator === ">=") return `from ${values[0]}`;
    if (operator === "<=") return `to ${values[0]}`;
    return values.join(", ");
  });
  return `${field.name}: ${parts.join(field.type === "list" ? ", " : " ")}`;
}

function choices(field, asked, change) {
  const chosen = new Set(asked.flatMap(({ values }) => values));
  const boxes = field.values.map(({ value, count }) => {
    const text = shown(value);
    return el(
      "label",
      {},
      el("input", {
        type: "checkbox",
        value: text,
        checked: chosen.has(text),
        onchange: (event) => {
          const group = event.target.closest(".popover").querySelectorAll("input:checked");
          change(conditions.anyOf(field.name, [...group].map((box) => box.value), field.type));
        },
      }),
      el("span", {}, text),
      el("span", { class: "quiet" }, number(count)),
    );
  });
  const more = field.distinct - field.values.length;
  return el(
    "fieldset",
    {},
    el("legend", { class: "hidden" }, field.name),
    boxes,
    more > 0 ? el("p", { class: "quiet" }, `and ${number(more)} more`) : null,
  );
}

function range(field, asked, change) {
  const end = (operator) => asked.find((one) => one.operator === operator)?.values[0] ?? "";
  const [least, greatest] = [end(">="), end("<=")];
  const type = field.type === "number" ? "number" : "text";
  const input = (label, value, hint) =>
    el("label", {}, label, el("input", {
      type,
      value,
      placeholder: shown(hint ?? ""),
      ...(type === "number" && { step: "any" }),
      ...(type === "text" && { pattern: "\\d{4}(-\\d\\d(-\\d\\d.*)?)?", title: "a date as 2026-11 or 2026-11-23" }),
    }));
  const from = input("from", least, field.least);
  const to = input("to", greatest, field.greatest);
  const apply = () => {
    const [low, high] = [from, to].map((label) => label.querySelector("input"));
    if (low.reportValidity() && high.reportValidity()) {
      change(conditions.between(field.name, low.value.trim(), high.value.trim()));
    }
  };
  return el(
    "form",
    {
      onsubmit: (event) => {
        event.preventDefault();
        apply();
      },
    },
    histogram(field, least, greatest, (low, high) => change(conditions.between(field.name, low, high))),
    el("div", { class: "ends" }, from, to),
    el("button", { type: "submit" }, "apply"),
  );
}

/** Bars of a field's values; a bar can be chosen. Bars outside of the range are pale. */
function histogram(field, least, greatest, choose) {
  const { histogram: bars } = field;
  if (bars.length < 2) return null;
  const most = Math.max(...bars.map((bar) => bar.count));
  const compare = field.type === "number" ? Number : String;
  return el(
    "div",
    { class: "histogram" },
    bars.map((bar, place) => {
      const ends = place + 1 < bars.length ? bars[place + 1].least : field.greatest;
      const inside =
        (least === "" || compare(ends) >= compare(least)) &&
        (greatest === "" || compare(bar.least) <= compare(greatest));
      const column = el("button", {
        type: "button",
        class: inside ? "inside" : "",
        title: `${shown(bar.least)} – ${shown(ends)}: ${number(bar.count)}`,
        "aria-label": `${field.name} ${shown(bar.least)} to ${shown(ends)}, ${bar.count} images`,
        onclick: () => choose(shown(bar.least), shown(ends)),
      });
      column.style.setProperty("--height", `${Math.max(4, (100 * bar.count) / most)}%`);
      return column;
    }),
  );
}
