// The console's composition root: configuration, sign-in, then the list, kept up to date and in step with the address.
//
// Owns what stands on the page outside the table: header, banners, counts, and which part is told of what. The filter form
// and the stop dialog are fetched when they are first used.

import { Api, ApiError } from "./api.js";
import { Auth, loadConfig, SignInError } from "./auth.js";
import { FIELDS, NEEDED, instant, maskOf, shown } from "./columns.js";
import { Facet } from "./facets.js";
import { Poll } from "./poll.js";
import { Rows } from "./rows.js";
import { RuntimeTable } from "./table.js";
import { readView, writeView } from "./url.js";

/** @typedef {import("./columns.js").Runtime} Runtime */
/** @typedef {import("./url.js").View} View */

/** More rows than this are not shown, nor stopped together: a filter finds the right ones. */
const MOST_ROWS = 10_000;

/** As many ids as fit into a filter. */
const MOST_IDS = 100;

/** A frame that has not come by then does not come: nobody sees the page. */
const UNSEEN_MS = 100;

/** After this the list counts as old. */
const OLD_MS = 15_000;

/** @param {string} id @returns {any} */
const the = (id) => document.getElementById(id);

/** What is shown to somebody who is signed in. */
class Console {
  rows = new Rows();
  table = new RuntimeTable(this.rows);
  asOf_ms = 0;
  anew = true;
  /** Banners by what they are about. @type {Map<string, string>} */ told = new Map();
  /** @type {View} */ view;
  /** @type {import("./filters.js").FilterForm | undefined} */ form;
  /** @type {import("./stop.js").StopDialog | undefined} */ dialog;
  /** Whether more match than are shown. */ more = false;
  /** How many match, if more than are shown: counted once for each view, since all are read for it. @type {number | null} */ total =
    null;
  /** @type {AbortController | null} */ #counting = null;

  /** @param {import("./auth.js").Config} config @param {Auth} auth */
  constructor(config, auth) {
    this.auth = auth;
    this.api = new Api({ base: config.api, token: (refused) => auth.token(refused) });
    this.numbers = auth.may(config.scope_numbers);
    this.refusal = auth.may(config.scope_stop)
      ? ""
      : `You may not stop scripts: your sign-in lacks ${config.scope_stop}.`;
    const { view, wrong } = readView(location.search);
    this.view = view;
    this.#tell("view", wrong.join(" "));
    const narrow = (/** @type {unknown} */ filter) => this.change({ filter });
    this.sites = new Facet(the("sites"), "site", narrow);
    this.scripts = new Facet(the("scripts"), "code", narrow);
    this.poll = new Poll(
      (signal) => this.ask(signal),
      () => this.table.scrolling,
    );
  }

