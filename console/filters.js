// <ivr-filters>: a filter as a form of conditions, and as the JSON that the form makes.
//
// Owns which filters the form can show (conditions joined by all or any); every other is shown as JSON alone, and never changed.
// Fetched by app.js when the form is first opened.

import { FIELDS } from "./columns.js";

/** @typedef {{negated: boolean, field: string, operator: string, values: string[]}} Condition */
/** @typedef {{match: "and" | "or", conditions: Condition[]}} Form */

const OPERATORS = /** @type {const} */ ({
  "==": "is",
  "!=": "is not",
  in: "is one of",
  like: "is like (% any text, _ one character)",
  "<": "is before",
  "<=": "is at most",
  ">": "is after",
  ">=": "is at least",
  isnull: "is not set",
});

/** The longest filter the API takes, in bytes of UTF-8. */
const MOST_BYTES = 4096;

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
 * @returns {Form | null}
 */
export function toForm(filter) {
  if (filter === null) return { match: "and", conditions: [] };
  if (!Array.isArray(filter)) return fromShorthand(filter);
  const joined =
    filter[0] === "and" || filter[0] === "&&" ? "and" : filter[0] === "or" || filter[0] === "||" ? "or" : null;
  const conditions = (joined ? filter.slice(1) : [filter]).map(toCondition);
  return conditions.includes(null)
    ? null
    : { match: joined ?? "and", conditions: /** @type {Condition[]} */ (conditions) };
}

/** @param {unknown} filter @returns {Form | null} */
function fromShorthand(filter) {
  if (typeof filter !== "object" || filter === null) return null;
  const conditions = Object.entries(filter).map(([field, value]) => {
    const values = Array.isArray(value) ? value : [value];
    if (!(field in FIELDS) || !values.every((one) => typeof one === "string")) return null;
    return { negated: false, field, operator: Array.isArray(value) ? "in" : "==", values };
  });
  return conditions.includes(null) ? null : { match: "and", conditions: /** @type {Condition[]} */ (conditions) };
}

/** @param {unknown} expression @returns {Condition | null} */
function toCondition(expression) {
  if (!Array.isArray(expression)) return null;
  if ((expression[0] === "not" || expression[0] === "!") && expression.length === 2) {
    const inner = toCondition(expression[1]);
    return inner === null || inner.negated ? null : { ...inner, negated: true };
  }
  const [operator, property, given] = expression;
  if (!(operator in OPERATORS) || !Array.isArray(property) || property[0] !== "property" || !(property[1] in FIELDS))
    return null;
  if (property.length !== 2 || expression.length !== (operator === "isnull" ? 2 : 3)) return null;
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
  const list =
    Array.isArray(given) && given.length === 2 && given[0] === "const" && Array.isArray(given[1]) ? given[1] : given;
  if (!Array.isArray(list) || list.length === 0) return null;
  if (list === given && list.length === 2 && list[0] === "const") return null; // ["const", "b"] is a constant, no list
  return list.every((one) => typeof one === "string") ? list : null;
}

/** The form. `apply` is called with the part of the view that it changes; `suggest` gives a field's values that run. */
export class FilterForm extends HTMLElement {
  /** @type {(field: string) => string[]} */ suggest = () => [];
  /** @type {Condition[]} */ #conditions = [];

  /** @param {boolean} numbers @param {(some: {filter?: unknown, order?: string[]}) => void} apply */
  constructor(numbers, apply) {
    super();
    this.fields = Object.keys(FIELDS).filter((field) => field !== "age" && (numbers || !FIELDS[field]?.personal));
    this.apply = apply;
    this.match = select({ and: "all of these", or: "any of these" }, "Match");
    this.rows = document.createElement("div");
    this.json = document.createElement("textarea");
    this.json.spellcheck = false;
    this.order = document.createElement("input");
    this.fault = made("p", "", "problem");
    this.fault.setAttribute("role", "alert");
    this.only = made("p", "The form cannot show this filter; it is kept as JSON.", "hint");
    const add = button("Add a condition", () => this.#add());
    const actions = made("div", "", "actions");
    const send = button("Apply", () => this.#apply());
    send.className = "primary";
    actions.append(
      send,
      button("Remove the filter", () => this.apply({ filter: null })),
    );
    this.append(
      labelled("Match ", this.match),
      this.only,
      this.rows,
      add,
      labelled("Filter as the API has it (JSON) ", this.json),
      labelled("Order (fields, joined by commas; a - before one for descending) ", this.order),
      this.fault,
      actions,
    );
    this.addEventListener("input", (event) => this.#typed(event));
    this.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target instanceof HTMLInputElement) this.#apply();
    });
  }

  /** @param {{filter: unknown, order: string[]}} view */
  set value({ filter, order }) {
    const form = toForm(filter);
    this.only.hidden = form !== null;
    this.#conditions = form?.conditions ?? [];
    this.match.value = form?.match ?? "and";
    this.#draw();
    this.json.value = filter === null ? "" : JSON.stringify(filter);
    this.order.value = order.join(",");
    this.fault.textContent = "";
  }

