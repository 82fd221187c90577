// The command palette: places and actions from the page, incidents from the server.

import { $, $$, debounce, html, parse, writing } from "./dom.js";

export function startPalette() {
  const dialog = $("#palette");
  if (!dialog) return;
  const input = $("#palette-q", dialog);
  const list = $("#palette-list", dialog);
  const none = $("#palette-none", dialog);
  let asked = 0;

  const shown = () => $$("li:not([hidden]) a", list);
  const select = (link) => {
    for (const other of $$("a", list)) other.setAttribute("aria-selected", String(other === link));
    if (!link) return input.removeAttribute("aria-activedescendant");
    link.id ||= `palette-${Math.random().toString(36).slice(2)}`;
    input.setAttribute("aria-activedescendant", link.id);
    link.scrollIntoView({ block: "nearest" });
  };
  const search = debounce(150, async (words) => {
    const mine = ++asked;
    let found;
    try {
      found = words ? parse(await html(`${list.dataset.results}?q=${encodeURIComponent(words)}`)) : null;
    } catch {
      found = null; // The places still work.
    }
    if (mine !== asked) return;
    for (const item of $$("li:not([data-own])", list)) item.remove();
    if (found) list.append(found);
    select(shown()[0]);
    none.hidden = shown().length > 0;
    none.textContent = none.hidden ? "" : `No page and no incident matches “${words}”.`;
  });
  const filter = () => {
    const words = input.value.trim().toLowerCase();
    for (const item of $$("li[data-own]", list)) item.hidden = !item.textContent.toLowerCase().includes(words);
    if (shown().length > 0) none.hidden = true;
    select(shown()[0]);
    search(words);
  };
  const open = () => {
    input.value = "";
    dialog.showModal();
    filter();
    input.focus();
  };

  input.addEventListener("input", filter);
  dialog.addEventListener("keydown", (event) => {
    const links = shown();
    const at = links.findIndex((link) => link.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      if (links.length > 0) select(links[(at + step + links.length) % links.length]);
    } else if (event.key === "Escape") {
      event.preventDefault(); // A search field would take the first Escape for itself.
      dialog.close();
    } else if (event.key === "Enter" && event.target === input) {
      event.preventDefault();
      links[at]?.click();
    }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.addEventListener("keydown", (event) => {
    const slash = event.key === "/" && !writing(event) && !event.ctrlKey && !event.metaKey;
    const k = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
    if (!slash && !k) return;
    event.preventDefault();
    if (!dialog.open && !$("dialog[open]")) open();
  });
}
