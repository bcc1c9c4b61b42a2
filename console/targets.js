// The list of what a stop dialog will stop, or has stopped: a line for each script, with its outcome once there is one.
//
// Owns the ids from the moment they are taken, which of them are left out, and each one's outcome. Lines are made a few hundred
// a frame, and the browser lays out those in view alone, so thousands stay smooth. Sends nothing. Used by stop.js.

import { MEANING } from "./outcomes.js";

/** @typedef {import("./columns.js").Runtime} Runtime */
/** @typedef {import("./outcomes.js").Outcome} Outcome */

const LINES_A_FRAME = 250;

/** The list. Its element fires `complete` (detail: a row) when somebody asks to end that one's branch. */
export class Targets {
  /** @type {Runtime[]} */ #taken = [];
  /** @type {Map<string, HTMLElement>} */ #lines = new Map();
  /** What each line says, and the outcome if there is one. @type {Map<string, {text: string, kind: string, outcome?: Outcome}>} */
  #said = new Map();
  #withoutBranches = false;
  /** Which drawing is going on: a newer one ends it. */ #drawing = 0;

  constructor() {
    this.element = document.createElement("ul");
    this.element.className = "list";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "list"); // WebKit forgets it of a list without markers
    this.element.setAttribute("aria-label", "What will be stopped");
    this.element.addEventListener("click", (event) => {
      const id = /** @type {HTMLElement} */ (event.target).closest("button")?.closest("li")?.dataset.id;
      const row = this.rows.find((one) => one.id === id);
      if (row) this.element.dispatchEvent(new CustomEvent("complete", { detail: row }));
    });
  }

  /** What is stopped. */
  get rows() {
    return this.#withoutBranches ? this.#taken.filter((row) => !inBranch(row)) : this.#taken;
  }

  /** How many of those taken are in a branch already. */
  get branches() {
    return this.#taken.filter(inBranch).length;
  }

  /** How many were taken, with those that are left out. */
  get all() {
    return this.#taken.length;
  }

  get withoutBranches() {
    return this.#withoutBranches;
  }

  set withoutBranches(without) {
    this.#withoutBranches = without;
    void this.#draw();
  }

  /** @param {Runtime[]} rows */
  take(rows) {
    this.#taken = [...rows];
    this.#said = new Map();
    this.withoutBranches = false;
  }

  /** @param {string} id @param {Outcome} outcome @param {string} why */
  end(id, outcome, why) {
    const { text, kind } = MEANING[outcome];
    this.#say(id, { text: why === "" ? text : `${text}: ${why}`, kind, outcome });
  }

  /** @param {string} id @param {string} text  what goes on */
  say(id, text) {
    this.#say(id, { text, kind: "open" });
  }

  /** Those whose branch runs since they were stopped: a second stop ends it. */
  completable() {
    return this.rows.filter((row) => isBranch(this.#said.get(row.id)?.outcome));
  }

  /** How many came to what, in words. */
  tally() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { outcome } of this.#said.values())
      if (outcome) counts.set(MEANING[outcome].text, (counts.get(MEANING[outcome].text) ?? 0) + 1);
    return [...counts].map(([text, count]) => `${count} ${text}`).join("; ");
  }

  /** The outcomes as lines of id, site, code and outcome, parted by tabs. */
  text() {
    const lines = this.rows.map((row) =>
      [row.id, row.site, row.code, this.#said.get(row.id)?.outcome ?? ""].join("\t"),
    );
    return ["id\tsite\tcode\toutcome", ...lines].join("\n");
  }

  async #draw() {
    const drawing = (this.#drawing += 1);
    const rows = this.rows;
    this.#lines = new Map();
    this.element.replaceChildren();
    for (let from = 0; from < rows.length && drawing === this.#drawing; from += LINES_A_FRAME) {
      if (from > 0) await new Promise((go) => setTimeout(go));
      if (drawing !== this.#drawing) return;
      const lines = rows.slice(from, from + LINES_A_FRAME).map((row) => this.#line(row));
      this.element.append(...lines);
    }
  }

  /** @param {Runtime} row */
  #line(row) {
    const line = document.createElement("li");
    line.dataset.id = row.id;
    const what = document.createElement("span");
    what.className = "what";
    what.dir = "auto";
    what.textContent = row.name === "" ? row.code : row.name;
    const small = document.createElement("small");
    small.textContent = `${row.code} at ${row.site}, ${row.id}${inBranch(row) ? ", in its branch" : ""}`;
    const outcome = document.createElement("span");
    outcome.className = "outcome";
    what.append(small);
    line.append(what, outcome);
    this.#lines.set(row.id, line);
    this.#show(row.id);
    return line;
  }

  /** @param {string} id @param {{text: string, kind: string, outcome?: Outcome}} said */
  #say(id, said) {
    this.#said.set(id, said);
    this.#show(id);
  }

  /** @param {string} id */
  #show(id) {
    const line = this.#lines.get(id);
    const said = this.#said.get(id);
    if (!line || !said) return;
    const outcome = /** @type {HTMLElement} */ (line.querySelector(".outcome"));
    outcome.textContent = said.text;
    outcome.dataset.kind = said.kind;
    const button = line.querySelector("button");
    if (!isBranch(said.outcome)) button?.remove();
    else if (!button) line.append(completing(`${line.querySelector(".what")?.firstChild?.textContent ?? ""}, ${id}`));
  }
}

/** @param {string} what */
function completing(what) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "danger small";
  button.textContent = "Stop completely";
  button.ariaLabel = `Stop completely: ${what}`;
  return button;
}

/** @param {Runtime} row */
function inBranch(row) {
  return row["ext.state"] === "post_processing";
}

/** @param {Outcome | undefined} outcome */
function isBranch(outcome) {
  return outcome === "post_processing" || outcome === "already_stopping";
}
