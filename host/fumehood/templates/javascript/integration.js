// {{name}}: can tell whether its server is there.

import { get as setting } from "fumehood:config/config@0.1.0";
import { send } from "fumehood:http/http@0.1.0";
import { log } from "fumehood:log/log@0.1.0";
import { failure, guarded } from "./guard.js";

const unsupported = () => {
  throw failure("unsupported", "{{name}} cannot do that yet.");
};

export const guest = {
  capabilities() {
    // A function that works is named here.
    return ["test-connection"];
  },

  ...guarded({
    testConnection() {
      const { status, length } = request("GET", "");
      return { name: `HTTP ${status}, ${length} bytes`, product: "{{name}}", extensions: [] };
    },

    listProjects: unsupported,
    search: unsupported,
    get: unsupported,
    create: unsupported,
    update: unsupported,
    syncSince: unsupported,
    publishDocument: unsupported,
    attach: unsupported,
  }),
};

/** Status of what the server in the settings answers, and the length of its answer. */
function request(method, path, body) {
  const baseUrl = setting("base-url");
  const credential = setting("credential");
  if (!baseUrl) throw failure("invalid", "The setting base-url is missing.");
  const headers = [{ name: "accept", value: { tag: "text", val: "application/json" } }];
  // By handle: the host writes the value, and the plugin never sees it.
  if (credential) headers.push({ name: "authorization", value: { tag: "credential", val: credential } });
  const url = baseUrl.replace(/\/+$/, "") + path;
  const response = send({ method, url, headers, body, timeoutMs: 0, extensions: [] });
  let length = 0;
  let status;
  try {
    status = response.status();
    // Each chunk is a Uint8Array of UTF-8. There is no TextDecoder: decodeURIComponent(escape(…)) reads it.
    for (let chunk; (chunk = response.nextChunk()); ) length += chunk.length;
  } finally {
    // Closes the connection.
    response[Symbol.dispose]();
  }
  log("info", `${method} ${path || "/"}: HTTP ${status}`);
  if (status === 401) throw failure("auth", "The credential was refused; renew it.");
  if (status < 200 || status >= 300) {
    throw failure(status >= 500 ? "unavailable" : "invalid", `The server answered with HTTP ${status}.`);
  }
  return { status, length };
}
