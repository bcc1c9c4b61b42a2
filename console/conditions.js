// A filter as conditions that a form can show, and back.
//
// Owns which filters that is: conditions joined by all or any, each of which may be negated, and the shorthand object. Of
// every other it says so and changes nothing. Owns time constants as date-times of a zone, too. Used by filters.js.

import { FIELDS, instant } from "./columns.js";

/** @typedef {{negated: boolean, field: string, operator: string, values: string[]}} Condition */
/** @typedef {{match: "and" | "or", conditions: Condition[]}} Form */

/** What an operator is called, for text and for times. @type {Record<string, string>} */
export const OPERATORS = {
  "==": "is",
  "!=": "is not",
  in: "is one of",
  like: "is like (% any text, _ one character)",
  "<": "is before",
  "<=": "is at most",
  ">": "is after",
  ">=": "is at least",
  isnull: "is not set",
};

/** @type {Record<string, "and" | "or">} */
const JOINTS = { and: "and", "&&": "and", or: "or", "||": "or" };

/**
 * Write a form as the API has it; nothing of a form without conditions.
 *
 * @param {Form} form
 */
export function toFilter({ match, conditions }) {
  const atoms = conditions.map(({ negated, field, operator, values }) => {
    const property = ["property", field];
    const given = operator === "in" ? [["const", values]] : operator === "isnull" ? [] : [["const", values[0] ?? ""]];
    const atom = [operator, property, ...given];
    return negated ? ["not", atom] : atom;
  });
  if (atoms.length < 2) return atoms[0] ?? null;
  return [match, ...atoms];
}

/**
 * Read a filter as a form; null if the form cannot show it.
 *
 * @param {unknown} filter
 * @param {string[]} [fields]  those that the form knows
 * @returns {Form | null}
 */
export function toForm(filter, fields = Object.keys(FIELDS)) {
  const form = read(filter);
  return form?.conditions.every((condition) => fields.includes(condition.field) && isWritable(condition)) ? form : null;
}

/** @param {unknown} filter @returns {Form | null} */
function read(filter) {
  if (filter === null) return { match: "and", conditions: [] };
  if (!Array.isArray(filter)) return fromShorthand(filter);
  const joint = typeof filter[0] === "string" && Object.hasOwn(JOINTS, filter[0]) ? JOINTS[filter[0]] : undefined;
  const conditions = (joint ? filter.slice(1) : [filter]).map(toCondition);
  return conditions.length > 0 && conditions.every((one) => one !== null)
    ? { match: joint ?? "and", conditions }
    : null;
}

/** @param {unknown} filter @returns {Form | null} */
function fromShorthand(filter) {
  if (typeof filter !== "object" || filter === null) return null;
  const conditions = Object.entries(filter).map(([field, value]) => {
    const values = Array.isArray(value) ? value : [value];
    if (!values.every((one) => typeof one === "string")) return null;
    return { negated: false, field, operator: Array.isArray(value) ? "in" : "==", values };
  });
  return conditions.every((one) => one !== null) ? { match: "and", conditions } : null;
}

/** @param {unknown} expression @returns {Condition | null} */
function toCondition(expression) {
  if (!Array.isArray(expression)) return null;
  const [operator, property, given] = expression;
  if ((operator === "not" || operator === "!") && expression.length === 2) {
    const inner = toCondition(property);
    return inner === null || inner.negated ? null : { ...inner, negated: true };
  }
  if (typeof operator !== "string" || !Object.hasOwn(OPERATORS, operator)) return null;
  if (!Array.isArray(property) || property.length !== 2 || property[0] !== "property") return null;
  if (expression.length !== (operator === "isnull" ? 2 : 3)) return null;
  const values = operator === "isnull" ? [] : operator === "in" ? listOf(given) : oneOf(given);
  return values === null ? null : { negated: false, field: property[1], operator, values };
}

/** @param {unknown} given @returns {string[] | null} */
function oneOf(given) {
  const value = Array.isArray(given) && given.length === 2 && given[0] === "const" ? given[1] : given;
  return typeof value === "string" ? [value] : null;
}

/** @param {unknown} given @returns {string[] | null} */
function listOf(given) {
  if (!Array.isArray(given)) return null;
  const isConst = given.length === 2 && given[0] === "const";
  const list = isConst ? given[1] : given;
  return Array.isArray(list) && list.every((one) => typeof one === "string") ? list : null;
}

/** Whether the form's inputs can hold the values: each a line, and an empty line is none of a list's. @param {Condition} condition */
function isWritable({ operator, values }) {
  if (operator === "in" && (values.length === 0 || values.includes(""))) return false;
  return values.every((value) => !/[\r\n]/.test(value));
}

/**
 * The condition that a place of the API's faults lies in; -1 if in none of them.
 *
 * @param {string} place  as `filter[2][1]` or `filter.site`
 * @param {unknown} filter  that was refused
 * @param {Condition[]} conditions
 */
export function conditionAt(place, filter, conditions) {
  if (!/^filter[.[]/.test(place)) return -1;
  if (!Array.isArray(filter)) return conditions.findIndex(({ field }) => place.startsWith(`filter.${field}`));
  if (typeof filter[0] === "string" && !Object.hasOwn(JOINTS, filter[0])) return conditions.length === 1 ? 0 : -1;
  return Number(/^filter\[(\d+)\]/.exec(place)?.[1] ?? 0) - 1;
}

/**
 * Write an instant as the date-time of a zone that an input takes; empty if it is none, or if there is no way back.
 *
 * @param {string} time  RFC 3339
 * @param {string} zone
 */
export function toLocal(time, zone) {
  const at_ms = Date.parse(time);
  if (!/^\d{4}-\d\d-\d\d[Tt ]/.test(time) || Number.isNaN(at_ms)) return "";
  const local = instant(time, zone).replace(" ", "T");
  const isSame = Date.parse(fromLocal(local, zone)) === at_ms && !/\.\d*[1-9]/.test(time);
  return isSame ? local : "";
}

/**
 * Read a date-time of a zone as RFC 3339; empty if it is none.
 *
 * @param {string} local  as `2026-11-26T10:00`, with or without seconds
 * @param {string} zone
 */
export function fromLocal(local, zone) {
  const wanted_ms = Date.parse(`${local}Z`);
  if (Number.isNaN(wanted_ms)) return "";
  let at_ms = wanted_ms;
  for (let turn = 0; turn < 2; turn += 1) {
    const shown_ms = Date.parse(`${instant(new Date(at_ms).toISOString(), zone).replace(" ", "T")}Z`);
    if (Number.isNaN(shown_ms)) return "";
    at_ms += wanted_ms - shown_ms;
  }
  return new Date(at_ms).toISOString().replace(".000Z", "Z");
}
