// The buttons that count what runs by a field, and narrow the filter to one of its values.
//
// Owns which values are offered, and what pressing one makes of a filter. While the pointer or the focus is on the buttons none
// of them moves: their numbers alone change. Used by app.js.

const MOST_VALUES = 12;

/** The buttons of one field, in `box`. `change` takes the filter that a press asks for. */
export class Facet {
  /** @type {Map<string, HTMLButtonElement>} */ #chips = new Map();
  /** @type {unknown} */ #filter = null;

  /** @param {HTMLElement} box @param {string} field @param {(filter: unknown) => void} change */
  constructor(box, field, change) {
    this.box = box;
    this.field = field;
    this.change = change;
  }

  /** @param {[string, number][]} counts  the most frequent first @param {unknown} filter */
  show(counts, filter) {
    this.#filter = filter;
    const found = new Map(counts);
    const pressed = new Set(demanded(filter, this.field));
    const best = counts.slice(0, MOST_VALUES).map(([value]) => value);
    if (!this.box.matches(":hover, :focus-within")) this.#place([...new Set([...best, ...pressed])]);
    for (const [value, chip] of this.#chips) {
      const number = (found.get(value) ?? 0).toLocaleString("en");
      const count = /** @type {HTMLElement} */ (chip.lastElementChild);
      if (count.textContent !== number) count.textContent = number;
      chip.ariaPressed = String(pressed.has(value));
    }
  }

  /** @param {string[]} values */
  #place(values) {
    if (values.join("\n") === [...this.#chips.keys()].join("\n")) return;
    this.#chips = new Map(values.map((value) => [value, this.#chips.get(value) ?? this.#chip(value)]));
    this.box.replaceChildren(...this.#chips.values());
  }

  /** @param {string} value */
  #chip(value) {
    const chip = document.createElement("button");
    const name = document.createElement("bdi"); // whatever its direction, the number stays behind it
    name.textContent = value;
    chip.type = "button";
    chip.append(name, " ", document.createElement("b"));
    chip.addEventListener("click", () => this.change(toggled(this.#filter, this.field, value)));
    return chip;
  }
}

/** The values that a filter demands a field to be equal to. @param {unknown} filter @param {string} field */
export function demanded(filter, field) {
  return parts(filter)
    .map((part) => equal(part, field))
    .filter((value) => value !== null);
}

/** Narrow a filter to a field's value, or widen it again. @param {unknown} filter @param {string} field @param {string} value */
export function toggled(filter, field, value) {
  const before = parts(filter);
  const left = before.filter((part) => equal(part, field) !== value);
  const after = left.length < before.length ? left : [...before, ["==", ["property", field], value]];
  return after.length < 2 ? (after[0] ?? null) : ["and", ...after];
}

/** What must all hold for a filter to hold. @param {unknown} filter @returns {unknown[]} */
function parts(filter) {
  if (filter === null) return [];
  if (!Array.isArray(filter))
    return typeof filter === "object" ? fromShorthand(/** @type {object} */ (filter)) : [filter];
  return filter[0] === "and" || filter[0] === "&&" ? filter.slice(1) : [filter];
}

/** The shorthand object may not stand within an expression. @param {object} filter */
function fromShorthand(filter) {
  return Object.entries(filter).map(([field, value]) => [
    Array.isArray(value) ? "in" : "==",
    ["property", field],
    ["const", value],
  ]);
}

/** The text that a condition demands of a field; null if it is another condition. @param {any} part @param {string} field */
function equal(part, field) {
  if (!Array.isArray(part) || part.length !== 3 || part[0] !== "==") return null;
  if (JSON.stringify(part[1]) !== JSON.stringify(["property", field])) return null;
  const value = Array.isArray(part[2]) && part[2][0] === "const" ? part[2][1] : part[2];
  return typeof value === "string" ? value : null;
}
