// {{name}}: a model that repeats what it hears, word by word.
//
// To ask a real one, `import { send } from "fumehood:http/http@0.1.0"`, send in `complete`, and read the answer with
// `nextChunk` in `next`.

import { log } from "fumehood:log/log@0.1.0";
import { failure, guarded } from "./guard.js";

/** An answer that is arriving. */
class Completion {
  constructor(words) {
    this.words = words;
    this.said = 0;
  }

  next() {
    if (this.said > this.words.length) return undefined;
    this.said += 1;
    if (this.said <= this.words.length) return event({ text: `${this.words[this.said - 1]} ` });
    const tokens = this.words.length;
    return event({ usage: { inputTokens: tokens, outputTokens: tokens }, stop: "end" });
  }
}
Completion.prototype.next = guarded(Completion.prototype.next);

export const guest = {
  Completion,

  ...guarded({
    models() {
      return [{ id: "echo", name: "Echo", contextTokens: undefined, extensions: [] }];
    },

    complete({ model, messages }) {
      if (model !== "echo") throw failure("not-found", `{{name}} has no model ${model}; it has echo.`);
      const heard = messages.filter(({ role }) => role === "user");
      log("info", `heard ${heard.length} messages`);
      return new Completion((heard.at(-1)?.text ?? "").split(/\s+/).filter(Boolean));
    },
  }),
};

function event({ text = "", usage, stop }) {
  return { text, reasoning: "", toolCalls: [], usage, stop, extensions: [] };
}
