// <ivr-filters>: a filter as a form of conditions, and as the JSON that the form makes.
//
// Owns the form's elements. What the form cannot show is shown as JSON alone, and never changed: then there are no conditions
// to edit. What the JSON says is what is applied. Fetched by app.js when the form is first opened.

import { FIELDS } from "./columns.js";
import { OPERATORS, conditionAt, fromLocal, toFilter, toForm, toLocal } from "./conditions.js";
import { readFilter } from "./url.js";

/** @typedef {import("./conditions.js").Condition} Condition */
/** @typedef {import("./api.js").Fault} Fault */
/** @typedef {{filter: unknown, order: string[], zone?: string}} Value */

/** The longest filter the API takes, in bytes of UTF-8. */
const MOST_BYTES = 4096;
/** What text is compared by: no instants. */
const OF_TEXT = Object.entries(OPERATORS);
const OF_TIMES = OF_TEXT.filter(([operator]) => operator !== "like");

/** The form. `apply` is called with the part of the view that it changes; `suggest` gives a field's values that run. */
export class FilterForm extends HTMLElement {
  /** @type {(field: string) => string[]} */ suggest = () => [];
  /** @type {Condition[]} */ #conditions = [];
  #zone = "local";
  /** The value that was set last: setting it again keeps what is being edited. */ #set = "";
  /** What the API refused, as it was applied. @type {unknown} */ #applied = null;
  /** Whether the fault that is shown is the API's. */ #refused = false;

  /** @param {boolean} numbers @param {(some: {filter?: unknown, order?: string[]}) => void} apply */
  constructor(numbers, apply) {
    super();
    this.fields = Object.keys(FIELDS).filter((field) => field !== "age" && (numbers || !FIELDS[field]?.personal));
    this.apply = apply;
    this.match = select({ and: "all of these", or: "any of these" }, "Match");
    this.conditions = made("div", "", "conditions");
    this.rows = made("div", "", "rows");
    this.json = document.createElement("textarea");
    this.json.spellcheck = false;
    this.order = document.createElement("input");
    this.order.spellcheck = false;
    this.size = made("small", "", "hint");
    this.fault = made("p", "", "problem");
    this.fault.setAttribute("role", "alert");
    this.only = made("p", "", "hint");
    this.only.setAttribute("role", "status");
    const actions = made("div", "", "actions");
    const send = button("Apply", () => this.#apply());
    send.className = "primary";
    actions.append(
      send,
      button("Remove the filter", () => this.apply({ filter: null })),
    );
    this.conditions.append(
      labelled("Match ", this.match),
      this.rows,
      button("Add a condition", () => this.#add()),
    );
    const json = labelled("Filter as the API has it (JSON) ", this.json);
    json.append(this.size);
    this.append(
      this.conditions,
      this.only,
      json,
      labelled("Order (fields, joined by commas; a - before one for descending) ", this.order),
      this.fault,
      actions,
    );
    this.addEventListener("input", (event) => this.#typed(event));
    this.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target instanceof HTMLInputElement) this.#apply();
    });
  }

