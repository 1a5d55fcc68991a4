// Filters in the address are the command line's: `category in mug,cup`, `price>=10`.

const CONDITION = /^\s*(?:"((?:[^"]|"")*)"|([^\s"'<>=!]+))\s*(>=|<=|=|\bin\b|\bhas\b)\s*(.+)$/su;
const ITEM = /\s*(?:"((?:[^"]|"")*)"|([^,]*[^,\s]))\s*(?:,|$)/suy;

/** A field or value as written in a condition, in quotes if it would be split otherwise. */
function quoted(text) {
  const plain = /^[^\s"'<>=!,]+$/u.test(text) && !/^(in|has|not|exists)$/u.test(text);
  return plain ? text : `"${text.replaceAll('"', '""')}"`;
}

/** A condition as {field, operator, values}; null for one that the page does not write. */
export function read(condition) {
  const found = CONDITION.exec(condition);
  if (!found) return null;
  const [, inQuotes, plain, operator, rest] = found;
  const field = inQuotes === undefined ? plain : inQuotes.replaceAll('""', '"');
  const values = items(rest);
  if (!values || (values.length > 1 && operator !== "in")) return null;
  return { field, operator, values };
}

function items(text) {
  const values = [];
  ITEM.lastIndex = 0;
  while (ITEM.lastIndex < text.length) {
    const found = ITEM.exec(text);
    if (!found) return null;
    values.push(found[1] === undefined ? found[2] : found[1].replaceAll('""', '"'));
  }
  return values;
}

/** The conditions on a field, selected from all conditions. */
export function of(field, where) {
  return where.map(read).filter((condition) => condition?.field === field);
}

/** All conditions, with those on a field replaced. */
export function replaced(field, where, conditions) {
  return [...where.filter((condition) => read(condition)?.field !== field), ...conditions];
}

/** Any of these values; of a list, all of them. */
export function anyOf(field, values, type) {
  const name = quoted(field);
  if (type === "list") return values.map((value) => `${name} has ${quoted(value)}`);
  if (values.length > 1) return [`${name} in ${values.map(quoted).join(",")}`];
  return values.map((value) => `${name}=${quoted(value)}`);
}

/** From one number or date to another; an end that is "" is open. */
export function between(field, least, greatest) {
  const name = quoted(field);
  return [
    ...(least === "" ? [] : [`${name}>=${quoted(least)}`]),
    ...(greatest === "" ? [] : [`${name}<=${quoted(greatest)}`]),
  ];
}
