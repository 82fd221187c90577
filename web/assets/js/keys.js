// Keys. Everything that they do, a click does too; the sheet lists them.

import { $, $$, writing } from "./dom.js";

const PLACES = { i: "/incidents", p: "/plugins", m: "/servers", n: "/integrations", a: "/audit", s: "/settings" };

function move(step) {
  const links = $$("[data-rows] .row-link");
  if (links.length === 0) return false;
  const at = links.indexOf(document.activeElement?.closest("tr")?.querySelector(".row-link"));
  const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
}

const toggle = (id) => { $(`#${id}`)?.click(); return true; };

/** What a key does; true where it did something. */
function press(key) {
  switch (key) {
    case "?": $("#keys")?.showModal(); return true;
    case "j": return move(1);
    case "k": return move(-1);
    case "c": {
      const link = $('#palette-list a[href="/incidents/new"]');
      if (link) location.assign(link.href);
      return Boolean(link);
    }
    case "[": return toggle("fold-left");
    case "]": return toggle("fold-right");
    case "s": {
      const sash = $("#sash");
      if (!sash) return false;
      sash.open = !sash.open;
      $("summary", sash).focus();
      return true;
    }
    default: {
      const tab = /^[1-7]$/.test(key) && $$(".mid > .tabs a")[Number(key) - 1];
      if (tab) location.assign(tab.href);
      return Boolean(tab);
    }
  }
}

export function startKeys() {
  let went = 0;
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter") {
      const form = event.target.closest?.("form");
      if (form && event.target.matches("textarea, input")) {
        event.preventDefault();
        form.querySelector("button:not([disabled])")?.click();
      }
      return;
    }
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || writing(event) || $("dialog[open]")) return;
    if (Date.now() - went < 1200 && PLACES[event.key]) {
      event.preventDefault();
      went = 0;
      location.assign(PLACES[event.key]);
      return;
    }
    went = event.key === "g" ? Date.now() : 0;
    if (!went && press(event.key)) event.preventDefault();
  });
}
