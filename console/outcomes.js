// The course of many stops: each id is stopped by requests of one key until it has exactly one outcome.
//
// Owns how many go at a time, what is repeated and for how long. A repeat has the key of the first request, so it can never
// be a second stop. Used by stop.js.

import { ApiError } from "./api.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./api.js").StopOutcome | "refused" | "unreachable" | "unknown" | "left_out"} Outcome */
/** @typedef {{outcome: Outcome, why: string}} Result */
/**
 * What one request came to. `again`: whether the same request may come to more; `taken`: whether the stop may be on its way.
 *
 * @typedef {Result & {again: boolean, taken: boolean, rest_s: number}} Step
 */
/** Until when no request is sent, because the API has too many; one for all stops of a run. @typedef {{until_ms: number}} Brake */

/** How many stops are under way at a time. */
export const AT_A_TIME = 8;
/** How long a stop is asked for again while its outcome is not clear. */
export const PATIENCE_S = 30;
const WAIT_S = 5;
/** The API answers within 10 s; a connection that is silent for longer is given up. */
const SILENCE_S = 15;
const FIRST_PAUSE_S = 0.5;
const LONGEST_PAUSE_S = 8;

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
 * @param {{reason: string, signal: AbortSignal, begun?: (id: string) => void,
 *   tell: (id: string, outcome: Outcome, why: string) => void}} how  `signal` keeps what has not been sent from being sent,
 *   and what is not clear from being repeated; a request that is under way is still answered
 */
export async function stopAll(api, ids, { reason, signal, begun, tell }) {
  const left = ids.values();
  const brake = { until_ms: 0 };
  const lane = async () => {
    for (const id of left) {
      if (!signal.aborted) begun?.(id);
      const { outcome, why } = await stopOne(api, id, reason, signal, brake);
      tell(id, outcome, why);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, lane));
}

/**
 * Stop one id: repeated with the same key while the outcome is not clear.
 *
 * @param {Api} api
 * @param {string} id
 * @param {string} reason
 * @param {AbortSignal} signal
 * @param {Brake} brake
 * @returns {Promise<Result>}
 */
async function stopOne(api, id, reason, signal, brake) {
  const key = newKey();
  /** @type {Step} */
  let step = { outcome: "left_out", why: "", again: true, taken: false, rest_s: 0 };
  await rest(brake.until_ms - Date.now(), signal);
  const until_ms = Date.now() + 1000 * PATIENCE_S;
  for (let pause_s = FIRST_PAUSE_S; !signal.aborted; pause_s = Math.min(2 * pause_s, LONGEST_PAUSE_S)) {
    step = await request(api, id, { key, reason }, step.taken, brake);
    if (!step.again) return step;
    const rest_s = Math.max(pause_s * (1 + Math.random() / 5), step.rest_s);
    if (Date.now() + 1000 * rest_s > until_ms) return step;
    await rest(Math.max(1000 * rest_s, brake.until_ms - Date.now()), signal);
  }
  return step.outcome === "refused" ? { outcome: "left_out", why: step.why } : step;
}

/**
 * Send one request and tell what came of the stop by it.
 *
 * @param {Api} api
 * @param {string} id
 * @param {{key: string, reason: string}} stop
 * @param {boolean} taken  whether an earlier request of this stop may have been taken
 * @param {Brake} brake
 * @returns {Promise<Step>}
 */
async function request(api, id, stop, taken, brake) {
  try {
    const outcome = await api.stop(id, { ...stop, wait_s: WAIT_S, signal: AbortSignal.timeout(1000 * SILENCE_S) });
    if (outcome === "pending") return { outcome, why: "", again: true, taken: true, rest_s: 0 };
    return { outcome: outcome === "gone" && taken ? "ended" : outcome, why: "", again: false, taken, rest_s: 0 };
  } catch (error) {
    return failed(error, taken, brake);
  }
}

/**
 * @param {unknown} error
 * @param {boolean} taken
 * @param {Brake} brake
 * @returns {Step}
 */
function failed(error, taken, brake) {
  const why = error instanceof Error ? error.message : String(error);
  const silent = error instanceof DOMException && error.name === "TimeoutError";
  const outcome = taken ? "unknown" : "refused";
  if (silent) return { outcome: "unknown", why: "No answer came.", again: true, taken: true, rest_s: 0 };
  if (!(error instanceof ApiError) || !error.passes) return { outcome, why, again: false, taken, rest_s: 0 };
  const rest_s = error.retryAfter_s ?? 0;
  if (error.status === 429) {
    brake.until_ms = Math.max(brake.until_ms, Date.now() + 1000 * rest_s);
    return { outcome, why, again: true, taken, rest_s };
  }
  if (error.code === "no_token") return { outcome, why, again: true, taken, rest_s };
  if (error.code === "node_unreachable") return { outcome: "unreachable", why, again: true, taken, rest_s };
  return { outcome: "unknown", why, again: true, taken: true, rest_s };
}

/**
 * Wait, but no longer than until `signal`.
 *
 * @param {number} ms
 * @param {AbortSignal} signal
 */
function rest(ms, signal) {
  return new Promise((go) => {
    if (ms <= 0 || signal.aborted) return go(undefined);
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      go(undefined);
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/** A new Idempotency-Key. `crypto.randomUUID` is there on https and loopback alone. */
function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
