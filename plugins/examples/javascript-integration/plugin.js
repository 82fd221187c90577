// Files tickets and documents in Desk, a small ticket system.
//
// Desk's API: GET /me, GET /queues?cursor=, GET /tickets?marker=, POST /tickets. A ticket that is filed does not change.

import { get as noted, set as note } from "fumehood:kv/kv@0.1.0";
import { log } from "fumehood:log/log@0.1.0";
import { Desk, text } from "./desk.js";
import { failure, failureOf, guarded } from "./guard.js";
import { sha256 } from "./sha256.js";
import { decode, encode } from "./utf8.js";

export const guest = {
  capabilities() {
    return ["test-connection", "list-projects", "create", "publish-document"];
  },

  ...guarded({
    testConnection() {
      const me = new Desk().get("/me");
      return { name: text(me.name), product: text(me.product) || "Desk", extensions: [] };
    },

    listProjects(cursor) {
      const page = new Desk().get("/queues", { cursor });
      const projects = (page.queues ?? []).map(({ id, key, name, url }) => {
        return { id: text(id), key: text(key), name: text(name), url: text(url) || undefined };
      });
      return { projects, next: text(page.next) || undefined };
    },

    create(draft) {
      return item(fileOnce(new Desk(), draft.marker, draft.project ?? "", draft.title ?? "", draft.body ?? "").ticket);
    },

    publishDocument({ marker, project, title, markdown, known }) {
      const desk = new Desk();
      const digest = sha256(encode(`${title}\n${markdown}`));
      const { ticket, created } = fileOnce(desk, marker, project, title, markdown);
      const changed = known ? known.contentSha256 !== digest : ticket.title !== title || ticket.body !== markdown;
      if (changed && !created) {
        throw failure("unsupported", "A ticket that is filed in Desk does not change; publish a new document.");
      }
      const filed = item(ticket);
      return {
        remote: { id: filed.id, version: filed.version, contentSha256: digest },
        url: filed.url ?? `${desk.baseUrl}/tickets/${filed.id}`,
        title: filed.title,
        outcome: created ? "created" : "unchanged",
      };
    },

    search: () => unsupported("search"),
    get: () => unsupported("get"),
    update: () => unsupported("update"),
    syncSince: () => unsupported("sync-since"),
    attach: () => unsupported("attach"),
  }),
};

function unsupported(name) {
  throw failure("unsupported", `Desk has nothing for ${name}.`);
}

/**
 * The ticket with this marker, and whether it was filed just now.
 *
 * There is never a second one: who has the marker is asked before, and asked again where the connection broke while the
 * ticket was on its way.
 */
function fileOnce(desk, marker, queue, title, body) {
  const wanted = { marker, queue, title, body };
  let ticket = find(desk, marker, wanted);
  if (ticket) return { ticket, created: false };
  try {
    ticket = { ...wanted, ...desk.post("/tickets", wanted) };
  } catch (error) {
    ticket = failureOf(error)?.code === "outcome-unknown" ? find(desk, marker, wanted) : undefined;
    if (!ticket) throw error;
    log("warn", "the connection broke, but the ticket had been filed");
    return { ticket, created: true };
  }
  if (!text(ticket.id)) throw failure("protocol", "Desk filed the ticket, but its answer has no id.");
  note(key(marker), encode(text(ticket.id)));
  return { ticket, created: true };
}

/**
 * The ticket with this marker. What was filed a moment ago may be missing from Desk's list: then the id that we noted
 * stands for it.
 */
function find(desk, marker, wanted) {
  const tickets = desk.get("/tickets", { marker }).tickets ?? [];
  if (tickets.length > 0) return { ...wanted, ...tickets[0] };
  const id = noted(key(marker));
  return id ? { ...wanted, id: decode(id) } : undefined;
}

/** Where the id is noted. A key is short, and a marker may be long. */
function key(marker) {
  return `ticket:${sha256(encode(marker))}`;
}

function item(ticket) {
  return {
    id: text(ticket.id),
    key: text(ticket.key),
    project: text(ticket.queue),
    title: text(ticket.title),
    kind: "ticket",
    status: text(ticket.status),
    priority: "",
    assignee: "",
    reporter: "",
    created: text(ticket.created),
    updated: text(ticket.updated),
    version: text(ticket.version),
    url: text(ticket.url) || undefined,
    raw: JSON.stringify(ticket),
  };
}
