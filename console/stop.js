// The dialog that names what will be stopped, asks once, and shows how each stop ended.
//
// Owns the phases (asking, running, done), the buttons, the focus and what is announced. What it was opened with is frozen:
// nothing else is ever stopped. While stops run it may be put aside: a line beside the list tells how far they are.
// `targets.js` lists it, `outcomes.js` stops it. Fetched by app.js when a stop is first asked for.

import { stopAll } from "./outcomes.js";
import { Targets } from "./targets.js";

/** @typedef {import("./columns.js").Runtime} Runtime */
/** @typedef {"one" | "selected" | "matching"} Frozen */

const LONGEST_REASON = 256;
/** Sites and scripts that are counted by name; the others are counted together. */
const MOST_NAMED = 6;

/** The dialog; one for the page. `aside` is the line that tells of a course whose dialog is put aside. */
export class StopDialog {
  #targets = new Targets();
  #frozen = /** @type {Frozen} */ ("one");
  /** @type {AbortController | null} */ #running = null;
  /** @type {(() => void) | null} */ #closed = null;

  /** @param {import("./api.js").Api} api */
  constructor(api) {
    this.api = api;
    this.dialog = document.createElement("dialog");
    this.title = made("h2", "");
    this.warning = made("div", "", "warning");
    this.warned = made("p", "");
    this.without = made("button", "Leave these out");
    this.warning.append(this.warned, this.without);
    this.reason = document.createElement("input");
    this.reason.maxLength = LONGEST_REASON;
    this.reason.autocomplete = "off";
    this.reasonLabel = made("label", "Reason, for the logs (optional) ", "reason");
    this.reasonLabel.append(this.reason, made("small", "No personal data, please."));
    this.bar = document.createElement("progress");
    this.bar.setAttribute("aria-label", "Stops that are done");
    this.tally = made("p", "", "hint");
    this.status = made("p", "", "unseen");
    this.status.setAttribute("role", "status");
    this.cancel = made("button", "Cancel");
    this.copy = made("button", "Copy outcomes");
    this.rest = made("button", "Send no more");
    this.hide = made("button", "Watch the list meanwhile");
    this.aside = made("p", "", "aside");
    this.asideText = made("span", "");
    this.asideStatus = made("span", "", "unseen");
    this.asideStatus.setAttribute("role", "status");
    this.show = made("button", "Show the stops");
    this.aside.append(this.asideText, this.asideStatus, this.show);
    this.aside.hidden = true;
    this.complete = made("button", "", "danger");
    this.go = made("button", "", "danger");
    const actions = made("div", "", "actions");
    actions.append(this.cancel, this.copy, this.rest, this.hide, this.complete, this.go);
    const list = this.#targets.element;
    this.dialog.append(this.title, this.warning, list, this.reasonLabel, this.bar, this.tally, this.status, actions);
    this.#name("labelledby", this.title);
    this.#name("describedby", this.warned, this.tally);
    document.body.append(this.dialog);
    this.#listen();
  }

  get open() {
    return this.dialog.open;
  }

  /** Whether it is open, or a course that is put aside has not ended or not been looked at. */
  get busy() {
    return this.open || this.#running !== null || !this.aside.hidden;
  }

