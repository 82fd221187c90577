// HTTP as Desk speaks it: JSON both ways, and every way in which it can go wrong as a failure.

import { get as setting } from "fumehood:config/config@0.1.0";
import { send } from "fumehood:http/http@0.1.0";
import { failure } from "./guard.js";
import { decode, encode } from "./utf8.js";

const MAX_ANSWER = 8 << 20;

const CODES = { 401: "auth", 403: "forbidden", 404: "not-found", 409: "conflict", 413: "too-large", 429: "rate-limited" };
const ADVICE = {
  auth: "The credential was refused; renew it.",
  forbidden: "The credential may not do this.",
  "not-found": "It is not there, or the credential may not see it.",
  conflict: "Someone changed it meanwhile.",
  "too-large": "It is too long for Desk.",
  "rate-limited": "Too many calls; it is tried again later.",
  unavailable: "Desk has trouble; try again later.",
};

/** A Desk server, and whose credential is shown to it: those in the settings. */
export class Desk {
  constructor() {
    const baseUrl = setting("base-url");
    this.credential = setting("credential");
    if (!baseUrl) throw failure("invalid", "The setting base-url is missing: where is Desk?");
    if (!this.credential) throw failure("invalid", "The setting credential is missing: choose the one for Desk.");
    this.baseUrl = baseUrl.replace(/\/+$/, "");
  }

  /** What is at a path; a parameter that is not there is left out. */
  get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
    const pairs = given.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
    return this.#send("GET", pairs.length > 0 ? `${path}?${pairs.join("&")}` : path);
  }

  post(path, body) {
    return this.#send("POST", path, encode(JSON.stringify(body)));
  }

  #send(method, path, body) {
    const headers = [
      { name: "accept", value: { tag: "text", val: "application/json" } },
      // By handle: the host writes the value, and only towards the server that it is meant for.
      { name: "authorization", value: { tag: "credential", val: this.credential } },
    ];
    if (body) headers.push({ name: "content-type", value: { tag: "text", val: "application/json" } });
    const response = send({ method, url: this.baseUrl + path, headers, body, timeoutMs: 0, extensions: [] });
    let status, answered, answer;
    try {
      status = response.status();
      answered = Object.fromEntries(response.headers());
      answer = decode(readAll(response));
    } finally {
      // Closes the connection.
      response[Symbol.dispose]();
    }
    if (status < 200 || status >= 300) throw refusal(status, answered, answer);
    let parsed;
    try {
      parsed = JSON.parse(answer);
    } catch {}
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
      throw failure("protocol", `Desk did not answer with a JSON object, but with: ${excerpt(answer)}`);
    }
    return parsed;
  }
}

function readAll(response) {
  let bytes = new Uint8Array(64 << 10);
  let length = 0;
  for (let piece; (piece = response.nextChunk()); ) {
    const needed = length + piece.length;
    if (needed > MAX_ANSWER) throw failure("protocol", `Desk answered with more than ${MAX_ANSWER >> 20} MiB.`);
    if (needed > bytes.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(piece, length);
    length = needed;
  }
  return bytes.subarray(0, length);
}

/** The failure for a status that is none of success. */
function refusal(status, headers, answer) {
  const code = CODES[status] ?? (status >= 500 ? "unavailable" : status < 400 ? "auth" : "invalid");
  const advice =
    status < 400
      ? "Desk sends us elsewhere, most likely to sign in; renew the credential."
      : (ADVICE[code] ?? "Desk does not take the request.");
  const seconds = headers["retry-after"] ?? "";
  const wait = /^[0-9]{1,7}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
  return failure(code, `${advice} (HTTP ${status}: ${excerpt(answer)})`, wait);
}

/** The beginning of an answer, for a person. */
function excerpt(answer) {
  try {
    answer = text(JSON.parse(answer).error) || answer;
  } catch {}
  return answer.slice(0, 200).toWellFormed().replace(/\s+/g, " ").trim() || "nothing";
}

/** A field as text. JSON can hold halves of characters, and the contract's strings cannot. */
export function text(value) {
  return value === undefined || value === null ? "" : String(value).toWellFormed();
}
