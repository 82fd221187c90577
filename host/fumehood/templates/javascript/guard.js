// Failures, a console, and what becomes of an error that nobody expected.
//
// Such an error would end the call without a word. So every exported function is guarded: the error goes to the
// plugin's log, and the person gets a failure that says so.

import { log } from "fumehood:log/log@0.1.0";

const write = (level) => (...values) => log(level, values.map(String).join(" ").toWellFormed());
globalThis.console = {
  log: write("info"),
  info: write("info"),
  warn: write("warn"),
  error: write("error"),
  debug: write("debug"),
};

/**
 * What to `throw`; the codes are in the contract, at `fumehood:types`. A plain object: an `Error` would be a fault.
 * @param {string} code
 * @param {string} message
 * @param {number} [retryAfterMs]
 */
export function failure(code, message, retryAfterMs) {
  return { code, message, retryAfterMs, extensions: [] };
}

/**
 * The failure that an import threw, or that we threw; nothing where it is a fault.
 * @param {unknown} error
 */
export function failureOf(error) {
  // One engine throws the failure itself, the other an error with the failure as its `payload`.
  const thrown = error?.payload ?? error;
  return typeof thrown?.code === "string" && !(thrown instanceof Error) ? thrown : undefined;
}

/**
 * The same function, or an object of the same functions; an error that is no failure becomes `internal`.
 * @template {Function | object} T
 * @param {T} functions
 * @returns {T}
 */
export function guarded(functions) {
  if (typeof functions === "object") {
    return Object.fromEntries(Object.entries(functions).map(([name, call]) => [name, guarded(call)]));
  }
  return function (...values) {
    try {
      return functions.apply(this, values);
    } catch (error) {
      const known = failureOf(error);
      if (known) throw known;
      console.error(`${error}\n${error?.stack ?? ""}`);
      throw failure("internal", `The plugin failed with ${error?.name ?? "an error"}; its log says where.`);
    }
  };
}
