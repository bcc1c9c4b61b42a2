// Sign-in by OpenID Connect: authorization code with PKCE (RFC 7636), renewal by refresh token, sign-out.
//
// Owns config.json, and the tokens, which are in memory only. What a sign-in under way needs lies in the session storage
// until the browser comes back, and is then removed. Decides nothing about rights: what it reads of a token is for display. Used by app.js.

/**
 * What is needed of an issuer's discovery document.
 *
 * @typedef {{authorization_endpoint: string, token_endpoint: string, end_session_endpoint?: string,
 *   authorization_response_iss_parameter_supported?: boolean}} Endpoints
 */
/** @typedef {{state: string, nonce: string, verifier: string, back: string, endpoints: Endpoints}} Pending */

/**
 * @typedef {object} Config
 * @property {string} issuer  exactly as in the tokens' `iss`
 * @property {string} client_id
 * @property {string} audience  sent along where an issuer asks for it; may be empty
 * @property {string[]} scopes  what is asked for
 * @property {string} scope_stop  what allows to stop
 * @property {string} scope_numbers  what allows to see who calls whom
 * @property {string} domain_claim
 * @property {string} api  the path of the list
 */

const PENDING = "ivr-console-sign-in";

/** A token is renewed so long before it expires, or halfway if it lives for less than twice as long. */
const EARLY_MS = 30_000;

/** An issuer that has not answered by then is not waited for. */
const ANSWER_WITHIN_MS = 20_000;

const TEXTS = /** @type {const} */ ([
  "issuer",
  "client_id",
  "audience",
  "scope_stop",
  "scope_numbers",
  "domain_claim",
  "api",
]);

/**
 * Read config.json: all the configuration there is (docs/console.md).
 *
 * @returns {Promise<Config>} raises Error with a message for people
 */
