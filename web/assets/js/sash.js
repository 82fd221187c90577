// The sash: the same for everybody who looks, keeps open while it is replaced, closes by Escape and by a click elsewhere.

import { $, $$, html, on, parse, problem, replace, same, watch } from "./dom.js";

const EVERY_S = 3;

/** Puts a new bar in the place of the old one, if it says something else. The event `sash` tells who reads along. */
export function replaceSash(text) {
  const sash = $("details", parse(text));
  const old = $("#sash");
  if (!old || !sash || sash.id !== "sash" || same(old, sash)) return;
  const scrolled = $$(".sash-body, .sash-body .bytes", old).map((part) => part.scrollTop);
  sash.open = old.open;
  replace(sash);
  if (sash.open) $$(".sash-body, .sash-body .bytes", sash).forEach((part, i) => { part.scrollTop = scrolled[i] ?? 0; });
  document.dispatchEvent(new CustomEvent("sash"));
}

export function startSash() {
  const incident = $("#bench")?.dataset.incident;
  if (!incident) return;
  watch(EVERY_S, async () => replaceSash(await html(`/incidents/${incident}/sash`)));
  // Raised and lowered where one is: the place and what is typed stay.
  on("submit", "#sash form", async (event, form) => {
    event.preventDefault();
    try {
      await html(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      replaceSash(await html(`/incidents/${incident}/sash`));
    } catch (error) {
      problem(error.message);
    }
  });
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
