// <ivr-table>: the rows in a window that scrolls. Only those in view are in the document, so 10,000 scroll as 50 do.
//
// Owns the elements, the focus and the selection by keyboard and pointer. The grid itself has the focus and names the active
// row (aria-activedescendant), so the focus survives every refresh and every scroll. Rows come from `Rows`. Fires `order`
// (detail: the order that a header asks for), `chosen` (the selection has changed) and `stop` (detail: a row). Used by app.js.

import { FIELDS, written } from "./columns.js";

/** @typedef {import("./columns.js").Runtime} Runtime */
/** @typedef {import("./rows.js").Rows} Rows */

const BEYOND = 8;
const SCROLLING_MS = 250;

/** Rows are held for a pointer that rests on them no longer than this; its next move holds them again. */
const HELD_MOST_MS = 30_000;

/** The table. Set `rows`, then call `layout` when columns or order change, and `draw` when rows do. */
export class RuntimeTable extends HTMLElement {
  /** @type {Rows} */ rows;
  zone = "local";
  /** Why nothing can be stopped; empty if it can. */ refusal = "";
  /** @type {string[]} */ #columns = [];
  /** @type {string[]} */ #order = [];
  /** The id of the row that the keyboard is at. */ #active = "";
  /** Where a range begins: the row that was selected last. */ #anchor = "";
  /** @type {HTMLTableRowElement[]} */ #pool = [];
  /** The id of the row that was pressed: what a click means, though another row be there when it ends. */ #pressed =
    "";
  /** Where that row was when it was drawn last; -1: nowhere yet. */ #place = -1;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #holding;
  #drawing = false;
  #scrolled_ms = -Infinity;

  /** @param {Rows} rows */
  constructor(rows) {
    super();
    this.rows = rows;
    this.append(clone("of-table"));
    this.head = /** @type {HTMLTableRowElement} */ (this.querySelector("thead tr"));
    this.body = /** @type {HTMLTableSectionElement} */ (this.querySelector("tbody"));
    this.grid = /** @type {HTMLTableElement} */ (this.querySelector("table"));
    this.#listen();
  }

