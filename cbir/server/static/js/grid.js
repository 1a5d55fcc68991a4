// A justified grid: rows of one height, edge to edge, aspect ratios kept, nothing cropped.

const GAP = 8;
/** Target height of rows for a width in pixels. */
const rowHeight = (width) => (width < 500 ? 130 : width < 900 ? 170 : 220);

/**
 * Sizes for images of these aspect ratios (width / height) in rows `width` pixels wide and about
 * `target` high. Each row is scaled to fill its width; the last one keeps the height aimed at.
 */
export function justify(aspects, width, target, gap = GAP) {
  const sizes = [];
  let row = [];
  let sum = 0;
  const finish = (height) => {
    for (const aspect of row) sizes.push({ width: aspect * height, height });
    row = [];
    sum = 0;
  };
  for (const aspect of aspects) {
    // Break before the image if that leaves the row nearer to the height aimed at.
    const without = (width - gap * (row.length - 1)) / sum;
    const including = (width - gap * row.length) / (sum + aspect);
    if (row.length && including < target && without / target < target / including) finish(without);
    row.push(aspect);
    sum += aspect;
  }
  if (row.length) finish(Math.min(target, (width - gap * (row.length - 1)) / sum));
  return sizes;
}

/** A panorama or a strip would fill, or vanish from, its row: its box is bounded, not its image. */
export function aspectOf(image) {
  const aspect = image.height > 0 ? image.width / image.height : 1;
  return Math.min(Math.max(aspect, 0.4), 3);
}

/** Lay out a list whose items carry `data-aspect`, now and whenever its width changes. */
export function keepJustified(list) {
  const layOut = () => {
    const items = [...list.children];
    const width = list.clientWidth;
    if (!items.length || !width) return;
    const aspects = items.map((item) => Number(item.dataset.aspect));
    let x = 0;
    justify(aspects, width, rowHeight(width)).forEach((size, place) => {
      const { style, dataset } = items[place];
      // Rounded down: a sum of widths above the row's would wrap its last image.
      style.width = `${Math.floor(size.width * 100) / 100}px`;
      style.height = `${size.height}px`;
      // What unfolds from a tile must not leave the page.
      if (x + size.width > width + 1) x = 0;
      const first = x === 0;
      x += size.width + GAP;
      dataset.edge = first ? "left" : x > width - GAP - 1 ? "right" : "";
    });
  };
  new ResizeObserver(layOut).observe(list);
  new MutationObserver(layOut).observe(list, { childList: true });
}

/** The item above or below another one in a grid whose rows have different numbers of items. */
export function neighbourRow(items, current, direction) {
  const from = current.getBoundingClientRect();
  const middle = from.left + from.width / 2;
  let best = null;
  let least = Infinity;
  let row = null;
  for (const item of direction > 0 ? items : [...items].reverse()) {
    const box = item.getBoundingClientRect();
    if (direction > 0 ? box.top <= from.top + 1 : box.top >= from.top - 1) continue;
    row ??= box.top;
    if (Math.abs(box.top - row) > 1) break;
    const away = Math.abs(box.left + box.width / 2 - middle);
    if (away < least) [best, least] = [item, away];
  }
  return best;
}