  start() {
    the("list").hidden = the("pause").hidden = the("sign-out").hidden = false;
    the("person").textContent = this.auth.name;
    the("domain").textContent = this.auth.domain;
    the("refusal").textContent = this.refusal;
    the("place").replaceWith(this.table);
    this.table.refusal = this.refusal;
    this.#fillColumns();
    this.#fillZones();
    this.#listen();
    this.#laidOut();
    this.poll.now();
    setInterval(() => this.#tick(), 1000);
  }

  #listen() {
    this.table.addEventListener("chosen", () => this.#showSelection());
    this.table.addEventListener("held", () => this.#showCounts());
    this.table.addEventListener("order", (event) => this.change({ order: /** @type {CustomEvent} */ (event).detail }));
    this.table.addEventListener("stop", (event) => this.stop([/** @type {CustomEvent} */ (event).detail], "one"));
    the("waiting").addEventListener("click", () => this.#release());
    the("clear").addEventListener("click", () => this.#select([]));
    the("stop-selected").addEventListener("click", () => this.stop(this.rows.chosen(), "selected"));
    the("stop-matching").addEventListener("click", () => this.stopMatching());
    the("filter").addEventListener("click", () => this.showFilter());
    the("pause").addEventListener("click", () => this.#pause());
    the("zone").addEventListener("change", () => this.change({ zone: the("zone").value }));
    the("columns").addEventListener("change", () => this.#columnsChosen());
    addEventListener("popstate", () => this.#read());
  }

  /** Somebody has changed the address. */
  #read() {
    const { view, wrong } = readView(location.search);
    this.change(view);
    this.#tell("view", wrong.join(" "));
    this.#showBanners();
  }

  /** Show another view, and put it into the address. @param {Partial<View>} some */
  change(some) {
    const asked = JSON.stringify([this.view.filter, this.view.order, maskOf(this.view.columns, this.numbers)]);
    this.view = { ...this.view, ...some };
    history.replaceState(null, "", location.pathname + writeView(this.view));
    this.told.delete("view");
    this.#laidOut();
    if (asked === JSON.stringify([this.view.filter, this.view.order, maskOf(this.view.columns, this.numbers)])) return;
    this.anew = true;
    this.poll.now();
  }

  #laidOut() {
    this.table.zone = this.view.zone;
    this.table.layout(shown(this.view.columns, this.numbers), this.view.order);
    the("filter").textContent = this.view.filter === null ? "Filter" : "Filter: on";
    if (this.form) this.form.value = this.view;
    the("zone").value = this.view.zone;
    for (const check of the("columns").querySelectorAll("input"))
      check.checked = this.view.columns.includes(check.value);
    this.#showBanners();
  }

  /** @param {AbortSignal} signal @returns {Promise<import("./poll.js").Outcome>} */
  async ask(signal) {
    try {
      const answer = await this.api.list({ ...this.#question(), signal });
      await turn();
      signal.throwIfAborted();
      const compared = this.rows.compared(answer.rows.slice(0, MOST_ROWS), this.anew);
      await turn();
      signal.throwIfAborted();
      this.#take(answer, compared);
      return { changed: compared.changed };
    } catch (error) {
      if (signal.aborted && error instanceof DOMException) throw error; // another list is asked for in its place
      this.#failed(error);
      return { failed: true, retryAfter_s: error instanceof ApiError ? error.retryAfter_s : null };
    }
  }

  #question() {
    const { filter, order, columns } = this.view;
    return { filter, order, mask: maskOf(columns, this.numbers), limit: MOST_ROWS + 1 };
  }

  /** @param {import("./api.js").Answer} answer @param {import("./rows.js").Compared} compared */
  #take({ rows, sites, asOf_ms }, compared) {
    const more = rows.length > MOST_ROWS;
    this.more = more;
    this.table.anchored(() => this.rows.update(compared));
    if (this.anew) this.#opened();
    this.anew = false;
    this.asOf_ms = asOf_ms;
    this.told.delete("failed");
    this.told.delete("matching");
    if (!more) this.total = null;
    this.#showMore();
    const dark = sites.filter((one) => one.alive < one.known);
    this.#tell(
      "sites",
      dark.map(({ site, alive, known }) => `${site}: ${known - alive} of ${known} nodes are not heard of.`).join(" ") +
        (dark.length > 0 ? " What runs there is not in this list." : ""),
    );
    this.form?.problem(null);
    this.#showAll();
  }

  /** The first answer of a view is there. */
  #opened() {
    this.table.scrollTop = 0;
    this.total = null;
    this.#counting?.abort();
    if (this.more) void this.#count((this.#counting = new AbortController()).signal);
  }

  /** @param {AbortSignal} signal */
  async #count(signal) {
    const question = { filter: this.view.filter, order: [], mask: ["id"], limit: 1, counted: true, signal };
    const answer = await this.api.list(question).catch(() => null); // without it the list is as good
    if (answer === null || signal.aborted || !this.more) return;
    this.total = answer.total;
    this.#showMore();
    this.#showBanners();
    this.#showCounts();
  }

  #showMore() {
    const most = MOST_ROWS.toLocaleString("en");
    const all = this.total === null ? "" : `, ${this.total.toLocaleString("en")} when this view was opened`;
    const shown = `The first ${most} in this order are shown and counted; filter to see the others.`;
    this.#tell("more", this.more ? `More than ${most} scripts fit${all}. ${shown}` : "");
  }

  /** @param {unknown} error */
  #failed(error) {
    const refused = error instanceof ApiError && (error.status === 400 || error.code === "insufficient_scope");
    if (refused)
      this.#tell(
        "failed",
        `The API refuses this view: ${error.faults.map((one) => `${one.place}: ${one.message}; ${one.remedy}`).join(". ") || error.message}`,
      );
    else
      this.#tell(
        "failed",
        `The list cannot be refreshed: ${error instanceof Error ? error.message : error} It is tried again.`,
      );
    this.form?.problem(refused ? error : null);
    this.#showBanners();
  }

  /** @param {string} about @param {string} text */
  #tell(about, text) {
    if (text === "") this.told.delete(about);
    else this.told.set(about, text);
  }

  #showAll() {
    the("domain").textContent ||= this.rows.shown[0]?.domain ?? "";
    the("none").hidden = this.rows.shown.length > 0;
    this.#showBanners();
    this.#showSelection();
    this.#tick();
    void turn().then(() => this.#showCounts());
  }

  #showBanners() {
    const texts = [...this.told.values()];
    const now = [...the("banners").children].map((one) => one.textContent);
    if (now.join("\n") === texts.join("\n")) return;
    the("banners").replaceChildren(...texts.map((text) => made("p", text)));
  }

  #showCounts() {
    const { all, waiting, unlisted } = this.rows;
    const beyond = this.total === null ? "+" : ` of ${this.total.toLocaleString("en")}`;
    the("count").textContent = `${all.size.toLocaleString("en")}${this.more ? beyond : ""} running`;
    the("waiting").hidden = waiting + unlisted.size === 0;
    the("waiting").textContent = `${waiting} new, ${unlisted.size} no longer listed: show`;
    this.sites.show(this.rows.counts("site"), this.view.filter);
    this.scripts.show(this.rows.counts("code"), this.view.filter);
  }

  #showSelection() {
    const count = this.rows.selected.size;
    const text = count === 0 ? "Nothing is selected" : `${count.toLocaleString("en")} selected`;
    if (the("selection").textContent !== text) the("selection").textContent = text;
    the("clear").hidden = count === 0;
    disable(the("stop-selected"), this.refusal || (count === 0 ? "Select scripts first" : ""));
    const most = this.more ? `More than ${MOST_ROWS.toLocaleString("en")} match: filter first` : "";
    disable(the("stop-matching"), this.refusal || most || (this.rows.all.size === 0 ? "Nothing runs that fits" : ""));
  }

  #tick() {
    if (document.hidden || this.asOf_ms === 0) return;
    const age_ms = Date.now() - this.asOf_ms;
    the("as-of").textContent =
      `as of ${instant(new Date(this.asOf_ms).toISOString(), this.view.zone).slice(-8)}, ${Math.max(0, Math.round(age_ms / 1000))} s ago`;
    the("as-of").dataset.old = String(age_ms > OLD_MS);
    this.table.soon();
  }

  #pause() {
    this.poll.paused = !this.poll.paused;
    the("pause").ariaPressed = String(this.poll.paused);
  }

  #release() {
    this.table.letIn();
    this.#showCounts();
    this.table.grid.focus();
  }

  /** @param {string[]} ids */
  #select(ids) {
    this.rows.selected = new Set(ids);
    this.#showSelection();
    this.table.grid.focus();
    this.table.soon();
  }

  async showFilter() {
    if (this.form === undefined) {
      const { FilterForm } = await import("./filters.js");
      this.form = new FilterForm(this.numbers, (some) => this.change(some));
      this.form.suggest = (/** @type {string} */ field) => this.#values(field);
      this.form.value = this.view;
      the("filters").append(this.form);
    }
    const open = the("filter").ariaExpanded !== "true";
    the("filter").ariaExpanded = String(open);
    the("filters").hidden = !open;
    if (open) this.form.focus();
  }

  /** @param {string} field */
  #values(field) {
    const rows = /** @type {any[]} */ ([...this.rows.all.values()]);
    return [...new Set(rows.map((row) => row[field]).filter((value) => typeof value === "string"))]
      .sort()
      .slice(0, 200);
  }

  /** @param {Runtime[]} rows @param {import("./stop.js").Frozen} frozen */
  async stop(rows, frozen) {
    if (this.refusal !== "" || rows.length === 0) return;
    const { StopDialog } = await import("./stop.js");
    if (this.dialog === undefined) {
      this.dialog = new StopDialog(this.api);
      the("actions").append(this.dialog.aside);
    }
    await this.dialog.ask(frozen === "matching" ? rows : await this.#asTheyAre(rows), frozen);
    this.poll.now();
  }

  /** The same rows with their present state, so that a branch that began meanwhile is told. @param {Runtime[]} rows */
  async #asTheyAre(rows) {
    const ids = rows.map((row) => row.id);
    const filter = ids.length > MOST_IDS ? null : ["in", ["property", "id"], ["const", ids]];
    try {
      const answer = await this.api.list({
        filter,
        order: [],
        mask: NEEDED,
        limit: MOST_ROWS,
        signal: AbortSignal.timeout(3000),
      });
      const now = new Map(answer.rows.map((row) => [row.id, row]));
      return rows.map((row) => now.get(row.id) ?? row);
    } catch {
      return rows; // a stop is needed most when the list is not to be had
    }
  }

  /** Stop what matches now: the ids are fetched anew, shown, and those alone are stopped. */
  async stopMatching() {
    if (the("stop-matching").ariaDisabled === "true") return;
    try {
      const { rows } = await this.api.list(this.#question());
      this.#tell("matching", rows.length > MOST_ROWS ? "Too many match by now: filter first." : "");
      this.#showBanners();
      if (rows.length <= MOST_ROWS) await this.stop(rows, "matching");
    } catch (error) {
      this.#failed(error);
    }
  }

  /**
   * The session has ended: sign in anew and come back to this view; not while stops are under way. Not before a first list
   * either, or page and issuer might send the browser to and fro without end.
   *
   * @param {boolean} refused  whether because the API does not take the token
   */
  expired(refused) {
    if (this.asOf_ms === 0) return this.#unusable(refused);
    this.#tell("session", "Your sign-in has ended. Load this page anew to sign in again.");
    this.#showBanners();
    if (!this.dialog?.busy) void this.auth.signIn().catch(() => this.poll.stop());
  }

  /** @param {boolean} refused */
  #unusable(refused) {
    this.poll.stop();
    const why = refused
      ? "The API refuses the token that the issuer gave: its issuer or audience may not be the API's (config.json)."
      : "Your sign-in has ended before the API gave a list.";
    this.#tell("session", `${why} Load this page anew to sign in again.`);
    this.#showBanners();
  }

  #fillColumns() {
    for (const [field, { title, personal }] of Object.entries(FIELDS)) {
      if (personal && !this.numbers) continue;
      const label = made("label", "");
      const check = made("input", "");
      check.type = "checkbox";
      check.value = field;
      label.append(check, title);
      the("columns").querySelector("fieldset").append(label);
    }
  }

  #columnsChosen() {
    const checks = /** @type {HTMLInputElement[]} */ ([...the("columns").querySelectorAll("input")]);
    const chosen = checks.filter((check) => check.checked).map((check) => check.value);
    const kept = this.view.columns.filter(
      (field) => chosen.includes(field) || (FIELDS[field]?.personal && !this.numbers),
    );
    this.change({ columns: [...kept, ...chosen.filter((field) => !kept.includes(field))] });
  }

  #fillZones() {
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const zone of new Set(["local", "UTC", this.view.zone, ...Intl.supportedValuesOf("timeZone")])) {
      const option = made("option", zone === "local" ? `Local (${here})` : zone);
      option.value = zone;
      the("zone").append(option);
    }
  }
}