  #listen() {
    this.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.body.addEventListener("pointerover", (event) => tell(/** @type {HTMLElement} */ (event.target)));
    this.addEventListener("keydown", (event) => this.#key(event));
    this.body.addEventListener("pointerdown", (event) => (this.#pressed = idAt(event)));
    this.body.addEventListener("click", (event) => this.#click(event));
    this.body.addEventListener("pointerenter", () => this.#hold());
    this.body.addEventListener("pointermove", () => this.#hold(), { passive: true });
    this.body.addEventListener("pointerleave", () => this.#letGo());
    this.head.addEventListener("click", (event) => this.#header(event));
    new ResizeObserver(() => this.soon()).observe(this);
  }

  /** Whether somebody scrolls just now. */
  get scrolling() {
    return performance.now() - this.#scrolled_ms < SCROLLING_MS;
  }

  #scrolled() {
    this.#scrolled_ms = performance.now();
    this.soon();
  }

  /**
   * Draw the header anew.
   *
   * @param {string[]} columns
   * @param {string[]} order  in the API's terms
   */
  layout(columns, order) {
    this.#columns = columns;
    this.#order = order;
    const cells = columns.map((field, index) => this.#heading(field, index, order));
    this.head.replaceChildren(/** @type {Node} */ (this.head.firstElementChild), ...cells, clone("of-stop-heading"));
    this.grid.setAttribute("aria-colcount", String(columns.length + 2));
    const tracks = columns.map(
      (field) => `minmax(${FIELDS[field]?.width_em ?? 9}em, ${FIELDS[field]?.width_em ?? 9}fr)`,
    );
    this.grid.style.setProperty("--tracks", ["2.75em", ...tracks, "5em"].join(" "));
    for (const row of this.#pool) row.remove();
    this.#pool = [];
    this.#place = -1;
    this.soon();
  }

  /** Draw within the next frame: however often it is asked for, once. */
  soon() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.draw();
    });
  }

  /** Show the rows that are in view. */
  draw() {
    const shown = this.rows.shown;
    const height = this.#rowHeight();
    const first = Math.max(0, Math.floor(this.scrollTop / height) - BEYOND);
    const last = Math.min(shown.length, Math.ceil((this.scrollTop + this.clientHeight) / height) + BEYOND);
    while (this.#pool.length < last - first) this.#pool.push(this.#blank());
    const clock = { zone: this.zone, now_ms: Date.now() };
    for (const [at, line] of this.#pool.entries()) {
      const row = first + at < last ? shown[first + at] : undefined;
      line.hidden = row === undefined;
      if (row !== undefined) this.#fill(line, row, first + at, clock);
    }
    this.body.style.setProperty("--above", `${first * height}px`);
    this.#sized(height);
    this.grid.setAttribute("aria-rowcount", String(shown.length + 1));
    const active = this.#pool.find((line) => !line.hidden && line.dataset.id === this.#active);
    if (active) this.grid.setAttribute("aria-activedescendant", active.id);
    else this.grid.removeAttribute("aria-activedescendant");
    this.#checkAll();
  }

  /** @param {number} height  of a row, pixels */
  #sized(height) {
    this.grid.style.setProperty("--whole", `${this.rows.shown.length * height}px`);
  }

  /** Keep what is in view where it is, while rows above it come and go. @param {() => void} change */
  anchored(change) {
    const height = this.#rowHeight();
    const at = Math.ceil(this.scrollTop / height);
    const kept = at > 0 ? this.rows.shown.slice(at, at + 50).map((row) => row.id) : [];
    change();
    this.#sized(height); // first, for the browser scrolls no further than the table is high
    if (kept.length > 0) {
      const places = new Map(this.rows.shown.map((row, place) => [row.id, place]));
      const index = kept.findIndex((id) => places.has(id));
      const place = places.get(kept[index] ?? "");
      if (place !== undefined) this.scrollTop += (place - index - at) * height;
    }
    this.soon();
  }

  #rowHeight() {
    return Number.parseFloat(getComputedStyle(this).getPropertyValue("--row-px")) || 36;
  }

  /** @param {string} field @param {number} index @param {string[]} order */
  #heading(field, index, order) {
    const cell = clone("of-heading");
    const button = /** @type {HTMLButtonElement} */ (cell.querySelector("button"));
    button.textContent = FIELDS[field]?.title ?? field;
    button.title = FIELDS[field]?.hint ?? "";
    cell.dataset.field = field;
    cell.setAttribute("aria-colindex", String(index + 2));
    const by = orderOf(field);
    const first = order[0] ?? "";
    const twice = field === "age" && this.#columns.includes("starttime"); // one order, one arrow
    if (!twice && (first === by || first === flipped(by)))
      cell.ariaSort = first.startsWith("-") === (field !== "age") ? "descending" : "ascending";
    return cell;
  }

  #blank() {
    const line = /** @type {HTMLTableRowElement} */ (clone("of-row"));
    line.id = `row-${this.#pool.length}`;
    const stop = /** @type {Node} */ (line.lastElementChild);
    for (const [index, field] of this.#columns.entries()) {
      const cell = document.createElement("td");
      cell.setAttribute("role", "gridcell");
      cell.setAttribute("aria-colindex", String(index + 2));
      cell.dataset.field = field;
      cell.dir = "auto";
      line.insertBefore(cell, stop);
    }
    this.body.append(line);
    return line;
  }

  /**
   * @param {HTMLTableRowElement} line
   * @param {Runtime} row
   * @param {number} place
   * @param {import("./columns.js").Clock} clock
   */
  #fill(line, row, place, clock) {
    const { selected, unlisted, started } = this.rows;
    const other = line.dataset.id !== row.id;
    if (other) line.dataset.id = row.id;
    set(line, "aria-rowindex", String(place + 2));
    set(line, "aria-selected", String(selected.has(row.id)));
    set(line, "data-life", unlisted.has(row.id) ? "unlisted" : started.has(row.id) ? "started" : "running");
    set(line, "data-active", String(row.id === this.#active));
    if (row.id === this.#active) this.#place = place;
    set(line, "data-state", row["ext.state"] ?? "");
    const check = /** @type {HTMLInputElement} */ (line.querySelector("input"));
    check.checked = selected.has(row.id);
    if (other) check.ariaLabel = `Select ${row.name}, ${row.id}`;
    const button = /** @type {HTMLButtonElement} */ (line.querySelector("button"));
    if (other) button.ariaLabel = `Stop ${row.name}, ${row.id}`;
    set(button, "aria-disabled", String(this.refusal !== "" || unlisted.has(row.id)));
    set(button, "title", this.refusal);
    for (const [index, field] of this.#columns.entries()) {
      const cell = /** @type {HTMLElement} */ (line.children[index + 1]);
      const text = written(row, field, clock);
      if (cell.textContent !== text) {
        cell.textContent = text;
      }
    }
  }

  #checkAll() {
    const check = /** @type {HTMLInputElement} */ (this.head.querySelector("input"));
    const some = this.rows.selected.size > 0;
    const all = this.rows.all.size - this.rows.waiting;
    check.checked = some && this.rows.selected.size === all;
    check.indeterminate = some && !check.checked;
  }

  /** Nothing moves from now on. */
  #hold() {
    clearTimeout(this.#holding);
    this.#holding = setTimeout(() => this.#letGo(), HELD_MOST_MS);
    this.rows.held = true;
  }

  #letGo() {
    clearTimeout(this.#holding);
    this.anchored(() => (this.rows.held = false));
    this.dispatchEvent(new CustomEvent("held", { bubbles: true }));
  }

  /** @param {MouseEvent} event */
  #header(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target instanceof HTMLInputElement) return this.#selectAll(target.checked);
    const field = target.closest("th")?.dataset.field;
    if (!field || !target.closest("button")) return;
    const by = orderOf(field);
    this.dispatchEvent(new CustomEvent("order", { detail: [this.#order[0] === by ? flipped(by) : by] }));
  }

  /** @param {boolean} all */
  #selectAll(all) {
    const ids = all ? this.rows.shown.map((row) => row.id) : []; // not those that wait: nobody has seen them
    this.rows.selected = new Set(ids.filter((id) => this.rows.all.has(id)));
    this.#selectionChanged();
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const row = this.rows.all.get(idAt(event));
    const moved = event.detail > 0 && row?.id !== this.#pressed; // 0: not by a pointer, but by a screen reader, say
    if (row === undefined || moved) return event.preventDefault(); // it is not there, or another one has taken its place
    this.#active = row.id;
    this.grid.focus({ preventScroll: true }); // not an element that another row will have next
    if (target.closest("button")) this.#stop(row);
    else if (event.shiftKey) this.#range(row.id);
    else this.#toggle(row.id);
  }

  /** @param {Runtime} row */
  #stop(row) {
    if (this.refusal === "") this.dispatchEvent(new CustomEvent("stop", { detail: row }));
    this.soon();
  }

  /** @param {string} id */
  #toggle(id) {
    if (!this.rows.selected.delete(id)) this.rows.selected.add(id);
    this.#anchor = id;
    this.#selectionChanged();
  }

  /** @param {string} id */
  #range(id) {
    const ids = this.rows.shown.map((row) => row.id);
    const from = ids.indexOf(this.#anchor);
    if (from < 0) return this.#toggle(id); // where the range began is no longer listed
    const [first, last] = [from, ids.indexOf(id)].sort((one, other) => one - other);
    for (const between of ids.slice(first, (last ?? from) + 1))
      if (this.rows.all.has(between)) this.rows.selected.add(between);
    this.#selectionChanged();
  }

  #selectionChanged() {
    this.dispatchEvent(new CustomEvent("chosen"));
    this.soon();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.target !== this.grid) return;
    const page = Math.max(1, Math.floor(this.clientHeight / this.#rowHeight()) - 2);
    const steps = /** @type {Record<string, number>} */ ({
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    });
    const step = steps[event.key];
    const row = this.rows.all.get(this.#active);
    if (step !== undefined) this.#move(step, event.shiftKey);
    else if (row && [" ", "Enter", "Delete"].includes(event.key) && this.#outOfView()) this.#move(0, false);
    else if (event.key === " " && row) event.shiftKey ? this.#range(row.id) : this.#toggle(row.id);
    else if ((event.key === "Enter" || event.key === "Delete") && row) this.#stop(row);
    else if (event.key === "Escape") this.#selectAll(false);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) this.#selectAll(true);
    else return;
    event.preventDefault();
  }

  /** @param {number} step @param {boolean} selecting */
  #move(step, selecting) {
    const shown = this.rows.shown;
    if (shown.length === 0) return;
    const at = shown.findIndex((row) => row.id === this.#active);
    const to = Math.min(shown.length - 1, Math.max(0, at < 0 ? this.#besides(step) : at + step));
    this.#active = /** @type {Runtime} */ (shown[to]).id;
    this.#place = to;
    const height = this.#rowHeight();
    const above = to * height;
    const room = this.clientHeight - this.head.offsetHeight - height;
    if (above < this.scrollTop) this.scrollTop = above;
    else if (above > this.scrollTop + room) this.scrollTop = above - room;
    if (selecting) this.#range(this.#active);
    this.soon();
  }

  /** Where a step leads if its row is not there any more: to a neighbour, or into view. @param {number} step */
  #besides(step) {
    if (!Number.isFinite(step)) return step;
    if (this.#place < 0) return Math.ceil(this.scrollTop / this.#rowHeight());
    return step > 0 ? this.#place + step - 1 : this.#place + step; // what came after it has its place now
  }

  /** Whether nobody sees the active row: then a key shows it first, before one acts on it. */
  #outOfView() {
    const rest = this.rows.shown.findIndex((row) => row.id === this.#active) * this.#rowHeight() - this.scrollTop;
    return rest < -this.#rowHeight() || rest > this.clientHeight - this.head.offsetHeight;
  }
}

/** Show a cell's whole text, which may be cut, while the pointer is on it. @param {HTMLElement} cell */
function tell(cell) {
  if (cell.matches("td") && cell.children.length === 0) cell.title = cell.textContent ?? "";
}

/** The id of the row that an event is about. @param {Event} event */
function idAt(event) {
  return /** @type {HTMLElement} */ (event.target).closest("tr")?.dataset.id ?? "";
}

/** @param {string} field */
function orderOf(field) {
  return field === "age" ? "-starttime" : field;
}

/** @param {string} item */
function flipped(item) {
  return item.startsWith("-") ? item.slice(1) : `-${item}`;
}

/** @param {HTMLElement} element @param {string} name @param {string} value */
function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * A copy of what a template of the page holds.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function clone(id) {
  const template = /** @type {HTMLTemplateElement} */ (document.getElementById(id));
  return /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
}

customElements.define("ivr-table", RuntimeTable);
