// <ivr-table>: the rows in a window that scrolls. Only those in view are in the document, so 10,000 scroll as 50 do.
//
// Owns the elements, the focus and the selection by keyboard and pointer. The grid itself has the focus and names the active
// row (aria-activedescendant), so the focus survives every refresh and every scroll. Rows come from `Rows`. Fires `order`
// (detail: the order that a header asks for), `chosen` (the selection has changed) and `stop` (detail: a row). Used by app.js.

import { FIELDS, written } from "./columns.js";

/** @typedef {import("./columns.js").Runtime} Runtime */
/** @typedef {import("./rows.js").Rows} Rows */

/** @typedef {HTMLTableRowElement} Row */

/**
 * A row's elements and what they show: nothing before they are first filled.
 *
 * @typedef {{element: Row, texts: Text[], check: HTMLInputElement, button: HTMLElement, row?: Runtime, now_s?: number}} Line
 */

const BEYOND = 8;
const SCROLLING_MS = 250;

/** Rows are held for a pointer that rests on them no longer than this; its next move holds them again. */
const HELD_MOST_MS = 30_000;

/** The table. Set `rows`, then call `layout` when columns or order change, and `soon` when rows do. */
export class RuntimeTable extends HTMLElement {
  /** @type {Rows} */ rows;
  zone = "local";
  /** Why nothing can be stopped; empty if it can. */ refusal = "";
  /** @type {string[]} */ #columns = [];
  /** @type {string[]} */ #order = [];
  /** The id of the row that the keyboard is at. */ #active = "";
  /** Where a range begins: the row that was selected last. */ #anchor = "";
  /** Those in the document, from the top. @type {Line[]} */ #lines = [];
  /** How many lines there have been: no two have the same id. */ #made = 0;
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
    this.body.replaceChildren();
    this.#lines = [];
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
    const count = Math.min(shown.length, Math.ceil(this.clientHeight / height) + 2 * BEYOND);
    const first = Math.max(0, Math.min(shown.length - count, Math.floor(this.scrollTop / height) - BEYOND));
    this.#bring(shown.slice(first, first + count));
    const clock = { zone: this.zone, now_ms: Date.now() };
    for (const [at, line] of this.#lines.entries())
      this.#fill(line, /** @type {Runtime} */ (shown[first + at]), first + at, clock);
    this.#sized(height);
    set(this.grid, "aria-rowcount", String(shown.length + 1));
    const active = this.#lines.find((line) => line.row?.id === this.#active);
    if (active) set(this.grid, "aria-activedescendant", active.element.id);
    else this.grid.removeAttribute("aria-activedescendant");
    this.#checkAll();
  }

  /**
   * Have a line for each row in view, in their order. A row that was in view before keeps its line, wherever it is now, so that
   * the browser has no text to lay out for it; lines whose rows have left are given to those that came, and they alone move.
   *
   * @param {Runtime[]} rows
   */
  #bring(rows) {
    const had = new Map(this.#lines.map((line) => [line.row?.id, line]));
    const stay = rows.map((row) => had.get(row.id));
    const free = this.#lines.filter((line) => !stay.includes(line));
    this.#lines = stay.map((line) => line ?? free.pop() ?? this.#blank());
    for (const line of free) line.element.remove();
    const staying = new Set(stay.map((line) => line?.element));
    let next = /** @type {Row | null} */ (this.body.firstElementChild);
    for (const { element } of this.#lines) {
      while (next && !staying.has(next)) next = /** @type {Row | null} */ (next.nextElementSibling);
      if (element !== next) this.body.insertBefore(element, next);
      else next = /** @type {Row | null} */ (next.nextElementSibling);
    }
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
    const index = kept.findIndex((id) => this.rows.all.has(id));
    const place = index < 0 ? -1 : this.rows.shown.findIndex((row) => row.id === kept[index]);
    if (place >= 0) this.scrollTop += (place - index - at) * height;
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

  /** @returns {Line} */
  #blank() {
    const element = /** @type {Row} */ (clone("of-row"));
    element.id = `row-${this.#made++}`;
    const stop = /** @type {Node} */ (element.lastElementChild);
    const texts = this.#columns.map((field, index) => {
      const cell = document.createElement("td");
      cell.setAttribute("role", "gridcell");
      cell.setAttribute("aria-colindex", String(index + 2));
      cell.dataset.field = field;
      cell.dir = "auto";
      element.insertBefore(cell, stop);
      return cell.appendChild(document.createTextNode(""));
    });
    this.body.append(element);
    const check = /** @type {HTMLInputElement} */ (element.querySelector("input"));
    return { element, texts, check, button: /** @type {HTMLElement} */ (element.querySelector("button")) };
  }

  /**
   * @param {Line} line
   * @param {Runtime} row
   * @param {number} place
   * @param {import("./columns.js").Clock} clock
   */
  #fill(line, row, place, clock) {
    const { element, check, button } = line;
    const { selected, unlisted, started } = this.rows;
    if (line.row?.id !== row.id) {
      element.dataset.id = row.id;
      check.ariaLabel = `Select ${row.name}, ${row.id}`;
      button.ariaLabel = `Stop ${row.name}, ${row.id}`;
    }
    if (set(element, "aria-rowindex", String(place + 2))) element.style.setProperty("--place", String(place));
    set(element, "aria-selected", String(selected.has(row.id)));
    set(element, "data-life", unlisted.has(row.id) ? "unlisted" : started.has(row.id) ? "started" : "running");
    set(element, "data-active", String(row.id === this.#active));
    if (row.id === this.#active) this.#place = place;
    set(element, "data-state", row["ext.state"] ?? "");
    check.checked = selected.has(row.id);
    set(button, "aria-disabled", String(this.refusal !== "" || unlisted.has(row.id)));
    set(button, "title", this.refusal);
    this.#write(line, row, clock);
  }

  /** @param {Line} line @param {Runtime} row @param {import("./columns.js").Clock} clock */
  #write(line, row, clock) {
    const now_s = Math.floor(clock.now_ms / 1000);
    if (line.row === row && line.now_s === now_s) return; // a row object is never changed, and an age tells seconds
    line.row = row;
    line.now_s = now_s;
    for (const [index, text] of line.texts.entries()) {
      const now = written(row, this.#columns[index] ?? "", clock);
      if (text.data !== now) text.data = now; // the text's place in the page stays as it is, which costs far less
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

  /** Take in what waits; what the pointer is on then is held from now on. */
  letIn() {
    this.anchored(() => (this.rows.held = false));
    if (this.body.matches(":hover")) this.#hold();
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

/** @param {HTMLElement} element @param {string} name @param {string} value @returns {boolean} whether it was another one */
function set(element, name, value) {
  const other = element.getAttribute(name) !== value;
  if (other) element.setAttribute(name, value);
  return other;
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
