// Findings in the log viewer: walk through them, see why they are marked, judge them.

import { $, $$, debounce, html, json, parse, post, problem, replace, writing } from "./dom.js";
import { refreshEvidence } from "./upload.js";

export function startFindings(viewer) {
  let current = $("#finding")?.dataset.finding || "";
  let waiting = 0;
  let last = Promise.resolve();
  let bring = true; // the finding has been chosen and has not been brought into view

  const marks = (id) => $$(`[id="f-${CSS.escape(id)}"]`);

  const show = () => {
    for (const other of $$(".f.focus")) other.classList.remove("focus");
    const [first] = current ? marks(current) : [];
    for (const mark of current ? marks(current) : []) mark.classList.add("focus");
    if (first && bring) {
      first.scrollIntoView({ block: "nearest", inline: "nearest" });
      bring = false;
    }
    return first;
  };

  const detail = async (id) => {
    try {
      const section = parse(await html(`${viewer.href}/findings/${id}`)).firstElementChild;
      if (id === current) replace(section);
    } catch (error) {
      problem(error.message);
    }
  };

  const focus = async (id, line) => {
    current = id;
    bring = true;
    if (line) await viewer.find(id, line);
    show()?.focus({ preventScroll: true });
    const query = new URLSearchParams({ finding: id, view: viewer.view });
    history.replaceState(null, "", `${viewer.href}?${query}${line ? `#L${line}` : location.hash}`);
    return detail(id);
  };

  const step = async (dir) => {
    if (viewer.view === "masked") return problem("Findings are marked in the original: press m.");
    try {
      const at = Number($("#finding")?.dataset.line) || 0;
      const seen = at > viewer.top && at <= viewer.top + viewer.visible;
      const line = current && seen ? at : dir === "next" ? Math.floor(viewer.top) + 1 : Math.ceil(viewer.top + viewer.visible);
      const query = new URLSearchParams({ line, dir });
      if (current && seen) query.set("finding", current);
      for (const kind of viewer.kinds()) query.append("kind", kind);
      const found = await json(`${viewer.href}/findings/next?${query}`);
      if (found) await focus(found.id, found.line);
      else problem(dir === "next" ? "No further finding." : "No finding before this one.");
    } catch (error) {
      problem(error.message);
    }
  };

  // One after the other: who types n, a, n, a judges what n has found, however slow the line is.
  const queue = (act) => {
    waiting += 1;
    last = last.then(act).finally(() => (waiting -= 1));
  };

  const legend = debounce(200, async () => {
    const old = $("#legend");
    if (!old) return;
    try {
      const unchecked = $$("input[type=checkbox][name=kind]:not(:checked)", old).map((box) => box.value);
      const fresh = parse(await html(`${viewer.href}/legend?view=${viewer.view}`)).firstElementChild;
      for (const box of $$("input[type=checkbox][name=kind]", fresh)) box.checked = !unchecked.includes(box.value);
      replace(fresh);
      const pending = $$("[data-pending]", fresh).reduce((sum, cell) => sum + Number(cell.dataset.pending), 0);
      const total = $("#pending");
      if (total && pending === 0) total.closest("strong").textContent = "All reviewed";
      else if (total) total.textContent = pending.toLocaleString("en");
    } catch (error) {
      problem(error.message);
    }
  });

  const evidence = debounce(200, refreshEvidence);

  const judge = async (verdict) => {
    if (!current || viewer.box.dataset.canWrite !== "true") return;
    const id = current;
    try {
      await post(`${viewer.href}/findings/${id}`, { verdict });
      for (const mark of marks(id)) {
        mark.classList.remove("pending", "accepted", "rejected");
        mark.classList.add(verdict);
      }
      problem("");
      await detail(id);
      legend();
      evidence();
    } catch (error) {
      problem(error.message);
    }
  };

  const judgeAll = async (kind, verdict) => {
    if (!kind || viewer.box.dataset.canWrite !== "true") return;
    try {
      await post(`${viewer.href}/findings`, { kind, verdict });
      problem("");
      await viewer.refresh();
      if (current) await detail(current);
      legend();
      evidence();
    } catch (error) {
      problem(error.message);
    }
  };

  viewer.box.addEventListener("rows", show);
  // Others judge as well: the evidence tells when they have.
  document.addEventListener("evidence", async (event) => {
    if (!event.detail.others) return;
    legend();
    await viewer.refresh();
    if (current) detail(current);
  });
  viewer.box.addEventListener("click", (event) => {
    const mark = event.target.closest(".f");
    if (!mark || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    focus(mark.id.slice(2), Number(mark.closest(".row").id.slice(1))).catch((error) => problem(error.message));
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.closest("#finding, #legend") || form.method !== "post") return;
    event.preventDefault();
    const verdict = event.submitter?.value;
    if (form.elements.kind) judgeAll(form.elements.kind.value, verdict);
    else judge(verdict);
  });
  for (const button of $$("[data-step]")) button.addEventListener("click", () => queue(() => step(button.dataset.step)));
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || writing(event) || $("dialog[open]")) return;
    const kind = () => $("#finding")?.dataset.kind;
    const act = {
      n: () => step("next"),
      p: () => step("prev"),
      a: () => judge("accepted"),
      r: () => judge("rejected"),
      A: () => judgeAll(kind(), "accepted"),
      R: () => judgeAll(kind(), "rejected"),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    // A key that is held down does not pile up more than is seen.
    if (!event.repeat || waiting === 0) queue(act);
  });
  show();
}
