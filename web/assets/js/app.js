// Starts the modules. Every page works without them; they make it faster to use.

import { $, $$, on, problem } from "./dom.js";
import { startChat } from "./chat.js";
import { startDrafts } from "./drafts.js";
import { startEditor } from "./editor.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startPalette } from "./palette.js";
import { startPseudonyms } from "./pseudonyms.js";
import { startSash } from "./sash.js";
import { startTimes } from "./times.js";
import { startUpload } from "./upload.js";
import { startViewer } from "./viewer.js";

document.documentElement.classList.add("js");

// htmx: say what failed; drop empty fields from the address.
document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  problem({
    401: "Your session is over. Sign in again in another tab, then go on here. Nothing was changed.",
    403: "Your role does not allow this. Nothing was changed.",
  }[status] ?? `The server answered ${status}. Nothing was changed.`);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const status = event.detail.xhr?.status;
  if (status >= 200 && status < 400 && event.detail.requestConfig?.verb === "post") problem("");
});
document.addEventListener("htmx:sendError", () => problem("The server cannot be reached. What you see is kept; try again."));
document.addEventListener("htmx:configRequest", (event) => {
  if (!event.detail.elt.matches("[data-tidy]")) return;
  const fields = event.detail.parameters;
  for (const name of Object.keys(fields)) if (fields[name] === "") delete fields[name];
});
on("submit", "[data-tidy]", (_, form) => {
  for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
  setTimeout(() => { for (const field of form.elements) field.disabled = false; });
});

on("click", "#problem", () => problem(""));

// A page that is a form begins in its first field, so that typing does not go to the keys.
if (location.pathname.endsWith("/new") && document.activeElement === document.body) {
  $("main form.form input:not([type=hidden], [type=radio]), .content form.form input:not([type=hidden], [type=radio])")?.focus();
}

// Ids and hashes are copied by a click.
on("click", "[data-copy]", async (_, element) => {
  try {
    await navigator.clipboard.writeText(element.dataset.copy);
    element.classList.add("copied");
    setTimeout(() => element.classList.remove("copied"), 1200);
  } catch {
    getSelection().selectAllChildren(element);
  }
});
for (const element of $$("[data-copy]")) element.title ||= "Copy";

// A row of tabs that is wider than the screen shows the one that is open.
for (const tab of $$(".tabs a[aria-current], .views a[aria-current]")) {
  const row = tab.parentElement;
  const [inner, outer] = [tab.getBoundingClientRect(), row.getBoundingClientRect()];
  row.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
}

// Menus close by a click elsewhere and by Escape.
document.addEventListener("click", (event) => {
  for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of $$("details.menu[open]")) {
    menu.open = false;
    $("summary", menu).focus();
  }
});

on("click", "[data-opens]", (event, link) => {
  const dialog = document.getElementById(link.dataset.opens);
  if (!dialog) return;
  event.preventDefault();
  dialog.showModal();
});

// Folded columns are remembered by the server's side through a cookie, so that nothing shifts when a page comes.
on("change", ".fold", () => {
  const folded = ["left", "right"].filter((side) => $(`#fold-${side}`)?.checked);
  document.cookie = `fold=${folded.join(".")}; path=/; max-age=31536000; samesite=strict`;
});

startTimes();
startDrafts();
startEditor();
startLive();
startKeys();
startPalette();
startPseudonyms();
startSash();
startUpload();
startViewer();
startChat();
