// The sash: keeps open while it is replaced, closes by Escape and by a click elsewhere.

import { $, parse, replace } from "./dom.js";

/** Puts a new bar in the place of the old one. */
export function replaceSash(text) {
  const sash = $("details", parse(text));
  const open = $("#sash")?.open;
  if (!sash || sash.id !== "sash") return;
  sash.open = Boolean(open);
  replace(sash);
}

export function startSash() {
  document.addEventListener("click", (event) => {
    const sash = $("#sash[open]");
    if (sash && document.contains(event.target) && !sash.contains(event.target)) sash.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const sash = $("#sash[open]");
    if (event.key !== "Escape" || !sash) return;
    sash.open = false;
    $("summary", sash).focus();
  });
}
