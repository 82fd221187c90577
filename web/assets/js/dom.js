// Small helpers that the other modules share.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Listens on the document for an event on elements that match, also ones that come later. */
export function on(type, selector, handle) {
  document.addEventListener(type, (event) => {
    const found = event.target instanceof Element && event.target.closest(selector);
    if (found) handle(event, found);
  });
}

/** Waits until calls stop for a while. */
export function debounce(wait, run) {
  let timer;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => run(...args), wait);
  };
}

let hide;
/** Says what failed, at the foot of the page, until the next success or for ten seconds. */
export function problem(text) {
  const box = $("#problem");
  if (!box) return;
  box.textContent = text;
  box.hidden = !text;
  clearTimeout(hide);
  if (text) hide = setTimeout(() => problem(""), 10_000);
}

async function ask(url, options) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached. What you see is kept; try again.");
  }
  if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
    throw Object.assign(new Error("Your session is over. Sign in again in another tab, then go on here."), { over: true });
  }
  if (!answer.ok) throw new Error(await reason(answer));
  return answer;
}

/** What an answer that failed says of itself. */
async function reason(answer) {
  if ((answer.headers.get("content-type") || "").includes("json")) {
    const body = await answer.json().catch(() => ({}));
    if (body.detail || body.title) return body.detail || body.title;
  }
  return `The server answered ${answer.status}. Nothing was changed.`;
}

/** The text of a fragment. */
export async function html(url, options = {}) {
  return (await ask(url, { headers: { Accept: "text/html" }, ...options })).text();
}

/** Posts a form's fields and reads JSON; null where there is nothing to say. */
export async function post(url, fields) {
  const answer = await ask(url, { method: "POST", body: new URLSearchParams(fields), headers: { Accept: "application/json" } });
  return answer.status === 204 ? null : answer.json();
}

/** Reads JSON; null where there is nothing. */
export async function json(url) {
  const answer = await ask(url, { headers: { Accept: "application/json" } });
  return answer.status === 204 ? null : answer.json();
}

/** The elements in a piece of HTML from our own server. */
export function parse(text) {
  const template = document.createElement("template");
  template.innerHTML = text;
  return template.content;
}

/** An element with text, never markup. */
export function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** How the focused element in a part of the page is found again in the part's next state; nothing where there is none. */
function focusIn(part) {
  const at = document.activeElement;
  if (!at || at === part || !part.contains(at)) return "";
  if (at.id) return `#${CSS.escape(at.id)}`;
  const named = ["href", "aria-label", "name", "data-label"].find((name) => at.hasAttribute(name));
  return at.localName + (named ? `[${named}="${CSS.escape(at.getAttribute(named))}"]` : "");
}

/** Puts an element in the place of another; the focus stays where it was, and nothing scrolls. */
export function put(element, old) {
  const focused = focusIn(old);
  old.replaceWith(element);
  window.htmx?.process(element);
  if (focused) $(focused, element)?.focus({ preventScroll: true });
  document.dispatchEvent(new CustomEvent("put", { detail: element.parentElement ?? element }));
}

/** Puts an element in the place of the one with its id. */
export function replace(element) {
  const old = element.id && document.getElementById(element.id);
  if (!old) return false;
  put(element, old);
  return true;
}

/** What a part of the page says, without what this page alone has changed in it: times, what is open, what is shown. */
function said(part) {
  const copy = part.cloneNode(true);
  for (const time of $$("time", copy)) time.replaceWith("time");
  for (const opened of [copy, ...$$("[open]", copy)]) opened.removeAttribute("open");
  for (const chip of $$("button.pseudonym, span.pseudonym", copy)) chip.replaceWith(chip.dataset.label || chip.textContent);
  for (const titled of $$("[title]", copy)) titled.removeAttribute("title");
  copy.normalize();
  return copy.innerHTML;
}

/** Whether two states of a part say the same, so that nothing has to be put in the place of anything. */
export const same = (a, b) => a.className === b.className && said(a) === said(b);

const AWAY_MS = 3_600_000;
let used = Date.now();
let leaving = false;
for (const type of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
  addEventListener(type, () => { used = Date.now(); }, { passive: true, capture: true });
}
addEventListener("pagehide", () => { leaving = true; });
addEventListener("pageshow", () => { leaving = false; });

/**
 * Asks again and again, while the page is seen, for what others may have changed. It stops where nobody has touched the
 * page for an hour, so that a page that was left open does not keep its session alive; the next touch goes on. What
 * fails is said once and asked for less often. Returns a function that asks at once.
 */
export function watch(seconds, run) {
  let wait = seconds;
  let timer;
  let busy = false;
  const ask = async () => {
    if (busy) return;
    clearTimeout(timer);
    if (!document.hidden && Date.now() - used < AWAY_MS) {
      busy = true;
      try {
        await run();
        if (wait !== seconds) {
          problem("");
          wait = seconds;
          document.dispatchEvent(new CustomEvent("back"));
        }
      } catch (error) {
        if (!leaving && wait === seconds) problem(error.message);
        // A session that is over is renewed in another tab; a server that is away comes back.
        wait = Math.min(wait * 2, error.over ? 15 : 30);
      }
      busy = false;
    }
    timer = setTimeout(ask, wait * 1000);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  // Where one has found the server again, all ask at once.
  document.addEventListener("back", () => { if (wait !== seconds) ask(); });
  timer = setTimeout(ask, wait * 1000);
  return ask;
}

/** Whether the person is writing, so that keys are text. */
export function writing(event) {
  return event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;
}
