// config.json: all the configuration there is (docs/console.md).
//
// Owns which members it has and how they are checked. Used by app.js, once.

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

const TEXTS = /** @type {const} */ ([
  "issuer",
  "client_id",
  "audience",
  "scope_stop",
  "scope_numbers",
  "domain_claim",
  "api",
]);

/** @returns {Promise<Config>} raises Error with a message for people */
export async function loadConfig() {
  const answer = await fetch("config.json", { cache: "no-cache" }).catch(() => null);
  if (!answer?.ok) throw new Error("config.json cannot be read.");
  const config = await answer.json().catch(() => null);
  if (config === null || typeof config !== "object") throw new Error("config.json holds no JSON object.");
  for (const name of TEXTS) if (typeof config[name] !== "string") throw new Error(`config.json: ${name} is no text.`);
  if (!Array.isArray(config.scopes)) throw new Error("config.json: scopes is no list.");
  if (!/^https?:\/\//.test(config.issuer)) throw new Error("config.json: issuer is no http or https address.");
  if (!/^\/(?!\/)/.test(config.api)) throw new Error("config.json: api is no path of this origin.");
  return config;
}
