// Finds employee numbers, and the code names of internal projects.
//
// Rules: {"codenames": ["BLUEBIRD", "RED OAK"]}. Without rules there are employee numbers alone.

import { log } from "fumehood:log/log@0.1.0";
import { failure, guarded } from "./guard.js";

// A value ends where no ASCII letter or digit follows. Other letters end it, too: scripts without spaces put them right
// next to it, and a value too many is better than one that leaves.
const START = "(?<![0-9A-Za-z_])";
const END = "(?![0-9A-Za-z_])";
const EMPLOYEE = new RegExp(`${START}EMP-[0-9]{6}${END}`, "g");

/** @type {RegExp | undefined} What `prepare` left: every scan begins with it. */
let codenames;

/** The pattern for all code names; nothing where there are none. */
function compileCodenames(rules) {
  let parsed;
  try {
    parsed = JSON.parse(rules);
  } catch (error) {
    throw failure("invalid", `The rules are no JSON: ${error.message}.`);
  }
  const names = parsed?.codenames ?? [];
  const good = (name) => typeof name === "string" && name.trim() !== "" && name.trim().length <= 100;
  if (typeof parsed !== "object" || !Array.isArray(names) || !names.every(good)) {
    throw failure("invalid", 'The rules are to be {"codenames": ["BLUEBIRD", …]}, names of 1 to 100 characters.');
  }
  if (names.length === 0) return undefined;
  return new RegExp(START + alternatives(names.map((name) => name.trim())) + END, "gu");
}

/**
 * A pattern for any of the names, the longest first. Common beginnings are written once, so that a thousand names take
 * hardly longer than one: the time for a window is bounded.
 */
function alternatives(names) {
  const tree = new Map();
  for (const name of names) {
    let node = tree;
    for (const character of name) {
      if (!node.has(character)) node.set(character, new Map());
      node = node.get(character);
    }
    node.set("", undefined);
  }
  const escape = (character) => character.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
  const pattern = (node) => {
    const below = [...node].filter(([character]) => character);
    const branches = below.map(([character, child]) => escape(character) + pattern(child));
    if (branches.length === 0) return "";
    const joined = branches.join("|");
    return node.has("") ? `(?:${joined})?` : branches.length > 1 ? `(?:${joined})` : joined;
  };
  return pattern(tree);
}

/** Bytes that a text takes in UTF-8. */
function bytes(text) {
  const others = text.replace(/[\0-\x7f]+/g, "");
  let count = text.length - others.length;
  for (const character of others) {
    const point = character.codePointAt(0);
    count += point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return count;
}

/** What the pattern finds. A match counts UTF-16 units, a finding UTF-8 bytes: they are converted in one pass. */
function find(text, pattern, kind, confidence, detector) {
  const findings = [];
  let at = 0;
  let offset = 0;
  for (const { 0: value, index } of text.matchAll(pattern)) {
    const start = offset + bytes(text.slice(at, index));
    const end = start + bytes(value);
    findings.push({ kind, start, end, confidence, validated: false, detector });
    at = index + value.length;
    offset = end;
  }
  return findings;
}

export const guest = {
  detects() {
    return [
      { name: "EMPLOYEE_ID", group: "structured", description: "Employee number: EMP- and six digits", extensions: [] },
      { name: "CODENAME", group: "contextual", description: "Code name of an internal project", extensions: [] },
    ];
  },

  ...guarded({
    prepare(rules) {
      codenames = compileCodenames(rules);
      log("info", codenames ? "prepared" : "prepared without code names");
    },

    scan({ text }) {
      const findings = find(text, EMPLOYEE, "EMPLOYEE_ID", 0.9, "employee number");
      return codenames ? findings.concat(find(text, codenames, "CODENAME", 0.8, "code name")) : findings;
    },
  }),
};
