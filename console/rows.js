// The runtimes that are known, by id: what is shown in which order, what is new or no longer listed, what is selected.
//
// Owns the difference between two answers, and the selection, which is by id alone. While rows are held (the pointer is on
// them) none of them moves: what is no longer listed stays in its place and is marked, what is new waits. A row that is no
// longer listed may have ended, no longer fit the filter, or lie beyond the most rows. Draws nothing. Used by app.js and
// table.js.

/** @typedef {import("./columns.js").Runtime} Runtime */

/**
 * An answer beside the one before: its rows by id, what is new in it, whether anything has changed, and whether it answers
 * another question.
 *
 * @typedef {{now: Map<string, Runtime>, started: Set<string>, changed: boolean, anew: boolean}} Compared
 */

/** The list's state. A row object is never changed: a later answer brings a new one if anything in it is another. */
export class Rows {
  /** What the last answer had. @type {Map<string, Runtime>} */ #now = new Map();
  /** What is shown, in order. @type {Runtime[]} */ shown = [];
  /** @type {Set<string>} */ selected = new Set();
  /** Shown, but not in the last answer. @type {Set<string>} */ unlisted = new Set();
  /** In the last answer and not in the one before. @type {Set<string>} */ started = new Set();
  /** How many of the last answer are not shown yet, because rows are held. */ waiting = 0;
  #held = false;

  /** All that runs, by the last answer. */
  get all() {
    return this.#now;
  }

  get held() {
    return this.#held;
  }

  set held(held) {
    this.#held = held;
    if (!held) this.#settle();
  }

  /**
   * Compare an answer with the one before; changes nothing, so that it can be done apart from what draws.
   *
   * @param {Runtime[]} rows
   * @param {boolean} [anew]  whether it answers another question than the one before
   * @returns {Compared}
   */
  compared(rows, anew = false) {
    const before = this.#now;
    /** @type {Map<string, Runtime>} */
    const now = new Map();
    /** @type {Set<string>} */
    const started = new Set();
    let changed = anew || rows.length !== before.size;
    for (const row of rows) {
      const was = before.get(row.id);
      const same = was !== undefined && !isOther(row, was);
      now.set(row.id, same ? was : row);
      if (!same) changed = true;
      if (was === undefined && !anew) started.add(row.id);
    }
    return { now, started, changed, anew };
  }

  /**
   * Take an answer in.
   *
   * @param {Compared} answer
   */
  update({ now, started, anew }) {
    this.#now = now;
    this.started = started;
    for (const id of this.selected) if (!this.#now.has(id)) this.selected.delete(id);
    if (this.#held && !anew) this.#mark();
    else this.#settle();
  }

  /**
   * Count what runs by a field, the most frequent first.
   *
   * @param {"site" | "code"} field
   * @returns {[string, number][]}
   */
  counts(field) {
    /** @type {Map<string, number>} */
    const found = new Map();
    for (const row of this.#now.values()) found.set(row[field], (found.get(row[field]) ?? 0) + 1);
    return [...found].sort(([one, most], [other, least]) => least - most || (one < other ? -1 : 1));
  }

  /** The rows that are selected, in the order in which they are shown. */
  chosen() {
    return [...this.#now.values()].filter((row) => this.selected.has(row.id));
  }

  #settle() {
    this.shown = [...this.#now.values()];
    this.unlisted = new Set();
    this.waiting = 0;
  }

  #mark() {
    const places = new Set(this.shown.map((row) => row.id));
    this.shown = this.shown.map((row) => this.#now.get(row.id) ?? row);
    this.unlisted = new Set(this.shown.filter((row) => !this.#now.has(row.id)).map((row) => row.id));
    this.waiting = this.#now.size - (places.size - this.unlisted.size);
  }
}

/**
 * @param {Runtime} row
 * @param {Runtime} before
 */
function isOther(row, before) {
  for (const name in row) if (/** @type {any} */ (row)[name] !== /** @type {any} */ (before)[name]) return true;
  for (const name in before) if (!(name in row)) return true;
  return false;
}
