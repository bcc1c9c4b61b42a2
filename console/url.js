// The whole view in the page's address: filter, order, columns, time zone. So it can be shared and bookmarked.
//
// Owns how a view is written and read. What cannot be read is left out and told. Used by app.js.

import { DEFAULT_COLUMNS, FIELDS } from "./columns.js";

/** @typedef {{filter: unknown, order: string[], columns: string[], zone: string}} View */

/** The order of a view that names none: the newest first. */
export const DEFAULT_ORDER = ["-starttime"];

/**
 * Read a view.
 *
 * @param {string} search  the query of an address
 * @returns {{view: View, wrong: string[]}} `wrong`: what could not be read, for people
 */
export function readView(search) {
  const query = new URLSearchParams(search);
  /** @type {string[]} */
  const wrong = [];
  /** @type {View} */
  const view = { filter: null, order: DEFAULT_ORDER, columns: DEFAULT_COLUMNS, zone: "local" };
  const filter = query.get("filter");
  if (filter !== null) {
    try {
      view.filter = readFilter(filter);
    } catch (error) {
      const why = /** @type {Error} */ (error).message;
      wrong.push(`The filter of this address cannot be read (${why}); all scripts are shown.`);
    }
  }
  const order = query.get("order");
  if (order !== null) view.order = order.split(",").filter((item) => item !== "");
  const named = (query.get("columns") ?? "").split(",").filter((field) => field !== "");
  const columns = named.filter((field) => Object.hasOwn(FIELDS, field)); // not `in`: "constructor" is no column
  if (columns.length < named.length) wrong.push("Some columns of this address are not known; they are left out.");
  if (columns.length > 0) view.columns = [...new Set(columns)];
  const zone = query.get("zone");
  if (zone !== null && isZone(zone)) view.zone = zone;
  else if (zone !== null) wrong.push("The time zone of this address is not known; local time is shown.");
  return { view, wrong };
}

/**
 * Write a view: what differs from the default alone.
 *
 * @param {View} view
 */
export function writeView(view) {
  const query = new URLSearchParams();
  if (view.filter !== null) query.set("filter", JSON.stringify(view.filter));
  if (view.order.join() !== DEFAULT_ORDER.join()) query.set("order", view.order.join(","));
  if (view.columns.join() !== DEFAULT_COLUMNS.join()) query.set("columns", view.columns.join(","));
  if (view.zone !== "local") query.set("zone", view.zone);
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

/**
 * Read a filter's JSON.
 *
 * @param {string} text
 * @returns {unknown} raises SyntaxError, also for a key that comes twice: JSON.parse would take the last one in silence
 */
export function readFilter(text) {
  const filter = JSON.parse(text);
  const keys = [...text.matchAll(/("(?:[^"\\]|\\.)*")\s*(:?)/g)].filter(([, , colon]) => colon !== "");
  const names = keys.map(([, name]) => JSON.parse(name ?? ""));
  const again = names.find((name, index) => names.indexOf(name) < index);
  if (again !== undefined) throw new SyntaxError(`filter.${again} comes twice: keep one, or give it a list of values.`);
  return filter;
}

/** @param {string} zone */
export function isZone(zone) {
  if (zone === "local") return true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