/** Let the browser draw a frame, and answer whoever uses the page, between two pieces of long work. */
function turn() {
  return new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    setTimeout(done, UNSEEN_MS);
  });
}

/** @param {any} button @param {string} why  empty: it works */
function disable(button, why) {
  button.ariaDisabled = String(why !== "");
  button.title = why;
}

/** @param {string} name @param {string} text @returns {any} */
function made(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** @param {string} title @param {string} text @param {() => void} act */
function welcome(title, text, act) {
  the("welcome-title").textContent = title;
  the("welcome-text").textContent = text;
  the("welcome").hidden = false;
  the("list").hidden = true;
  the("sign-in").onclick = act;
  the("sign-in").focus();
}

async function main() {
  /** @type {Console | undefined} */
  let shownNow;
  try {
    const config = await loadConfig();
    const auth = new Auth(config, (refused) => shownNow?.expired(refused));
    const signIn = () => auth.signIn().catch((error) => welcome("Sign-in does not work", error.message, signIn));
    try {
      if (!(await auth.resume())) {
        if (sessionStorage.getItem("ivr-console-signed-out") === null) return void (await signIn());
        sessionStorage.removeItem("ivr-console-signed-out");
        return welcome("You are signed out", "", signIn);
      }
    } catch (error) {
      if (!(error instanceof SignInError)) throw error;
      return welcome("Sign-in does not work", error.message, signIn);
    }
    the("sign-out").onclick = () => {
      shownNow?.poll.stop();
      sessionStorage.setItem("ivr-console-signed-out", "1");
      if (!auth.signOut()) location.reload();
    };
    shownNow = new Console(config, auth);
    shownNow.start();
  } catch (error) {
    welcome("The console does not work", error instanceof Error ? error.message : String(error), () =>
      location.reload(),
    );
  }
}

void main();
