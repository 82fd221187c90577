// Times: UTC or the reader's zone by one switch, and relative times that stay true while the page is open.

import { $, $$ } from "./dom.js";

const KEY = "zone";
const pad = (n) => String(n).padStart(2, "0");

function parts(date, local) {
  const get = (name) => (local ? date[`get${name}`]() : date[`getUTC${name}`]());
  return {
    day: `${get("FullYear")}-${pad(get("Month") + 1)}-${pad(get("Date"))}`,
    clock: `${pad(get("Hours"))}:${pad(get("Minutes"))}:${pad(get("Seconds"))}`,
  };
}

function zoneName(date) {
  const minutes = -date.getTimezoneOffset();
  const rest = Math.abs(minutes);
  return `UTC${minutes < 0 ? "-" : "+"}${pad(Math.floor(rest / 60))}:${pad(rest % 60)}`;
}

/** The same words as the server's; nothing where it shows the date. */
function relative(seconds) {
  const past = seconds >= 0;
  const span = Math.abs(seconds);
  if (span < 45) return past ? "just now" : "in a moment";
  let amount;
  if (span < 3570) amount = `${Math.floor((span + 30) / 60)}\u00a0min`;
  else if (span < 84600) amount = `${Math.floor((span + 1800) / 3600)}\u00a0h`;
  else if (span < 604800) amount = `${Math.floor((span + 43200) / 86400)}\u00a0d`;
  else return null;
  return past ? `${amount} ago` : `in ${amount}`;
}

function show(local) {
  const now = Date.now();
  for (const time of $$("time[datetime]")) {
    const date = new Date(time.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const { day, clock } = parts(date, local);
    time.title = `${day} ${clock} ${local ? zoneName(date) : "UTC"}`;
    const text = time.classList.contains("clock") ? clock : relative(Math.floor((now - date.getTime()) / 1000));
    if (text && time.textContent !== text) time.textContent = text;
  }
}

export function startTimes() {
  const button = $("#zone");
  let local = false;
  try { local = localStorage.getItem(KEY) === "local"; } catch { /* no storage: UTC */ }
  const update = () => {
    show(local);
    if (!button) return;
    button.hidden = false;
    button.textContent = local ? "Local" : "UTC";
    button.setAttribute("aria-pressed", String(local));
    button.title = local ? "Times are in your zone. Show UTC" : "Times are in UTC. Show your zone";
  };
  button?.addEventListener("click", () => {
    local = !local;
    try { localStorage.setItem(KEY, local ? "local" : "utc"); } catch { /* for this page only */ }
    update();
  });
  document.addEventListener("htmx:afterSettle", update);
  setInterval(() => { if (!document.hidden) show(local); }, 30_000);
  update();
}
