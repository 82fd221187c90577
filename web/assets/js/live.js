// Parts of a page that others change as well (`data-live`, each with an id) are asked for again every few seconds.
// A part in which somebody writes stays as it is.

import { $, $$, html, put, same, watch } from "./dom.js";

const EVERY_S = 5;
const WRITES = "input:not([type=checkbox], [type=radio]), textarea, select";

const written = (field) => field.matches(WRITES) && field.value !== (field.defaultValue ?? field.value);
const busy = (part) => $("form.changed, details.menu[open]", part) || (part.contains(document.activeElement) && written(document.activeElement));

async function look() {
  // A log's page is large, and its lines do not change: what stands around it is on a smaller one.
  // Nor are the servers asked again for their prompts.
  const from = $(".page-log, .prompts") ? `/incidents/${$("#bench").dataset.incident}/timeline` : location.href;
  const page = new DOMParser().parseFromString(await html(from), "text/html");
  for (const part of $$("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh && part.isConnected && !busy(part) && !same(part, fresh)) put(document.adoptNode(fresh), part);
  }
}

let again = async () => {};
/** Looks at once, after something that was done here. */
export const lookAgain = () => again();

export function startLive() {
  if ($("#chat") || !$("#bench, [data-live]")) return; // The conversation looks for itself.
  again = watch(EVERY_S, look);
  // What leaves, and the sash itself, are the first signs that something has changed.
  document.addEventListener("sash", () => again());
}