  #listen() {
    this.cancel.addEventListener("click", () => this.#close());
    this.go.addEventListener("click", () => void this.#run(this.#targets.rows));
    this.rest.addEventListener("click", () => this.#running?.abort());
    this.hide.addEventListener("click", () => this.#putAside());
    this.show.addEventListener("click", () => this.#back());
    this.complete.addEventListener("click", () => void this.#run(this.#targets.completable()));
    this.copy.addEventListener("click", () => void this.#copy());
    this.without.addEventListener("click", () => this.#leaveOut(!this.#targets.withoutBranches));
    this.#targets.element.addEventListener("complete", (event) => {
      void this.#run([/** @type {CustomEvent} */ (event).detail]);
    });
    this.reason.addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault(); // a stop is meant by its button alone
    });
    this.dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#close();
    });
    this.dialog.addEventListener("close", () => {
      if (this.#running && this.aside.hidden)
        this.#putAside(); // browsers close it at the second Escape, whatever is said to the first
      else this.#closed?.();
    });
    addEventListener("beforeunload", (event) => {
      if (this.#running) event.preventDefault();
    });
  }

  /**
   * Show what will be stopped, and stop it if that is confirmed. Resolves when the dialog is closed or put aside. Before an
   * earlier course has ended and been looked at, that one is shown instead.
   *
   * @param {Runtime[]} rows  frozen: nothing else is stopped
   * @param {Frozen} frozen  where they come from
   * @returns {Promise<void>}
   */
  ask(rows, frozen) {
    if (this.open) return Promise.resolve();
    if (!this.aside.hidden) return Promise.resolve(this.#back());
    const focused = /** @type {HTMLElement | null} */ (document.activeElement);
    this.#frozen = frozen;
    this.#targets.take(rows);
    this.reason.value = "";
    this.status.textContent = "";
    this.#asking();
    this.dialog.showModal();
    this.cancel.focus();
    return new Promise((closed) => {
      this.#closed = () => {
        giveBack(focused);
        closed();
      };
    });
  }

  #asking() {
    const { rows, branches, all } = this.#targets;
    const many = `${rows.length.toLocaleString("en")} scripts`;
    const of = { one: "", selected: " that are selected", matching: " that match now" }[this.#frozen];
    this.title.textContent = rows.length === 1 ? "Stop this script?" : `Stop ${many}${of}?`;
    this.go.textContent = rows.length === 1 ? "Stop it" : `Stop ${many}`;
    this.go.ariaDisabled = String(rows.length === 0);
    this.warning.hidden = branches === 0;
    this.without.hidden = branches === all;
    this.without.ariaPressed = String(this.#targets.withoutBranches);
    this.warned.textContent = `${branches === all ? "" : `${branches.toLocaleString("en")} of them: `}the goodbye branch runs already. This stop ends it completely.`;
    this.tally.textContent =
      rows.length === 1 ? "" : `By site: ${counted(rows, "site")}. By script: ${counted(rows, "code")}.`;
    this.#phase("asking");
  }

  /** @param {boolean} without */
  #leaveOut(without) {
    this.#targets.withoutBranches = without;
    this.#asking();
    if (without)
      this.warned.textContent = `${this.#targets.branches.toLocaleString("en")} are left out: their branch runs on.`;
    this.status.textContent = this.title.textContent;
  }

  /** @param {Runtime[]} rows */
  async #run(rows) {
    if (this.#running || rows.length === 0) return;
    const running = (this.#running = new AbortController());
    const reason = this.reason.value.replace(/\p{Cc}+/gu, " ").trim();
    this.title.textContent = "Stopping";
    this.#phase("running");
    this.bar.max = rows.length;
    this.bar.value = 0;
    this.#told(0, rows.length);
    let done = 0;
    await stopAll(
      this.api,
      rows.map((row) => row.id),
      {
        reason,
        signal: running.signal,
        begun: (id) => this.#targets.say(id, "under way"),
        tell: (id, outcome, why) => {
          this.#targets.end(id, outcome, why);
          this.#told((done += 1), rows.length);
        },
      },
    );
    this.#running = null;
    this.title.textContent = this.#targets.rows.length === 1 ? "Stopped" : "All stops have been sent";
    if (running.signal.aborted) this.title.textContent = "Some stops were not sent";
    this.tally.textContent = this.#targets.tally();
    const told = `${this.title.textContent}: ${this.tally.textContent}`;
    this.#announce(told);
    this.asideText.textContent = `${told} `;
    this.#phase("done");
  }

  /** Show how far it is, and announce each tenth. @param {number} done @param {number} of */
  #told(done, of) {
    this.bar.value = done;
    const text = `${done.toLocaleString("en")} of ${of.toLocaleString("en")} done`;
    this.tally.textContent = text;
    this.asideText.textContent = `Stops: ${text} `;
    const tenth = Math.floor((10 * done) / of);
    if (of >= 20 && tenth > Math.floor((10 * (done - 1)) / of)) this.#announce(text);
  }

  /** Say it where it can be heard: what is in a closed dialog is not. @param {string} text */
  #announce(text) {
    const status = this.open ? this.status : this.asideStatus;
    status.textContent = text;
  }

  #putAside() {
    this.aside.hidden = false;
    if (this.open) this.dialog.close();
    else this.#closed?.();
  }

  #back() {
    this.aside.hidden = true;
    this.dialog.showModal();
    (this.#running ? this.rest : this.cancel).focus();
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#targets.text());
      this.status.textContent = this.tally.textContent = "The outcomes are in the clipboard.";
    } catch {
      this.tally.textContent = "The browser does not allow copying here.";
    }
  }

  /** @param {"asking" | "running" | "done"} phase */
  #phase(phase) {
    const branches = phase === "done" ? this.#targets.completable().length : 0;
    this.dialog.dataset.phase = phase;
    this.go.hidden = this.reasonLabel.hidden = phase !== "asking";
    if (phase !== "asking") this.warning.hidden = true;
    this.bar.hidden = phase !== "running";
    this.rest.hidden = this.hide.hidden = phase !== "running";
    this.cancel.hidden = phase === "running";
    this.copy.hidden = phase !== "done";
    this.complete.hidden = branches === 0;
    this.complete.textContent = branches === 1 ? "Stop completely" : `Stop ${branches} completely`;
    this.cancel.textContent = phase === "asking" ? "Cancel" : "Close";
    if (phase === "running") this.rest.focus();
    if (phase === "done") this.cancel.focus();
  }

  #close() {
    if (!this.#running) this.dialog.close();
  }

  /** @param {string} how @param {HTMLElement[]} by */
  #name(how, ...by) {
    by.forEach((element, index) => (element.id = `stop-${how}-${index}`));
    this.dialog.setAttribute(`aria-${how}`, by.map((element) => element.id).join(" "));
  }
}

/**
 * Give the focus back. A table's line may show another script by now, so a button in it gives it back to the table.
 *
 * @param {HTMLElement | null} focused
 */
function giveBack(focused) {
  /** @type {HTMLElement | null | undefined} */ (focused?.closest("[role=grid]") ?? focused)?.focus();
}

/** @param {Runtime[]} rows @param {"site" | "code"} field */
function counted(rows, field) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const row of rows) counts.set(row[field], (counts.get(row[field]) ?? 0) + 1);
  const most = [...counts].sort(([one, more], [other, less]) => less - more || (one < other ? -1 : 1));
  const named = most.slice(0, MOST_NAMED).map(([value, count]) => `${value}: ${count.toLocaleString("en")}`);
  const others = most.slice(MOST_NAMED).reduce((sum, [, count]) => sum + count, 0);
  return [...named, ...(others > 0 ? [`others: ${others.toLocaleString("en")}`] : [])].join(", ");
}

/** @param {string} name @param {string} text @param {string} [kind] @returns {any} */
function made(name, text, kind = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (kind !== "") element.className = kind;
  if (element instanceof HTMLButtonElement) element.type = "button";
  return element;
}
