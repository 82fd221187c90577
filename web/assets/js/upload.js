// The evidence, as it is for everybody who looks; and uploads with progress, one file after the other; a file can be
// dropped anywhere on the page. Scanning goes on at the server and shows in the evidence.

import { $, $$, html, make, on, parse, problem, replace, same, watch } from "./dom.js";
import { lookAgain as lookAtPage } from "./live.js";

const EVERY_S = 5;

const queue = [];
let current = null;

function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let n = bytes;
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${n < 10 && unit > 0 ? n.toFixed(1) : Math.round(n)}\u00a0${units[unit]}`;
}

function left(seconds) {
  if (!Number.isFinite(seconds)) return "";
  return seconds <= 90 ? ` · about ${Math.ceil(seconds)}\u00a0s left` : ` · about ${Math.round(seconds / 60)}\u00a0min left`;
}

/** Puts the evidence as it is now into the page. The event `evidence` says whether others changed the log that is read. */
async function lookAgain(own) {
  const incident = $("#bench")?.dataset.incident;
  const log = $(".log-card.current")?.dataset.log;
  if (!incident) return;
  const fresh = parse(await html(`/incidents/${incident}/evidence${log ? `?log=${log}` : ""}`)).firstElementChild;
  const old = $("#evidence");
  if (!old || !fresh || same(old, fresh)) return;
  const [before, now] = [$(".log-card.current", old), $(".log-card.current", fresh)];
  const read = Boolean(before && now && !same(before, now));
  replace(fresh);
  if (before && !now) {
    // What is seen is what was there; nothing can be decided about it any more.
    problem("This log was removed. What you see here is gone from the incident.");
    const viewer = $("#viewer");
    if (viewer) viewer.dataset.canWrite = "false";
    $("#finding .finding-acts")?.remove();
  }
  document.dispatchEvent(new CustomEvent("evidence", { detail: { others: read && !own } }));
}

/** The evidence after something that was done here. */
export async function refreshEvidence() {
  try {
    await lookAgain(true);
  } catch (error) {
    problem(error.message);
  }
}

function row(form, file) {
  const item = make("li");
  const bar = make("progress");
  const foot = make("p");
  const state = make("span", "nums muted", `Waiting · ${size(file.size)}`);
  const cancel = make("button", "link", "Cancel");
  cancel.type = "button";
  cancel.setAttribute("aria-label", `Cancel ${file.name}`);
  bar.max = 100;
  bar.value = 0;
  bar.setAttribute("aria-label", `Uploading ${file.name}`);
  foot.append(state, cancel);
  item.append(make("strong", "", file.name), bar, foot);
  $(".uploads", form).append(item);
  item.scrollIntoView({ block: "nearest" });
  const end = (text, bad) => {
    bar.remove();
    cancel.remove();
    state.className = bad ? "error" : "muted";
    state.textContent = text;
  };
  return { item, bar, state, cancel, end };
}

/** Tells the server that an upload is given up, so that it does not take it for a broken connection. */
async function cancelThere(name) {
  try {
    await lookAgain(true);
    const own = $$('#evidence form[action$="/cancel"]').find((form) => $("button", form).getAttribute("aria-label") === `Cancel ${name}`);
    if (own) await html(own.action, { method: "POST" });
  } catch { /* it ends with the connection */ }
}

function send({ form, file, view }) {
  const xhr = new XMLHttpRequest();
  const began = performance.now();
  const data = new FormData();
  data.append("file", file, file.name);
  current = xhr;
  xhr.open("POST", form.action);
  xhr.setRequestHeader("Accept", "application/json");
  xhr.upload.onprogress = (event) => {
    if (!event.lengthComputable) return;
    const seconds = (performance.now() - began) / 1000;
    view.bar.value = (event.loaded / event.total) * 100;
    view.state.textContent = event.loaded === event.total ? "Scanning what has arrived…"
      : `Uploading ${size(event.loaded)} of ${size(event.total)}${seconds > 2 ? left((seconds / event.loaded) * (event.total - event.loaded)) : ""}`;
  };
  let cancelled = false;
  xhr.onload = () => {
    if (cancelled) return xhr.onabort();
    let body = {};
    try { body = JSON.parse(xhr.responseText); } catch { /* not JSON: the status says enough */ }
    if (xhr.status >= 200 && xhr.status < 300) {
      if (body.duplicate_of) view.end(`The same file is here already: ${body.duplicate_of.name}`);
      else view.item.remove();
      problem("");
      lookAtPage().catch(() => {}); // the next look at the page says the same
    } else {
      view.end(body.detail || body.title || `The server answered ${xhr.status}. The file was not added.`, true);
    }
    // Where the evidence says it, it is said once.
    const failed = xhr.status >= 300;
    refreshEvidence().then(() => {
      const told = $$(".log-card.failed .error").some((card) => body.detail && card.textContent.includes(body.detail));
      if (failed && told) view.item.remove();
    });
    next();
  };
  xhr.onerror = () => { view.end("The connection broke. The file was not added; try again.", true); next(); };
  xhr.onabort = () => { view.end("Cancelled. The file was not added."); refreshEvidence(); next(); };
  view.cancel.onclick = async () => {
    cancelled = true;
    view.cancel.disabled = true;
    await cancelThere(file.name);
    if (xhr.readyState !== XMLHttpRequest.DONE) xhr.abort();
  };
  xhr.send(data);
}

function next() {
  current = null;
  const job = queue.shift();
  if (job) send(job);
}

function add(form, files) {
  for (const file of files) {
    const job = { form, file, view: row(form, file) };
    job.view.cancel.onclick = () => {
      queue.splice(queue.indexOf(job), 1);
      job.view.end("Cancelled. The file was not added.");
    };
    queue.push(job);
  }
  if (!current) next();
}

export function startUpload() {
  // While a log is scanned, the evidence asks for itself every second.
  if ($("#bench")) watch(EVERY_S, async () => { if (!$("#evidence[data-poll]")) await lookAgain(false); });
  on("change", "[data-upload] input[type=file]", (_, input) => {
    add(input.form, input.files);
    input.value = "";
  });
  const files = (event) => event.dataTransfer?.types.includes("Files") && $("[data-upload]");
  let depth = 0;
  const drag = (over) => document.body.classList.toggle("dragging", over);
  addEventListener("dragenter", (event) => { if (files(event)) { depth += 1; drag(true); } });
  addEventListener("dragleave", (event) => { if (files(event)) { depth -= 1; drag(depth > 0); } });
  addEventListener("dragover", (event) => { if (files(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    const form = files(event);
    if (!form) return;
    event.preventDefault();
    depth = 0;
    drag(false);
    add(event.target.closest?.("[data-upload]") || form, event.dataTransfer.files);
  });
  addEventListener("beforeunload", (event) => { if (current) event.preventDefault(); });
}