  /** Show what the API says of the filter. @param {any} error */
  problem(error) {
    const faults = /** @type {import("./api.js").Fault[]} */ (error?.faults ?? []);
    this.fault.textContent =
      error === null
        ? ""
        : faults.map((one) => `${one.place}: ${one.message}; ${one.remedy}`).join(" ") || error.message;
  }

  /** @override */
  focus() {
    const first = this.rows.querySelector("select") ?? this.querySelector("button");
    first?.focus();
  }

  #add() {
    this.#conditions.push({ negated: false, field: "code", operator: "==", values: [""] });
    this.only.hidden = true;
    this.#draw();
    this.#written();
    /** @type {HTMLElement | null} */ (this.rows.lastElementChild?.querySelector("select"))?.focus();
  }

  #draw() {
    this.rows.replaceChildren(...this.#conditions.map((condition, index) => this.#line(condition, index)));
  }

  /** @param {Condition} condition @param {number} index */
  #line(condition, index) {
    const line = made("div", "", "condition");
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", `Condition ${index + 1}`);
    const negated = document.createElement("input");
    negated.type = "checkbox";
    negated.checked = condition.negated;
    negated.dataset.part = "negated";
    const field = select(
      Object.fromEntries(this.fields.map((name) => [name, `${FIELDS[name]?.title} (${name})`])),
      "Field",
    );
    field.value = condition.field;
    field.dataset.part = "field";
    const operator = select(OPERATORS, "Operator");
    operator.value = condition.operator;
    operator.dataset.part = "operator";
    const value = this.#valueInput(condition, index);
    const remove = button("Remove", () => {
      this.#conditions.splice(index, 1);
      this.#draw();
      this.#written();
      this.focus();
    });
    remove.ariaLabel = `Remove condition ${index + 1}`;
    line.append(labelled("not ", negated), field, operator, ...value, remove);
    line.dataset.index = String(index);
    return line;
  }

  /** @param {Condition} condition @param {number} index @returns {HTMLElement[]} */
  #valueInput({ field, operator, values }, index) {
    if (operator === "isnull") return [];
    if (operator === "in") {
      const area = document.createElement("textarea");
      area.value = values.join("\n");
      area.ariaLabel = "Values, one on each line";
      area.placeholder = "one on each line";
      area.dataset.part = "values";
      return [area];
    }
    const input = document.createElement("input");
    input.value = values[0] ?? "";
    input.ariaLabel = "Value";
    input.dataset.part = "value";
    input.placeholder = FIELDS[field]?.time ? new Date().toISOString().replace(/\.\d+/, "") : "";
    const suggestions = document.createElement("datalist");
    suggestions.id = `values-${index}`;
    suggestions.append(...this.suggest(field).map((value) => new Option(value)));
    input.setAttribute("list", suggestions.id);
    return [input, suggestions];
  }

  /** @param {Event} event */
  #typed(event) {
    const target = /** @type {any} */ (event.target);
    if (target === this.json || target === this.order) return;
    const condition = this.#conditions[Number(target.closest(".condition")?.dataset.index ?? -1)];
    if (condition) {
      const part = target.dataset.part;
      if (part === "negated") condition.negated = target.checked;
      else if (part === "value") condition.values = [target.value];
      else if (part === "values")
        condition.values = target.value.split("\n").filter((/** @type {string} */ one) => one !== "");
      else {
        condition[/** @type {"field" | "operator"} */ (part)] = target.value;
        this.#draw();
        /** @type {any} */ (this.rows.children[this.#conditions.indexOf(condition)])
          ?.querySelector(`[data-part=${part}]`)
          ?.focus();
      }
    }
    this.#written();
  }

  #written() {
    const filter = toFilter({ match: this.match.value === "or" ? "or" : "and", conditions: this.#conditions });
    this.json.value = filter === null ? "" : JSON.stringify(filter);
  }

  #apply() {
    this.fault.textContent = "";
    const text = this.json.value.trim();
    const bytes = new TextEncoder().encode(text).length;
    if (bytes > MOST_BYTES)
      return void (this.fault.textContent = `The filter has ${bytes} bytes; the API takes ${MOST_BYTES}.`);
    try {
      const filter = text === "" ? null : JSON.parse(text);
      this.apply({
        filter,
        order: this.order.value
          .split(",")
          .map((item) => item.trim())
          .filter((item) => item !== ""),
      });
    } catch (error) {
      this.fault.textContent = `This is no JSON: ${error instanceof Error ? error.message : error}`;
    }
  }
}

/** @param {Record<string, string>} options @param {string} label @returns {HTMLSelectElement} */
function select(options, label) {
  const element = document.createElement("select");
  element.ariaLabel = label;
  element.append(...Object.entries(options).map(([value, text]) => new Option(text, value)));
  return element;
}

/** @param {string} text @param {HTMLElement} element */
function labelled(text, element) {
  const label = document.createElement("label");
  label.append(text, element);
  return label;
}

/** @param {string} text @param {() => void} act */
function button(text, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.addEventListener("click", act);
  return element;
}

/** @param {string} name @param {string} text @param {string} kind @returns {any} */
function made(name, text, kind) {
  const element = document.createElement(name);
  element.textContent = text;
  element.className = kind;
  return element;
}

customElements.define("ivr-filters", FilterForm);
