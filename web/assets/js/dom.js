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
    throw new Error("Your session is over. Sign in again in another tab, then go on here.");
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

/** Puts an element in the place of the one with its id, and keeps the focus where it was. */
export function replace(element) {
  const old = element.id && document.getElementById(element.id);
  if (!old) return false;
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  old.replaceWith(element);
  window.htmx?.process(element);
  if (focused) document.getElementById(focused)?.focus();
  return true;
}

/** Whether the person is writing, so that keys are text. */
export function writing(event) {
  return event.target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;
}
