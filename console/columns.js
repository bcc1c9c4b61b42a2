// The fields of a runtime as columns: their titles, widths and how a value is written.
//
// Owns what a cell says. Text of callers and scripts comes back as text; who shows it must never make markup of it.
// Used by table.js, url.js, filters.js and app.js.

/**
 * As the list has it, flat; which members are there depends on the mask.
 *
 * @typedef {{id: string, site: string, node: string, code: string, name: string, starttime: string, domain?: string,
 *   "ext.state"?: "running" | "post_processing"}} Runtime
 */
/** @typedef {{title: string, width_em: number, personal?: boolean, time?: boolean, age?: boolean, hint?: string}} Field */

/** All fields that can be shown, by the API's names; `age` is the console's own. @type {Record<string, Field>} */
export const FIELDS = {
  name: { title: "Script", width_em: 15 },
  code: { title: "Code", width_em: 9 },
  "ext.state": { title: "State", width_em: 9, hint: "running, or in the branch that follows a stop" },
  site: { title: "Site", width_em: 7 },
  node: { title: "Node", width_em: 13 },
  starttime: { title: "Started", width_em: 12, time: true },
  age: { title: "Age", width_em: 6, age: true },
  "ext.caller": { title: "Caller", width_em: 10, personal: true },
  "ext.called": { title: "Called", width_em: 10, personal: true },
  id: { title: "Id", width_em: 19 },
  type: { title: "Type", width_em: 5 },
  domain: { title: "Domain", width_em: 12 },
  "ext.stoptype": { title: "Stop type", width_em: 9 },
  "ext.stop_id": { title: "Last stop", width_em: 19 },
  "ext.rootcode": { title: "Source code", width_em: 9, hint: "of the script that called this nested one" },
  "ext.rootname": { title: "Source script", width_em: 12 },
  "ext.session": { title: "Engine session", width_em: 18 },
  "ext.lwt": { title: "Row written", width_em: 12, time: true },
  "ext.call_id": { title: "Call id", width_em: 18, personal: true },
};

export const DEFAULT_COLUMNS = [
  "name",
  "code",
  "ext.state",
  "site",
  "node",
  "starttime",
  "age",
  "ext.caller",
  "ext.called",
  "id",
];

/** What the console itself needs of each row. */
export const NEEDED = ["id", "site", "code", "name", "starttime", "ext.state"];

/**
 * The mask that a view asks for.
 *
 * @param {string[]} columns
 * @param {boolean} numbers  whether personal fields may be asked for
 */
export function maskOf(columns, numbers) {
  return [...new Set([...NEEDED, ...shown(columns, numbers)])].filter((field) => field !== "age");
}

/**
 * The columns of a view that may be shown.
 *
 * @param {string[]} columns
 * @param {boolean} numbers
 */
export function shown(columns, numbers) {
  return columns.filter((field) => numbers || !FIELDS[field]?.personal);
}

/** @typedef {{zone: string, now_ms: number}} Clock  `zone`: local, UTC or a name of the IANA time zone database */

/**
 * Write a value for people.
 *
 * @param {Runtime} row
 * @param {string} field
 * @param {Clock} clock
 */
export function written(row, field, { zone, now_ms }) {
  if (field === "age") return age(now_ms - Date.parse(row.starttime));
  const value = valueOf(row, field);
  if (value === null) return "–";
  if (FIELDS[field]?.time) return instant(value, zone);
  return field === "ext.state" ? value.replace("_", "-") : value;
}

/**
 * @param {Runtime} row
 * @param {string} field
 * @returns {string | null}
 */
export function valueOf(row, field) {
  return /** @type {Record<string, string | null>} */ (/** @type {unknown} */ (row))[field] ?? null;
}

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/**
 * @param {string} time  RFC 3339
 * @param {string} zone
 */
export function instant(time, zone) {
  const at_ms = Date.parse(time);
  if (Number.isNaN(at_ms)) return time;
  let format = formats.get(zone);
  if (format === undefined) {
    const timeZone = zone === "local" ? undefined : zone;
    format = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone });
    formats.set(zone, format);
  }
  return format.format(at_ms);
}

/** @param {number} ms */
export function age(ms) {
  const all_s = Math.max(0, Math.floor(ms / 1000));
  const [days, hours, minutes, seconds] = [all_s / 86_400, (all_s / 3600) % 24, (all_s / 60) % 60, all_s % 60].map(
    Math.floor,
  );
  if (days) return `${days}d ${hours}h`;
  if (hours) return `${hours}h ${minutes}m`;
  return minutes ? `${minutes}m ${seconds}s` : `${seconds}s`;
}
