// The document: a preview while typing, saving without leaving the text, and a question before what was typed is lost.

import { $, debounce, html, on, parse, problem, replace } from "./dom.js";

let unsaved = false;
let posted = null; // what the request that is on its way carries

const preview = debounce(350, async (form) => {
  try {
    const body = new URLSearchParams({ markdown: form.elements.markdown.value });
    replace(parse(await html(form.dataset.preview, { method: "POST", body })).firstElementChild);
  } catch (error) {
    problem(error.message);
  }
});

/** Who goes on writing while the text is saved loses neither a letter nor the place. */
function carryOn(before) {
  const area = $("#markdown");
  if (!area || before.path.endsWith("/generate")) return;
  if (area.value === before.posted && before.value !== before.posted) {
    area.value = before.value;
    unsaved = true;
  }
  area.scrollTop = before.scrolled;
  if (!before.focused) return;
  area.focus({ preventScroll: true });
  area.setSelectionRange(...before.selection);
}

export function startEditor() {
  on("input", "#editor", (event, form) => {
    unsaved = true;
    if (event.target.name === "markdown") preview(form);
    const target = $(".publish span", form);
    if (event.target.name === "title" && target) target.textContent = target.textContent.replace(/ \/ .*/, ` / ${event.target.value}`);
  });
  document.addEventListener("keydown", (event) => {
    const form = $("#editor");
    if (!form || !(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "s") return;
    event.preventDefault();
    const button = $(".doc-acts > button", form);
    button?.click();
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id === "editor") posted = $("#markdown").value;
  });
  let before = null;
  document.addEventListener("htmx:beforeSwap", (event) => {
    before = null;
    const { elt, path } = event.detail.requestConfig ?? {};
    const area = $("#markdown");
    if (elt?.id !== "editor" || !event.detail.shouldSwap || !area) return;
    if (event.detail.xhr.status < 400) unsaved = false;
    before = {
      path, posted, value: area.value, scrolled: area.scrollTop,
      focused: document.activeElement === area, selection: [area.selectionStart, area.selectionEnd],
    };
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (before) carryOn(before);
    before = null;
  });
  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  // What the sash allows changes under a page that is open.
  document.addEventListener("sash", () => {
    const button = $("#editor .publish");
    if (button && !("busy" in button.dataset)) button.disabled = $("#sash").dataset.state === "lowered";
  });
}
