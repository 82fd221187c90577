// Pseudonyms show their original when they are asked, and hide it when they are asked again. An original is fetched for
// each showing, stands in the page as text only, and is in no attribute.

import { $, $$, make, on, post, problem } from "./dom.js";

/** Chips that cannot be asked are no buttons. */
function plain(bench) {
  for (const chip of $$("button.pseudonym", bench)) chip.replaceWith(make("span", "pseudonym", chip.dataset.label));
}

export function startPseudonyms() {
  const bench = $("#bench[data-reveal=false]");
  if (bench) {
    plain(bench);
    new MutationObserver(() => plain(bench)).observe(bench, { childList: true, subtree: true });
    return;
  }
  on("click", "button.pseudonym", async (event, chip) => {
    event.preventDefault();
    const label = chip.dataset.label;
    const incident = chip.closest("[data-incident]")?.dataset.incident;
    if (chip.classList.contains("shown")) {
      chip.classList.remove("shown");
      chip.textContent = label;
      chip.title = "Show the original";
      return;
    }
    if (!incident || chip.disabled) return;
    chip.disabled = true;
    try {
      const { original } = await post(`/incidents/${incident}/reveal`, { label });
      chip.textContent = original;
      chip.classList.add("shown");
      chip.title = `${label}: hide the original`;
      problem("");
    } catch (error) {
      problem(error.message);
    }
    chip.disabled = false;
    chip.focus();
  });
  on("mouseover", "button.pseudonym:not([title])", (_, chip) => { chip.title = "Show the original"; });
}
