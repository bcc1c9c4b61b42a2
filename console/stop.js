// <ivr-stop>: the dialog that names what will be stopped, asks once, and shows how each stop ended.
//
// Owns the ids from the moment it opens: they are frozen, and nothing else is ever stopped. `outcomes.js` stops them. Fetched
// by app.js when a stop is first asked for.

import { MEANING, stopAll } from "./outcomes.js";

/** @typedef {import("./columns.js").Runtime} Runtime */
/** @typedef {import("./outcomes.js").Outcome} Outcome */
/** @typedef {"one" | "selected" | "matching"} Frozen */

const LONGEST_REASON = 256;

/** The dialog; one for the page. */
export class StopDialog {
  /** @type {Runtime[]} */ #rows = [];
  /** @type {Map<string, HTMLElement>} */ #places = new Map();
  /** @type {Map<string, Outcome>} */ #outcomes = new Map();
  /** @type {AbortController | null} */ #running = null;
  /** @type {(() => void) | null} */ #closed = null;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    this.dialog = document.createElement("dialog");
    this.title = made("h2", "");
    this.title.id = "stop-title";
    this.dialog.setAttribute("aria-labelledby", "stop-title");
    this.warning = made("p", "", "warning");
    this.list = made("ul", "", "list");
    this.list.tabIndex = 0;
    this.list.setAttribute("aria-label", "What will be stopped");
    this.reason = document.createElement("input");
    this.reason.maxLength = LONGEST_REASON;
    this.reasonLabel = made("label", "Reason, for the logs (optional) ", "reason");
    this.reasonLabel.append(this.reason, made("small", "No personal data, please."));
    this.progress = made("p", "", "hint");
    this.progress.setAttribute("role", "status");
    this.cancel = made("button", "Cancel");
    this.rest = made("button", "Send no more");
    this.complete = made("button", "", "danger");
    this.go = made("button", "", "danger");
    const actions = made("div", "", "actions");
    actions.append(this.cancel, this.rest, this.complete, this.go);
    this.dialog.append(this.title, this.warning, this.list, this.reasonLabel, this.progress, actions);
    document.body.append(this.dialog);
    this.#listen();
  }

  get open() {
    return this.dialog.open;
  }

  #listen() {
    this.cancel.addEventListener("click", () => this.#close());
    this.go.addEventListener("click", () => void this.#run(this.#rows));
    this.rest.addEventListener("click", () => this.#running?.abort());
    this.complete.addEventListener("click", () => void this.#run(this.#branches()));
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#close();
    });
    addEventListener("beforeunload", (event) => {
      if (this.#running) event.preventDefault();
    });
  }

  /**
   * Show what will be stopped, and stop it if that is confirmed. Resolves when the dialog is closed.
   *
   * @param {Runtime[]} rows  frozen: nothing else is stopped
   * @param {Frozen} frozen  where they come from
   * @returns {Promise<void>}
   */
  ask(rows, frozen) {
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    this.#rows = rows;
    this.#outcomes = new Map();
    const many = `${rows.length.toLocaleString("en")} scripts`;
    const of = { one: "", selected: " that are selected", matching: " that match now" }[frozen];
    this.title.textContent = rows.length === 1 ? "Stop this script?" : `Stop ${many}${of}?`;
    this.go.textContent = rows.length === 1 ? "Stop it" : `Stop ${many}`;
    this.#places = new Map(rows.map((row) => [row.id, this.#item(row)]));
    this.list.replaceChildren(...this.#places.values());
    const branches = rows.filter((row) => row["ext.state"] === "post_processing").length;
    this.warning.hidden = branches === 0;
    this.warning.textContent = `${branches === rows.length ? "" : `${branches} of them: `}the goodbye branch runs already. This stop ends it completely.`;
    this.reason.value = "";
    this.reasonLabel.hidden = false;
    this.progress.textContent = rows.length === 1 ? "" : summary(rows);
    this.#buttons("asking");
    this.dialog.showModal();
    this.cancel.focus();
    return new Promise((closed) => {
      this.#closed = () => {
        focused?.focus();
        closed();
      };
    });
  }

  /** @param {Runtime} row */
  #item(row) {
    const item = document.createElement("li");
    const what = made("span", row.name === "" ? row.code : row.name, "what");
    what.dir = "auto";
    what.append(made("small", `${row.code} at ${row.site}, ${row.id}`));
    item.append(what, made("span", "", "outcome"));
    return item;
  }

  /** @param {Runtime[]} rows */
  async #run(rows) {
    if (this.#running) return;
    const running = (this.#running = new AbortController());
    const reason = this.reason.value.trim();
    this.reasonLabel.hidden = true;
    this.warning.hidden = true;
    this.title.textContent = "Stopping";
    this.#buttons("running");
    let done = 0;
    for (const { id } of rows) this.#show(id, "under way", "open");
    await stopAll(
      this.api,
      rows.map((row) => row.id),
      {
        reason,
        signal: running.signal,
        tell: (id, outcome, why) => {
          this.#outcomes.set(id, outcome);
          const { text, kind } = MEANING[outcome];
          this.#show(id, why === "" ? text : `${text}: ${why}`, kind);
          done += 1;
          if (done % 10 === 0 || done === rows.length) this.progress.textContent = `${done} of ${rows.length} done`;
        },
      },
    );
    this.#running = null;
    this.title.textContent = rows.length === 1 ? "Stopped" : "All stops have been sent";
    if (running.signal.aborted) this.title.textContent = "Some stops were not sent";
    this.progress.textContent = this.#sum();
    this.#buttons("done");
  }

  /** Those whose branch runs since this dialog stopped them, and may be ended by a second stop. */
  #branches() {
    return this.#rows.filter((row) =>
      ["post_processing", "already_stopping"].includes(this.#outcomes.get(row.id) ?? ""),
    );
  }

  /** @param {string} id @param {string} text @param {string} kind */
  #show(id, text, kind) {
    const place = /** @type {HTMLElement} */ (this.#places.get(id)?.lastElementChild);
    place.textContent = text;
    place.dataset.kind = kind;
  }

  #sum() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const outcome of this.#outcomes.values())
      counts.set(MEANING[outcome].text, (counts.get(MEANING[outcome].text) ?? 0) + 1);
    return [...counts].map(([text, count]) => `${count} ${text}`).join("; ");
  }

  /** @param {"asking" | "running" | "done"} phase */
  #buttons(phase) {
    const branches = phase === "done" ? this.#branches().length : 0;
    this.go.hidden = phase !== "asking";
    this.rest.hidden = phase !== "running" || this.#rows.length === 1;
    this.complete.hidden = branches === 0;
    this.complete.textContent = branches === 1 ? "Stop completely" : `Stop ${branches} completely`;
    this.cancel.textContent = phase === "asking" ? "Cancel" : "Close";
    this.cancel.ariaDisabled = String(phase === "running");
    if (phase !== "asking") this.cancel.focus();
  }

  #close() {
    if (this.#running) return;
    this.dialog.close();
    this.#closed?.();
  }
}

/** @param {Runtime[]} rows */
function summary(rows) {
  /** @type {Map<string, number>} */
  const sites = new Map();
  for (const row of rows) sites.set(row.site, (sites.get(row.site) ?? 0) + 1);
  return [...sites].map(([site, count]) => `${site}: ${count}`).join(", ");
}

/** @param {string} name @param {string} text @param {string} [kind] @returns {any} */
function made(name, text, kind = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (kind !== "") element.className = kind;
  if (element instanceof HTMLButtonElement) element.type = "button";
  return element;
}
