// The conversation: answers that stream in. Every event carries the whole state of what it names, so that a broken
// connection loses nothing: the browser connects again by itself.

import { $, $$, html, on, parse, replace } from "./dom.js";
import { replaceSash } from "./sash.js";

const streams = new Map(); // turn's id -> EventSource

/** Runs a change and stays at the end of the conversation, if the reader was there. */
function keepEnd(change) {
  const scroller = $(".col.mid");
  const end = !scroller || scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 120;
  change();
  if (end && scroller) scroller.scrollTop = scroller.scrollHeight;
}

/** What surrounds the turns as it is now: the composer, the evidence, the right column. What was typed stays. */
async function refreshAround() {
  let page;
  try {
    page = new DOMParser().parseFromString(await html(location.pathname), "text/html");
  } catch {
    return; // The turn itself is shown; the rest comes with the next page.
  }
  const typed = $("#composer textarea")?.value;
  const written = document.activeElement?.matches("#composer textarea");
  for (const id of ["composer", "evidence"]) {
    const fresh = page.getElementById(id);
    if (fresh) replace(document.adoptNode(fresh));
  }
  const area = $("#composer textarea");
  if (area && typed) area.value = typed;
  if (area && written) area.focus();
  const side = $(".col.right .col-body");
  const fresh = $(".col.right .col-body", page);
  if (side && fresh) side.replaceWith(document.adoptNode(fresh));
  const sash = page.getElementById("sash");
  if (sash) replaceSash(sash.outerHTML);
}

function listen(turn) {
  const id = turn.id;
  if (streams.has(id)) return;
  const source = new EventSource(turn.dataset.stream);
  streams.set(id, source);
  const status = (text) => { const line = $(`#${CSS.escape(id)} [data-status]`); if (line) line.textContent = text; };
  source.addEventListener("round", (event) => keepEnd(() => {
    const round = parse(event.data).firstElementChild;
    if (round && !replace(round)) {
      $(`#${CSS.escape(id)} .rounds`)?.append(round);
      window.htmx?.process(round);
    }
  }));
  source.addEventListener("status", (event) => status(event.data));
  source.addEventListener("sash", (event) => replaceSash(event.data));
  source.addEventListener("end", (event) => {
    source.close();
    streams.delete(id);
    keepEnd(() => replace(parse(event.data).firstElementChild));
    refreshAround();
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      streams.delete(id);
      status("The connection to the server is lost. The answer goes on there; reload to see it.");
    } else {
      status("The connection broke; connecting again…");
    }
  };
}

function scan() {
  for (const [id, source] of streams) {
    if (!document.getElementById(id)?.dataset.stream) {
      source.close();
      streams.delete(id);
    }
  }
  for (const turn of $$("[data-stream]")) listen(turn);
}

export function startChat() {
  if (!$("#chat")) return;
  document.addEventListener("htmx:afterSettle", scan);
  document.addEventListener("htmx:afterSwap", (event) => {
    const scroller = $(".col.mid");
    if (event.detail.target?.id === "chat" && scroller) scroller.scrollTop = scroller.scrollHeight;
  });
  on("click", "[data-starter]", (_, button) => {
    const area = $("#composer textarea");
    if (!area) return;
    area.value = button.textContent;
    area.focus();
  });
  const scroller = $(".col.mid");
  if (scroller && !location.hash) scroller.scrollTop = scroller.scrollHeight;
  scan();
}
