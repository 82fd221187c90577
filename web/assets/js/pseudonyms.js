// Pseudonyms show their original when they are asked, and hide it when they are asked again. An original is fetched for
// each showing, stands in the page as text only, and is in no attribute.

import { on, post, problem } from "./dom.js";

export function startPseudonyms() {
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