export async function loadConfig() {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const answer = await fetch("config.json", { signal, cache: "no-cache" }).catch(() => null);
  if (!answer?.ok) throw new Error("config.json cannot be read.");
  const config = await answer.json().catch(() => null);
  if (config === null || typeof config !== "object") throw new Error("config.json holds no JSON object.");
  for (const name of TEXTS) if (typeof config[name] !== "string") throw new Error(`config.json: ${name} is no text.`);
  if (!Array.isArray(config.scopes)) throw new Error("config.json: scopes is no list.");
  if (!/^https?:\/\//.test(config.issuer)) throw new Error("config.json: issuer is no http or https address.");
  if (!/^\/(?![/\\])/.test(config.api)) throw new Error("config.json: api is no path of this origin.");
  return config;
}

/** A sign-in that did not succeed; its message is for people. */
export class SignInError extends Error {}

/** One person's session. `base` is where the issuer sends the browser back to: this page without its query. */
export class Auth {
  /** @type {string} */ #access = "";
  /** @type {string} */ #refresh = "";
  /** @type {string} */ #identity = "";
  /** @type {Endpoints | null} */ #endpoints = null;
  /** @type {Promise<void> | null} */ #renewing = null;
  #renewal_ms = 0;
  /** What the token allows. @type {Set<string>} */ scopes = new Set();
  name = "";
  domain = "";

  /**
   * @param {Config} config
   * @param {(refused: boolean) => void} expired  called when the session cannot be renewed, and whether that is because
   *   the API refuses its token
   */
  constructor(config, expired) {
    this.config = config;
    this.expired = expired;
    this.base = location.origin + location.pathname;
  }

  /**
   * Finish a sign-in if the browser comes back from one, and put the page's own address back.
   *
   * @returns {Promise<boolean>} whether somebody is signed in; raises SignInError
   */
  async resume() {
    const query = new URLSearchParams(location.search);
    const text = sessionStorage.getItem(PENDING);
    if (text === null || !query.has("state") || !(query.has("code") || query.has("error"))) return false;
    sessionStorage.removeItem(PENDING);
    /** @type {Pending} */
    const pending = JSON.parse(text);
    history.replaceState(null, "", pending.back);
    if (query.get("state") !== pending.state) throw new SignInError("The answer belongs to another sign-in.");
    const unnamed = pending.endpoints.authorization_response_iss_parameter_supported ? "" : this.config.issuer;
    if ((query.get("iss") ?? unnamed) !== this.config.issuer)
      throw new SignInError("The answer comes from another issuer."); // RFC 9207, section 2.4
    if (query.has("error"))
      throw new SignInError(`The issuer refuses: ${query.get("error_description") ?? query.get("error")}.`);
    this.#endpoints = pending.endpoints;
    const verifier = { code: query.get("code") ?? "", redirect_uri: this.base, code_verifier: pending.verifier };
    await this.#exchange({ grant_type: "authorization_code", ...verifier });
    // It came from the issuer itself over TLS, which stands in for a check of its signature (OpenID Connect Core 3.1.3.7).
    const openid = this.config.scopes.includes("openid") || this.#identity !== "";
    if (openid && claims(this.#identity).nonce !== pending.nonce) {
      this.#forget();
      throw new SignInError("The issuer answers another sign-in: its id token is missing or has another nonce.");
    }
    return true;
  }

  /** Leave for the issuer; the browser comes back to the same view. */
  async signIn() {
    const endpoints = await this.#discovered();
    const verifier = secret();
    const challenge = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    /** @type {Pending} */
    const pending = { state: secret(), nonce: secret(), verifier, back: location.href, endpoints };
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    const url = new URL(endpoints.authorization_endpoint);
    const asked = {
      response_type: "code",
      client_id: this.config.client_id,
      redirect_uri: this.base,
      scope: this.config.scopes.join(" "),
      state: pending.state,
      nonce: pending.nonce,
      code_challenge: base64url(new Uint8Array(challenge)),
      code_challenge_method: "S256",
      ...(this.config.audience === "" ? {} : { audience: this.config.audience }),
    };
    for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, value);
    location.assign(url);
  }

  /**
   * An access token that is still good for a while. However many requests were refused with one token, it is renewed once.
   *
   * @param {string} [refused]  the token that the API did not take
   * @returns {Promise<string>}
   */
  async token(refused) {
    if (refused === this.#access || Date.now() > this.#renewal_ms) {
      this.#renewing ??= this.#renew(refused === this.#access).finally(() => (this.#renewing = null));
      await this.#renewing;
    }
    return this.#access;
  }

  /** Forget the tokens, here and, if it has an address for that, at the issuer. */
  signOut() {
    const end = this.#endpoints?.end_session_endpoint;
    const hint = this.#identity;
    this.#forget();
    if (end === undefined) return false;
    const url = new URL(end);
    url.searchParams.set("client_id", this.config.client_id);
    url.searchParams.set("post_logout_redirect_uri", this.base);
    url.searchParams.set("logout_uri", this.base); // Amazon Cognito's name for it
    if (hint !== "") url.searchParams.set("id_token_hint", hint);
    location.assign(url);
    return true;
  }

  /** @param {boolean} refused */
  async #renew(refused) {
    try {
      if (this.#refresh === "") throw new SignInError("There is no refresh token.");
      await this.#exchange({ grant_type: "refresh_token", refresh_token: this.#refresh });
    } catch (error) {
      if (error instanceof SignInError) {
        this.#forget();
        this.expired(refused);
      }
      throw error;
    }
  }

  /** @param {Record<string, string>} form */
  async #exchange(form) {
    const body = new URLSearchParams({ ...form, client_id: this.config.client_id });
    const endpoint = /** @type {Endpoints} */ (this.#endpoints).token_endpoint;
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const asked = { method: "POST", body, signal, cache: /** @type {const} */ ("no-store") };
    const answer = await fetch(endpoint, { ...asked, credentials: "omit" }).catch(() => {
      throw new Error(`The issuer's token endpoint cannot be reached: ${endpoint}.`);
    });
    const grant = (await answer.json().catch(() => null)) ?? {};
    if (!answer.ok && answer.status !== 400 && answer.status !== 401)
      throw new Error(`The issuer answers ${answer.status}.`);
    if (!answer.ok)
      throw new SignInError(`The issuer refuses: ${grant.error_description ?? grant.error ?? answer.status}.`);
    if (typeof grant.access_token !== "string" || grant.access_token === "")
      throw new Error(`What answers at ${endpoint} gives no token: is it the issuer, or a network's sign-in page?`);
    this.#access = grant.access_token;
    this.#refresh = grant.refresh_token ?? this.#refresh;
    this.#identity = grant.id_token ?? this.#identity;
    const lifetime_ms = 1000 * (grant.expires_in ?? 300);
    this.#renewal_ms = Date.now() + lifetime_ms - Math.min(EARLY_MS, lifetime_ms / 2);
    const access = claims(this.#access);
    this.scopes = new Set(String(grant.scope ?? access.scope ?? access.scp ?? this.config.scopes.join(" ")).split(" "));
    this.domain = String(access[this.config.domain_claim] ?? "");
    this.name = String(claims(this.#identity).name ?? access.username ?? access.sub ?? "");
  }

  #forget() {
    this.#access = this.#refresh = this.#identity = "";
    this.#renewal_ms = 0;
  }

  async #discovered() {
    const url = `${this.config.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const answer = await fetch(url, { signal, credentials: "omit" }).catch(() => null);
    if (!answer?.ok) throw new SignInError(`The issuer cannot be reached: ${url}.`);
    const found = (await answer.json().catch(() => null)) ?? {};
    if (found.issuer !== this.config.issuer) throw new SignInError(`${url} is about another issuer: ${found.issuer}.`);
    return { ...found };
  }

  /**
   * Whether the token allows what a scope stands for. Some issuers put their own prefix before it.
   *
   * @param {string} scope
   */
  may(scope) {
    return [...this.scopes].some((held) => held === scope || held.endsWith(`/${scope}`));
  }
}

/**
 * The claims of a token; none of one that cannot be read.
 *
 * @param {string} token
 * @returns {Record<string, unknown>}
 */
function claims(token) {
  try {
    const body = (token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(body), (one) => one.charCodeAt(0))));
  } catch {
    return {};
  }
}

/** 32 random bytes, as the verifier of PKCE may look. */
function secret() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
