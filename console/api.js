// The REST API as the console uses it: one page of the list, one stop, and what a refusal means.
//
// Owns the requests, and turns each answer into rows, an outcome or an ApiError. Repeats nothing, except once with another
// token after a 401. Used by app.js, and by outcomes.js for stops.

import { SignInError } from "./auth.js";

/** @typedef {import("./columns.js").Runtime} Runtime */
/** @typedef {{place: string, message: string, remedy: string}} Fault */
/** @typedef {{site: string, alive: number, known: number}} Coverage */
/** @typedef {"ended" | "post_processing" | "already_stopping" | "pending" | "gone"} StopOutcome */
/** @typedef {{filter: unknown, order: string[], mask: string[], limit: number, counted?: boolean, signal?: AbortSignal}} Question */
/** @typedef {{rows: Runtime[], sites: Coverage[], total: number | null, asOf_ms: number}} Answer */

/** No longer wait is believed: the API asks for seconds, and a browser's timer for more than 24 days goes off at once. */
const WAIT_MOST_S = 3600;

/** A request that got no answer, or one that refuses it. `status` is 0 if no answer came. */
export class ApiError extends Error {
  /**
   * @param {string} message  for people
   * @param {{status?: number, code?: string, faults?: Fault[], retryAfter_s?: number | null}} [more]
   */
  constructor(message, { status = 0, code = "no_answer", faults = [], retryAfter_s = null } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.faults = faults;
    this.retryAfter_s = retryAfter_s;
  }

  /** Whether the same request may succeed a little later. */
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** The API at `base` (a path of this origin). `token` gives an access token, another one than that which was refused. */
export class Api {
  /** @param {{base: string, token: (refused?: string) => Promise<string>}} settings */
  constructor({ base, token }) {
    this.base = base;
    this.token = token;
  }

  /**
   * The first `limit` runtimes that the filter lets through, in order.
   *
   * @param {Question} question
   * @returns {Promise<Answer>} `total`: how many the filter lets through, if `counted` (the API reads them all for it);
   *   `asOf_ms`: when it was asked, epoch milliseconds
   */
  async list({ filter, order, mask, limit, counted = false, signal }) {
    const query = new URLSearchParams({ mask: mask.join(","), flat: "true", limit: String(limit) });
    if (filter !== null) query.set("filter", JSON.stringify(filter));
    if (order.length > 0) query.set("order", order.join(","));
    const asOf_ms = Date.now();
    /** @type {Record<string, string>} */
    const headers = counted ? { Prefer: "count=exact" } : {};
    const answer = await this.#ask(`${this.base}?${query}`, { headers, signal });
    const total = answer.headers.get("x-total-count");
    return {
      rows: await answer.json(),
      sites: coverage(answer.headers.get("site-nodes")),
      total: total === null ? null : Number(total),
      asOf_ms,
    };
  }

  /**
   * Stop a runtime and wait for the effect. All requests with the same key are one stop.
   *
   * @param {string} id
   * @param {{key: string, wait_s: number, reason?: string, signal?: AbortSignal}} how
   * @returns {Promise<StopOutcome>} `gone`: it does not run (any more)
   */
  async stop(id, { key, wait_s, reason = "", signal }) {
    /** @type {Record<string, string>} */
    const headers = { "Idempotency-Key": key, Prefer: `wait=${wait_s}` };
    if (reason !== "") headers["Stop-Reason"] = encodeReason(reason);
    try {
      const answer = await this.#ask(`${this.base}/${encodeURIComponent(id)}`, { method: "DELETE", headers, signal });
      return /** @type {StopOutcome} */ (answer.headers.get("stop-outcome") ?? "pending");
    } catch (error) {
      if (error instanceof ApiError && error.code === "runtime_not_found") return "gone";
      throw error;
    }
  }

  /**
   * @param {string} url
   * @param {RequestInit} init
   */
  async #ask(url, init) {
    const token = await this.#authorized();
    const answer = await this.#send(url, init, token);
    const again = answer.status === 401 ? await this.#send(url, init, await this.#authorized(token)) : answer;
    if (!again.ok) throw await refusal(again);
    return again;
  }

  /**
   * A token to send; `no_token` if the issuer cannot be asked for one now: then nothing has been sent.
   *
   * @param {string} [refused]
   */
  async #authorized(refused) {
    try {
      return await this.token(refused);
    } catch (error) {
      if (error instanceof SignInError) throw error; // another sign-in is needed, so a repeat is of no use
      throw new ApiError(error instanceof Error ? error.message : String(error), { code: "no_token" });
    }
  }

  /**
   * @param {string} url
   * @param {RequestInit} init
   * @param {string} token
   */
  async #send(url, init, token) {
    const headers = { ...init.headers, Authorization: `Bearer ${token}` };
    try {
      return await fetch(url, { ...init, headers, cache: "no-store", credentials: "omit" });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new ApiError("The API does not answer: is this computer online?");
    }
  }
}

/**
 * Read the header `Site-Nodes`, `SITE1=2/2, SITE2=0/2`.
 *
 * @param {string | null} header
 * @returns {Coverage[]}
 */
export function coverage(header) {
  const parts = [...(header ?? "").matchAll(/([A-Za-z][A-Za-z0-9]*)=(\d+)\/(\d+)/g)];
  return parts.map(([, site = "", alive, known]) => ({ site, alive: Number(alive), known: Number(known) }));
}

/**
 * Write a reason as the header has it: all but printable ASCII percent-encoded, and `%` itself.
 *
 * @param {string} reason
 */
export function encodeReason(reason) {
  return reason
    .trim()
    .replace(/[^\x20-\x24\x26-\x7e]+/gu, (piece) => encodeURIComponent(piece.toWellFormed?.() ?? piece));
}

/**
 * Read a refusal: a problem document (RFC 9457), or API Gateway's own `{"message": …}`.
 *
 * @param {Response} answer
 */
async function refusal(answer) {
  const problem = await answer.json().catch(() => ({}));
  const retry_s = Number(answer.headers.get("retry-after"));
  return new ApiError(problem.detail ?? problem.message ?? `The API answers ${answer.status}.`, {
    status: answer.status,
    code: problem.code ?? `http_${answer.status}`,
    faults: problem.errors ?? [],
    retryAfter_s: retry_s > 0 ? Math.min(retry_s, WAIT_MOST_S) : null,
  });
}
