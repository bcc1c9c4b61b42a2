// When the list is asked again.
//
// Owns the pauses: 2 s while something changes, longer while nothing does, none while the page is hidden or paused, and as
// long as the API says after 429 and 503, whatever asks meanwhile. Knows nothing of rows. Used by app.js.

const SHORTEST_MS = 2_000;
const LONGEST_MS = 10_000;
const BACKOFF_MOST_MS = 60_000;
const BUSY_MS = 250;

/** An answer that has not come by then does not come: API Gateway gives up after 30 s. */
const ANSWER_WITHIN_MS = 35_000;

/** @typedef {{changed: boolean} | {failed: true, retryAfter_s: number | null}} Outcome */

/** Calls `ask` again and again, never twice at a time. */
export class Poll {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer;
  /** @type {AbortController | null} */ #running = null;
  #pause_ms = SHORTEST_MS;
  #backoff_ms = 0;
  #paused = false;
  #over = false;
  #waited_ms = 0;
  /** Before this the API wants to hear nothing; by `performance.now()`. */ #earliest_ms = 0;

  /**
   * @param {(signal: AbortSignal) => Promise<Outcome>} ask
   * @param {() => boolean} busy  whether the page has better to do: then it waits, up to the longest pause
   */
  constructor(ask, busy) {
    this.ask = ask;
    this.busy = busy;
    document.addEventListener("visibilitychange", () => this.#wake());
    addEventListener("online", () => {
      if (!this.#paused && !document.hidden) this.now();
    });
  }

  get paused() {
    return this.#paused;
  }

  set paused(paused) {
    this.#paused = paused;
    this.#wake();
  }

  /** Ask as soon as the API allows, in place of what is being asked: even if paused, for it is another question. */
  now() {
    if (this.#over) return;
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
    this.#pause_ms = SHORTEST_MS;
    const wait_ms = this.#earliest_ms - performance.now();
    if (wait_ms <= 0) void this.#step();
    else this.#timer = setTimeout(() => void this.#step(), wait_ms);
  }

  /** End it for good: nothing is asked any more. */
  stop() {
    this.#over = this.#paused = true;
    clearTimeout(this.#timer);
    this.#running?.abort();
  }

  #wake() {
    if (this.#paused || document.hidden) clearTimeout(this.#timer);
    else if (this.#running === null) this.now();
  }

  #due() {
    if (this.busy() && this.#waited_ms < LONGEST_MS) {
      this.#waited_ms += BUSY_MS;
      this.#timer = setTimeout(() => this.#due(), BUSY_MS);
      return;
    }
    this.#waited_ms = 0;
    void this.#step();
  }

  async #step() {
    const running = (this.#running = new AbortController());
    const late = new Error(`The API has not answered for ${ANSWER_WITHIN_MS / 1000} s.`);
    const limit = setTimeout(() => running.abort(late), ANSWER_WITHIN_MS);
    const outcome = await this.ask(running.signal).catch(() => ({
      failed: /** @type {const} */ (true),
      retryAfter_s: null,
    }));
    clearTimeout(limit);
    if (this.#running !== running) return; // another one has taken its place
    this.#running = null;
    const pause_ms = this.#next(outcome); // what the API says counts for a page that nobody looks at, too
    if (!this.#paused && !document.hidden) this.#timer = setTimeout(() => this.#due(), pause_ms);
  }

  /** @param {Outcome} outcome */
  #next(outcome) {
    if ("failed" in outcome) {
      this.#backoff_ms = Math.min(BACKOFF_MOST_MS, Math.max(SHORTEST_MS, this.#backoff_ms * 2));
      const jitter = 1 + Math.random() / 5; // so that many consoles do not come back at the same moment
      const told_ms = 1000 * (outcome.retryAfter_s ?? 0) * jitter;
      this.#earliest_ms = performance.now() + told_ms;
      return Math.max(this.#backoff_ms * jitter, told_ms);
    }
    this.#backoff_ms = 0;
    this.#pause_ms = outcome.changed ? SHORTEST_MS : Math.min(LONGEST_MS, this.#pause_ms * 1.5);
    return this.#pause_ms;
  }
}
