// The conversation: answers that stream in, and what others say meanwhile. Every event carries the whole state of what it
// names, so that a broken connection loses nothing: the browser connects again by itself.

import { $, $$, html, on, parse, put, replace, same, watch } from "./dom.js";
import { replaceSash } from "./sash.js";

const EVERY_S = 5;
const streams = new Map(); // turn's id -> EventSource

/** What scrolls: the middle column, or on a phone the page; nothing while another column is shown. */
function scroller() {
  const column = $(".col.mid");
  if (!column || column.offsetParent === null) return null;
  return getComputedStyle(column).overflowY === "visible" ? document.scrollingElement : column;
}

function toEnd() {
  const moved = scroller();
  if (moved) moved.scrollTop = moved.scrollHeight;
}

/** Runs a change and stays at the end of the conversation, if the reader was there. */
function keepEnd(change) {
  const moved = scroller();
  const end = moved && moved.scrollHeight - moved.scrollTop - moved.clientHeight < 120;
  change();
  if (end) toEnd();
}

/** The composer as it is now. What is being typed is not touched: only what stands around it. */
function refreshComposer(page) {
  const [old, fresh] = [$("#composer"), page.getElementById("composer")];
  if (!fresh) return;
  if (!old) return void $("#chat")?.append(document.adoptNode(fresh));
  const [area, foot, next] = [$("textarea", old), $(".composer-foot", old), $(".composer-foot", fresh)];
  if (same(foot, next)) return;
  const about = $("textarea", fresh);
  area.placeholder = about.placeholder;
  if (about.hasAttribute("aria-describedby")) area.setAttribute("aria-describedby", "composer-why");
  else area.removeAttribute("aria-describedby");
  put(document.adoptNode(next), foot);
}

/** Does a change of the page. A question that somebody is answering stays as it is, with what was typed. */
function keepQuestions(fresh, change) {
  const active = document.activeElement;
  for (const question of $$(".question.pending", fresh)) {
    const old = document.getElementById(question.id);
    if (old?.classList.contains("pending")) question.replaceWith(old);
  }
  const done = change();
  if (active?.isConnected && active !== document.activeElement) active.focus({ preventScroll: true });
  return done;
}

/** Turns of others, and turns whose end was not heard here. */
function refreshTurns(page) {
  const turns = $("#turns");
  const all = $$("article.turn", page);
  if (!turns || all.length === 0) return;
  $(".empty", turns)?.remove();
  for (const fresh of all) {
    const old = document.getElementById(fresh.id);
    if (!old) {
      turns.append(document.adoptNode(fresh));
      window.htmx?.process(fresh);
    } else if (!streams.has(fresh.id) && !same(old, fresh)) {
      const open = $$("details", old).map((part) => part.open);
      $$("details", fresh).forEach((part, i) => { part.open = open[i] ?? part.open; });
      keepQuestions(fresh, () => put(document.adoptNode(fresh), old));
    }
  }
}

/** The conversation and what surrounds it as it is now. */
async function refresh() {
  if ($("#composer.htmx-request")) return; // The answer brings all of it.
  const page = new DOMParser().parseFromString(await html(`/incidents/${$("#chat").dataset.incident}/chat`), "text/html");
  if (!page.getElementById("chat") || $("#composer.htmx-request")) return;
  keepEnd(() => {
    refreshTurns(page);
    refreshComposer(page);
  });
  for (const part of ["#evidence", "#side", "#sent-n"]) {
    const [old, fresh] = [$(part), $(part, page)];
    if (old && fresh && !same(old, fresh)) put(document.adoptNode(fresh), old);
  }
  const sash = page.getElementById("sash");
  if (sash) replaceSash(sash.outerHTML);
  scan();
}

function listen(turn, after) {
  const id = turn.id;
  if (streams.has(id)) return;
  const source = new EventSource(turn.dataset.stream);
  streams.set(id, source);
  const status = (text) => { const line = $(`#${CSS.escape(id)} [data-status]`); if (line) line.textContent = text; };
  source.addEventListener("round", (event) => keepEnd(() => {
    const round = parse(event.data).firstElementChild;
    if (round && !keepQuestions(round, () => replace(round))) {
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
    after();
  });
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) {
      streams.delete(id);
      status("The connection to the server is lost. The answer goes on there; this page looks for it again.");
    } else {
      status("The connection broke; connecting again…");
    }
  };
}

let again = () => {};
function scan() {
  for (const [id, source] of streams) {
    if (!document.getElementById(id)?.dataset.stream) {
      source.close();
      streams.delete(id);
    }
  }
  for (const turn of $$("[data-stream]")) listen(turn, () => again());
}

export function startChat() {
  if (!$("#chat")) return;
  again = watch(EVERY_S, refresh);
  // What leaves is the first sign of a turn that somebody else began.
  document.addEventListener("sash", () => { if (streams.size === 0) again(); });
  document.addEventListener("htmx:afterSettle", scan);
  document.addEventListener("htmx:afterSwap", (event) => { if (event.detail.target?.id === "chat") toEnd(); });
  on("click", "[data-starter]", (_, button) => {
    const area = $("#composer textarea");
    if (!area) return;
    area.value = button.textContent;
    area.focus();
  });
  if (!location.hash) toEnd();
  scan();
}