  /** @param {Value} value */
  set value({ filter, order, zone = "local" }) {
    const set = JSON.stringify([filter, order, zone]);
    if (set === this.#set) return;
    this.#set = set;
    this.#zone = zone;
    this.#applied = filter;
    this.json.value = filter === null ? "" : JSON.stringify(filter);
    this.order.value = order.join(",");
    this.#say("");
    this.#read();
  }

  /** Show what the API says of the filter, at the condition that it is about. @param {any} error  null: nothing */
  problem(error) {
    if (error === null) {
      if (this.#refused) this.#say("");
      return;
    }
    const faults = /** @type {Fault[]} */ (error.faults ?? []);
    this.#say(faults.map((one) => `${one.place}: ${one.message}; ${one.remedy}`).join(" ") || error.message);
    this.#refused = true;
    const places = faults.map((one) => conditionAt(one.place, this.#applied, this.#conditions));
    [...this.rows.children].forEach((line, index) => {
      for (const input of line.querySelectorAll("[data-part]"))
        if (places.includes(index)) input.setAttribute("aria-invalid", "true");
    });
  }

  /** @override */
  focus() {
    const first = /** @type {HTMLElement | null} */ (
      this.conditions.hidden ? this.json : (this.rows.querySelector("select") ?? this.querySelector("button"))
    );
    first?.focus();
  }

  /** @param {string} text */
  #say(text) {
    this.#refused = false;
    if (this.fault.textContent !== text) this.fault.textContent = text;
    if (text === "") for (const input of this.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }

  /** Make the form of what the JSON says. */
  #read() {
    const filter = parsed(this.json.value);
    const form = filter instanceof Error ? null : toForm(filter, this.fields);
    this.conditions.hidden = form === null;
    this.only.textContent =
      form !== null
        ? ""
        : filter instanceof Error
          ? `This cannot be read yet: ${filter.message}`
          : "The form cannot show this filter; it is kept as JSON.";
    this.#conditions = form?.conditions ?? [];
    this.match.value = form?.match ?? "and";
    this.#draw();
    this.#measure();
  }

  /** Make the JSON of what the form says. */
  #written() {
    const filter = toFilter({ match: this.match.value === "or" ? "or" : "and", conditions: this.#conditions });
    this.json.value = filter === null ? "" : JSON.stringify(filter);
    this.#measure();
  }

  #measure() {
    const bytes = bytesOf(parsed(this.json.value));
    this.size.textContent = bytes > MOST_BYTES / 2 ? `${bytes.toLocaleString("en")} of at most 4,096 bytes` : "";
  }

  #add() {
    this.#conditions.push({ negated: false, field: "code", operator: "==", values: [""] });
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
    const ofTimes = FIELDS[condition.field]?.time && condition.operator !== "like";
    const operator = select(Object.fromEntries(ofTimes ? OF_TIMES : OF_TEXT), "Operator");
    operator.value = condition.operator;
    operator.dataset.part = "operator";
    const remove = button("Remove", () => {
      this.#conditions.splice(index, 1);
      this.#draw();
      this.#written();
      this.focus();
    });
    remove.ariaLabel = `Remove condition ${index + 1}`;
    line.append(labelled("not ", negated), field, operator, ...this.#valueInput(condition, index), remove);
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
    const value = values[0] ?? "";
    const input = document.createElement("input");
    input.ariaLabel = "Value";
    input.dataset.part = "value";
    if (FIELDS[field]?.time && operator !== "like") return this.#timeInput(input, value);
    input.value = value;
    const suggestions = document.createElement("datalist");
    suggestions.id = `values-${index}`;
    suggestions.append(...this.suggest(field).map((one) => new Option(one)));
    input.setAttribute("list", suggestions.id);
    return [input, suggestions];
  }

  /**
   * A date-time of the view's zone; what is no such date-time to the second stays as it is written.
   *
   * @param {HTMLInputElement} input @param {string} value @returns {HTMLElement[]}
   */
  #timeInput(input, value) {
    const local = toLocal(value, this.#zone);
    if (value === "" || local !== "") {
      input.type = "datetime-local";
      input.step = "1";
      input.dataset.part = "time";
    }
    input.value = local || value;
    const zone = made("small", this.#zone === "local" ? "local time" : this.#zone, "hint");
    return input.type === "datetime-local" ? [input, zone] : [input];
  }

  /** @param {Event} event */
  #typed(event) {
    const target = /** @type {any} */ (event.target);
    this.#say("");
    if (target === this.order) return;
    if (target === this.json) return this.#read();
    const condition = this.#conditions[Number(target.closest(".condition")?.dataset.index ?? -1)];
    if (condition) this.#edited(condition, target.dataset.part, target);
    this.#written();
  }

  /** @param {Condition} condition @param {string} part @param {any} input */
  #edited(condition, part, input) {
    if (part === "negated") condition.negated = input.checked;
    else if (part === "value") condition.values = [input.value];
    else if (part === "time") condition.values = [fromLocal(input.value, this.#zone)];
    else if (part === "values") condition.values = linesOf(input.value);
    else this.#changed(condition, /** @type {"field" | "operator"} */ (part), input.value);
  }

  /** Take another field or operator, and what inputs it needs. @param {Condition} condition @param {"field" | "operator"} part @param {string} value */
  #changed(condition, part, value) {
    const wasTime = FIELDS[condition.field]?.time;
    condition[part] = value;
    if (FIELDS[condition.field]?.time !== wasTime) condition.values = [""];
    if (FIELDS[condition.field]?.time && condition.operator === "like") condition.operator = "==";
    if (condition.operator === "in") condition.values = condition.values.filter((one) => one !== "");
    this.#draw();
    const line = this.rows.children[this.#conditions.indexOf(condition)];
    line?.querySelector(`[data-part=${part}]`)?.focus();
  }

  #apply() {
    const filter = parsed(this.json.value);
    if (filter instanceof Error)
      return this.#say(`The filter cannot be read: ${filter.message} Mend it, or remove the filter.`);
    const bytes = bytesOf(filter);
    if (bytes > MOST_BYTES)
      return this.#say(`The filter has ${bytes.toLocaleString("en")} bytes, and the API takes 4,096: shorten it.`);
    this.#say("");
    const order = this.order.value.split(",").map(trimmed).filter(Boolean);
    this.#set = JSON.stringify([filter, order, this.#zone]); // so that the view's answer leaves the focus where it is
    this.#applied = filter;
    this.apply({ filter, order });
  }
}

/** @param {string} text @returns {unknown} an Error: it cannot be read */
function parsed(text) {
  if (text.trim() === "") return null;
  try {
    return readFilter(text);
  } catch (error) {
    return error;
  }
}

/** @param {unknown} filter */
function bytesOf(filter) {
  return filter === null || filter instanceof Error ? 0 : new TextEncoder().encode(JSON.stringify(filter)).length;
}

/** @param {string} text */
function linesOf(text) {
  return text.split("\n").filter((one) => one !== "");
}

/** @param {string} text */
function trimmed(text) {
  return text.trim();
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
