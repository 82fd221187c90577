// What is typed and not yet saved is kept for this tab, so that following a link, another person's change or a server
// that is away loses nothing. It is kept for the person, and signing out forgets it.

import { $, $$, make, on } from "./dom.js";

const person = $(".rail")?.dataset.person ?? "";
const PREFIX = "draft ";
const keyOf = (form) => `${PREFIX}${person} ${new URL(form.getAttribute("action"), location).pathname}`;
const fields = (form) => $$("textarea[name], select[name], input[name]:not([type=hidden], [type=password], [type=file])", form);

/** The fields' values: as they are, or as the server sent them. */
function values(form, sent) {
  const all = {};
  for (const field of fields(form)) {
    if (field.type === "radio" || field.type === "checkbox") {
      if (sent ? field.defaultChecked : field.checked) all[field.name] = field.value;
    } else if (field.localName === "select") {
      const chosen = sent ? $$("option", field).find((option) => option.defaultSelected) ?? field.options[0] : field;
      all[field.name] = chosen?.value ?? "";
    } else {
      all[field.name] = sent ? field.defaultValue : field.value;
    }
  }
  return all;
}

const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);

function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

function write(key, draft) {
  try {
    if (draft) sessionStorage.setItem(key, JSON.stringify(draft));
    else sessionStorage.removeItem(key);
  } catch { /* full or forbidden: then only this page keeps it */ }
}

/** Takes note of what is typed. */
function keep(form) {
  const [typed, base] = [values(form, false), values(form, true)];
  form.classList.toggle("changed", !equal(typed, base));
  write(keyOf(form), equal(typed, base) ? null : { typed, base });
}

function fill(form, typed) {
  for (const field of fields(form)) {
    const value = typed[field.name];
    if (value === undefined) continue;
    if (field.type === "radio" || field.type === "checkbox") field.checked = field.value === value;
    else field.value = value;
  }
  form.classList.add("changed");
}

/** Says that something was kept, with what to do about it. */
function note(form, text, label, act) {
  $(".kept", form)?.remove();
  const line = make("p", "hint kept", `${text} `);
  const button = make("button", "link", label);
  button.type = "button";
  button.addEventListener("click", () => { act(); line.remove(); });
  line.append(button);
  form.append(line);
}

function restore(form, quietly) {
  const key = keyOf(form);
  const draft = read(key);
  if (!draft) return;
  const base = values(form, true);
  // What the server sends back with a reason was not saved.
  if (equal(draft.typed, base)) return $(".wrong", form) ? undefined : write(key, null);
  if (!equal(draft.base, base)) {
    // What came from the server is not what was being changed: nothing is put over it unasked.
    return note(form, "You had typed something else here, and this was changed meanwhile.", "Put back what I typed", () => {
      fill(form, draft.typed);
      keep(form);
    });
  }
  fill(form, draft.typed);
  if (quietly) return;
  note(form, "What you had typed is back.", "Discard", () => {
    fill(form, base);
    keep(form);
  });
}

/** Forgets a form's draft: the server has taken it. */
const taken = (form) => write(keyOf(form), null);

/** Puts back what was typed into forms that have come anew. */
function restoreIn(root, quietly = true) {
  for (const form of $$("form[data-keep]", root)) restore(form, quietly);
}

export function startDrafts() {
  // A form that left with its page was taken, if the server has answered with another page.
  const here = new Set($$("form[data-keep]").map(keyOf));
  for (const key of Object.keys(sessionStorage)) {
    if (key.startsWith(PREFIX) && read(key)?.left && !here.has(key)) write(key, null);
  }
  restoreIn(document, false);
  on("input", "form[data-keep]", (_, form) => keep(form));
  // Text is kept as it is typed; a field that is taken out of the page says that it has changed, too.
  on("change", "form[data-keep] :is(select, input[type=radio], input[type=checkbox])", (_, field) => keep(field.form));
  on("submit", "form[data-keep]", (event, form) => {
    const draft = read(keyOf(form));
    if (draft && !event.defaultPrevented) write(keyOf(form), { ...draft, left: true });
  });
  on("submit", 'form[action="/sign-out"]', () => {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) write(key, null);
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const form = event.detail.requestConfig?.elt?.closest?.("form[data-keep]");
    const status = event.detail.xhr?.status;
    if (form && status >= 200 && status < 400) taken(form);
  });
  document.addEventListener("htmx:afterSettle", () => restoreIn(document));
  document.addEventListener("put", (event) => restoreIn(event.detail));
}
