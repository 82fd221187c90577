// {{name}}: each message is one POST, and its answer comes back as one JSON document.

import { log } from "fumehood:log/log@0.1.0";
import { failure, guarded } from "./guard.js";

const MAX_ANSWER = 3 << 20;
const CODES = { 401: "auth", 403: "forbidden", 404: "not-found" };

/** One client's connection: what happened comes in, what to do goes out. */
class Connection {
  constructor(url, headers) {
    this.url = url;
    this.headers = [{ name: "content-type", value: { tag: "text", val: "application/json" } }, ...headers];
    /** What has arrived of each answer, by the number of its message. */
    this.answers = new Map();
  }

  handle({ kind, id, data, status, code, text }) {
    if (kind === "message") {
      // A message's number serves as its request's.
      this.answers.set(id, { status: 0, chunks: [], length: 0 });
      const { url, headers } = this;
      const request = { method: "POST", url, headers, body: data, timeoutMs: 0, idleTimeoutMs: 0 };
      return [action("request", { id, request })];
    }
    if (kind === "close") return [action("closed", { text: "The connection was closed." })];
    const answer = this.answers.get(id);
    if (!answer) return [];
    switch (kind) {
      case "send-dropped":
        this.answers.delete(id);
        return [action("cancel", { id })];
      case "response":
        answer.status = status;
        return [];
      case "body":
        answer.chunks.push(data);
        answer.length += data.length;
        if (answer.length <= MAX_ANSWER) return [];
        this.answers.delete(id);
        return [action("cancel", { id }), action("failed", { id, code: "too-large", text: "The answer is too long." })];
      case "response-end":
        this.answers.delete(id);
        if (code) return [action("failed", { id, code, text })];
        return ended(id, answer);
      default:
        return [];
    }
  }
}
Connection.prototype.handle = guarded(Connection.prototype.handle);

/** What to do once an answer is there as a whole. */
function ended(id, { status, chunks, length }) {
  if (status < 200 || status >= 300) {
    const text = `The server answered with HTTP ${status}.`;
    return [action("failed", { id, status, code: CODES[status] ?? "unavailable", text })];
  }
  if (length === 0) return [action("sent", { id })];
  const data = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    data.set(chunk, at);
    at += chunk.length;
  }
  return [action("sent", { id }), action("deliver", { id, data })];
}

/** An action; the fields that its kind has no use for are empty. */
function action(kind, fields) {
  const empty = { id: 0, data: new Uint8Array(), status: 0, number: 0, code: "", text: "", headers: [], extensions: [] };
  return { ...empty, request: undefined, kind, ...fields };
}

export const guest = {
  Connection,

  ...guarded({
    open({ name, url, headers }) {
      if (!url) throw failure("invalid", "{{name}} speaks HTTP: give the server a URL.");
      log("info", `{{name}} opens ${name}`);
      return new Connection(url, headers);
    },
  }),
};
