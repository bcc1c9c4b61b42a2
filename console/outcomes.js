// The course of many stops: each id is stopped by requests of one key until it has exactly one outcome.
//
// Owns how many go at a time, what is repeated and for how long. A repeat has the key of the first request, so it can never
// be a second stop. Used by stop.js.

import { ApiError } from "./api.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./api.js").StopOutcome | "refused" | "unreachable" | "unknown" | "left_out"} Outcome */

/** How many stops are under way at a time. */
export const AT_A_TIME = 8;
/** How long a stop is asked for again when no answer, 429 or 5xx comes back. */
export const PATIENCE_S = 30;
const WAIT_S = 5;

/** What an outcome means, for people, and how good it is. @type {Record<Outcome, {text: string, kind: "good" | "open" | "bad"}>} */
export const MEANING = {
  ended: { text: "ended", kind: "good" },
  gone: { text: "had ended before", kind: "good" },
  post_processing: { text: "its goodbye branch runs", kind: "open" },
  already_stopping: { text: "its branch runs by another stop", kind: "open" },
  pending: { text: "accepted, not yet seen to take effect", kind: "open" },
  unreachable: { text: "its node is not heard of; it may still run", kind: "bad" },
  refused: { text: "refused", kind: "bad" },
  unknown: { text: "no clear answer; the stop may be on its way", kind: "bad" },
  left_out: { text: "not sent", kind: "open" },
};

/**
 * Stop ids, a few at a time.
 *
 * @param {Api} api
 * @param {string[]} ids
 * @param {{reason: string, signal: AbortSignal, tell: (id: string, outcome: Outcome, why: string) => void}} how  `signal`
 *   keeps what has not been sent from being sent; what is under way goes on
 */
export async function stopAll(api, ids, { reason, signal, tell }) {
  const left = ids.values();
  const lane = async () => {
    for (const id of left) {
      const { outcome, why } = signal.aborted
        ? { outcome: /** @type {Outcome} */ ("left_out"), why: "" }
        : await stopOne(api, id, reason);
      tell(id, outcome, why);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
}

/**
 * Stop one id: repeated with the same key while the answer is not clear.
 *
 * @param {Api} api
 * @param {string} id
 * @param {string} reason
 * @returns {Promise<{outcome: Outcome, why: string}>}
 */
export async function stopOne(api, id, reason) {
  const key = newKey();
  const until_ms = Date.now() + 1000 * PATIENCE_S;
  for (let pause_s = 0.5; ; pause_s *= 2) {
    try {
      return { outcome: await api.stop(id, { key, wait_s: WAIT_S, reason }), why: "" };
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!(error instanceof ApiError)) return { outcome: "unknown", why };
      if (!error.passes) return { outcome: "refused", why };
      const rest_s = Math.max(pause_s, error.retryAfter_s ?? 0) * (1 + Math.random() / 5);
      if (Date.now() + 1000 * rest_s > until_ms)
        return { outcome: error.code === "node_unreachable" ? "unreachable" : "unknown", why };
      await new Promise((go) => setTimeout(go, 1000 * rest_s));
    }
  }
}

/** A new Idempotency-Key. `crypto.randomUUID` is there on https and loopback alone. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
