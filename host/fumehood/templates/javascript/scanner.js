// {{name}}: finds order numbers such as ORD-12345.

import { log } from "fumehood:log/log@0.1.0";
import { guarded } from "./guard.js";

const ORDER = /(?<![0-9A-Za-z_])ORD-[0-9]{5}(?![0-9A-Za-z_])/g;

export const guest = {
  detects() {
    const description = "Order number: ORD- and five digits";
    return [{ name: "ORDER_NUMBER", group: "structured", description, extensions: [] }];
  },

  ...guarded({
    prepare(rules) {
      // What is put into a variable outside is there in every scan. `rules` is JSON, `{}` where nobody wrote any.
      log("info", "{{name}} is prepared");
    },

    scan({ text }) {
      const findings = [];
      let at = 0;
      let offset = 0;
      for (const { 0: value, index } of text.matchAll(ORDER)) {
        const start = offset + bytes(text.slice(at, index));
        const end = start + bytes(value);
        findings.push({ kind: "ORDER_NUMBER", start, end, confidence: 0.9, validated: false, detector: "order number" });
        at = index + value.length;
        offset = end;
      }
      return findings;
    },
  }),
};

/** Bytes that a text takes in UTF-8: findings count these, and JavaScript counts UTF-16 units. */
function bytes(text) {
  const others = text.replace(/[\0-\x7f]+/g, "");
  let count = text.length - others.length;
  for (const character of others) {
    const point = character.codePointAt(0);
    count += point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return count;
}
