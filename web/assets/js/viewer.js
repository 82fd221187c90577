// The log viewer: asks for blocks of rows as they come into view. A row is 20 px high, whatever it holds. Where all rows
// together would be higher than browsers can lay out, the scroll bar is scaled: dragging it moves in proportion, the
// wheel and keys still move by rows. Wrapped, rows have heights of their own: then the blocks around the first line in view
// stand one below the other, and more are put before and after them as they are needed.

import { $, $$, debounce, html, make, parse, problem, writing } from "./dom.js";
import { startFindings } from "./findings.js";

const ROW = 20;
const BLOCK = 100;
const KEEP = 8; // blocks in the page
const KIND = "#legend input[type=checkbox][name=kind]"; // the forms that judge a type carry its name as well
const HEIGHT_MAX = 8_000_000; // px; Chromium ends at 33 million, Firefox at 17 million

export class Viewer {
  constructor(box) {
    this.box = box;
    this.rows = $(".rows", box);
    this.href = box.dataset.href;
    this.view = box.dataset.view;
    this.lines = Number(box.dataset.lines);
    this.top = Number(box.dataset.from) - 1; // the first line in view, counted from zero, with a fraction
    this.blocks = new Map(); // number of block -> element
    this.here = 0; // the line that is marked, counted from one; with others, the first
    this.hereLast = 0;
    this.finding = null; // the finding that is looked at, and its line: a long line is shown around it
    this.expected = -1; // the scroll position that we set ourselves
    this.seek = null; // wrapped: the line, counted from zero, that comes to the top when its block is there
    this.adopt(Number(box.dataset.from));
    box.classList.add("virtual");
    box.classList.toggle("wrapped", wraps());
    this.width = box.clientWidth;
    this.resize();
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    box.addEventListener("keydown", (event) => this.key(event));
    this.touch();
    new ResizeObserver(() => this.resized()).observe(box);
    const asked = Number(new URLSearchParams(location.search).get("from"));
    if (!this.follow() && asked > 1) this.scrollTo(asked - 1);
  }

  /** Goes to the line, or the lines, that the address names (`#L3`, `#L3-5`); false where it names none. */
  follow() {
    const hash = /^#L(\d+)(?:-(\d+))?$/.exec(location.hash);
    if (hash) this.go(Number(hash[1]), Number(hash[2] ?? hash[1]));
    return Boolean(hash);
  }

  /** Takes over the rows that came with the page, where they begin with a block. */
  adopt(from) {
    const rows = $$(".row", this.rows);
    this.rows.textContent = "";
    const whole = rows.length === BLOCK || from - 1 + rows.length >= this.lines;
    if ((from - 1) % BLOCK !== 0 || !whole || rows.length > BLOCK) return;
    const block = make("div", "block");
    block.append(...rows);
    block.dataset.ready = "";
    this.blocks.set((from - 1) / BLOCK, block);
    this.rows.append(block);
  }

  get wrapped() { return this.box.classList.contains("wrapped"); }
  get visible() { return (this.wrapped && this.inView().length) || this.box.clientHeight / ROW; }
  get last() { return Math.max(0, this.wrapped ? this.lines - 1 : this.lines - Math.floor(this.visible)); }
  get scaled() { return !this.wrapped && this.lines * ROW > HEIGHT_MAX; }

  resize() {
    this.rows.style.height = this.wrapped ? "" : `${Math.min(this.lines * ROW, HEIGHT_MAX)}px`;
    this.scrollTo(this.top);
  }

  /** The box has another size. Wrapped, only its width moves lines. */
  resized() {
    const width = this.box.clientWidth;
    if (this.wrapped && width === this.width) return this.flow();
    this.width = width;
    this.resize();
  }

  /** Wraps long lines or does not; the first line in view stays. */
  wrap(on) {
    const top = Math.floor(this.top);
    this.clear();
    this.box.classList.toggle("wrapped", on);
    this.box.scrollLeft = 0;
    this.top = top;
    this.resize();
  }

  /** The number of lines grew. */
  grow(lines) {
    if (lines <= this.lines) return;
    this.blocks.get(Math.floor((this.lines - 1) / BLOCK))?.remove();
    this.blocks.delete(Math.floor((this.lines - 1) / BLOCK));
    this.lines = lines;
    this.resize();
  }

  scrollTo(line) {
    this.top = Math.min(this.last, Math.max(0, line));
    if (this.wrapped) {
      this.seek = Math.floor(this.top);
      return this.flow();
    }
    const range = this.box.scrollHeight - this.box.clientHeight;
    const wanted = this.scaled ? (this.last ? (this.top / this.last) * range : 0) : this.top * ROW;
    this.box.scrollTop = wanted;
    this.expected = this.box.scrollTop;
    this.render();
  }

  scrolled() {
    if (this.wrapped) {
      const [row] = this.seek === null ? this.inView() : [];
      if (row?.id) this.top = Number(row.id.slice(1)) - 1;
      return this.flow();
    }
    if (Math.abs(this.box.scrollTop - this.expected) >= 1) {
      const range = this.box.scrollHeight - this.box.clientHeight;
      this.top = this.scaled ? (range ? (this.box.scrollTop / range) * this.last : 0) : this.box.scrollTop / ROW;
      this.expected = this.box.scrollTop;
    }
    this.render();
  }

  wheel(event) {
    if (!this.scaled || event.ctrlKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 1 : event.deltaMode === 2 ? this.visible : 1 / ROW;
    this.scrollTo(this.top + event.deltaY * unit);
  }

  touch() {
    let at = 0;
    this.box.addEventListener("touchstart", (event) => { at = event.touches[0].clientY; }, { passive: true });
    this.box.addEventListener("touchmove", (event) => {
      if (!this.scaled || event.touches.length !== 1) return;
      const y = event.touches[0].clientY;
      this.scrollTo(this.top + (at - y) / ROW);
      at = y;
      if (event.cancelable) event.preventDefault();
    }, { passive: false });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event)) return;
    const page = Math.max(1, Math.floor(this.visible) - 2);
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, " ": event.shiftKey ? -page : page }[event.key];
    if (step !== undefined) this.scrollTo(this.top + step);
    else if (event.key === "Home") this.scrollTo(0);
    else if (event.key === "End") this.scrollTo(this.last);
    else return;
    event.preventDefault();
  }

  /** Wrapped: the rows in view. */
  inView() {
    const [from, to] = [this.box.scrollTop, this.box.scrollTop + this.box.clientHeight];
    return $$(".row", this.rows).filter((row) => row.offsetTop < to && row.offsetTop + row.offsetHeight > from);
  }

  /** Wrapped: changes rows, and what is in view stays where it is. */
  stay(change) {
    if (!this.wrapped) return change();
    const rows = this.inView();
    const before = rows.map((row) => row.offsetTop);
    change();
    const kept = rows.findIndex((row) => row.isConnected);
    if (kept >= 0) this.box.scrollTop += rows[kept].offsetTop - before[kept];
  }

  /** Wrapped: what `render` is where all rows are of one height. */
  flow() {
    const line = this.seek ?? this.top;
    const at = Math.floor(line / BLOCK);
    if (!this.blocks.has(at)) {
      this.clear();
      this.seek = Math.floor(line);
      this.load(at);
      return;
    }
    if (this.seek !== null) {
      const row = $(`#L${this.seek + 1}`, this.rows);
      if (!row) return; // Its block is being read, and calls again.
      this.box.scrollTop = row.offsetTop;
      this.seek = null;
    }
    const numbers = [...this.blocks.keys()].sort((a, b) => a - b);
    const [first, last, high] = [numbers[0], numbers.at(-1), this.box.clientHeight];
    const ready = (n) => "ready" in this.blocks.get(n).dataset;
    if (numbers.length > KEEP) {
      const far = at - first > last - at ? first : last;
      this.stay(() => this.drop(far));
    } else if (first > 0 && ready(first) && this.box.scrollTop < high) {
      this.stay(() => { this.load(first - 1); });
    } else if ((last + 1) * BLOCK < this.lines && ready(last) && this.rows.offsetHeight - this.box.scrollTop < 3 * high) {
      this.load(last + 1);
    }
  }

  /** Takes a block out; the focus in it goes to the viewer, so that keys go on. */
  drop(n) {
    const block = this.blocks.get(n);
    const focused = block?.contains(document.activeElement);
    block?.remove();
    this.blocks.delete(n);
    if (focused) this.box.focus({ preventScroll: true });
  }

  clear() {
    for (const n of [...this.blocks.keys()]) this.drop(n);
  }

  render() {
    if (this.wrapped) return this.flow();
    const base = this.box.scrollTop;
    const first = Math.max(0, Math.floor((this.top - BLOCK / 2) / BLOCK));
    const end = Math.min(Math.ceil(this.lines / BLOCK), Math.ceil((this.top + this.visible + BLOCK / 2) / BLOCK));
    for (let n = first; n < end; n += 1) {
      if (!this.blocks.has(n)) this.load(n);
    }
    const middle = Math.floor((this.top + this.visible / 2) / BLOCK);
    for (const [n, block] of this.blocks) {
      if (Math.abs(n - middle) > KEEP / 2) {
        this.drop(n);
      } else {
        block.style.transform = `translateY(${base + (n * BLOCK - this.top) * ROW}px)`;
      }
    }
  }

  async load(n) {
    const block = make("div", "block");
    const count = Math.min(BLOCK, this.lines - n * BLOCK);
    const blank = make("div", "row blank");
    blank.append(make("span", "ln", String(n * BLOCK + 1)), make("span", "tx", "Reading…"));
    block.append(blank);
    this.blocks.set(n, block);
    const after = [...this.blocks.keys()].filter((other) => other > n).sort((a, b) => a - b)[0];
    this.rows.insertBefore(block, this.blocks.get(after) ?? null);
    // A fast scroll passes many blocks: only those are asked for that stay for a moment.
    await new Promise((resume) => setTimeout(resume, 40));
    if (this.blocks.get(n) !== block) return;
    try {
      const text = await html(this.linesUrl(n * BLOCK + 1, count));
      if (this.blocks.get(n) !== block) return;
      this.stay(() => block.replaceChildren(parse(text)));
      block.dataset.ready = "";
      if (this.wrapped) this.flow();
      this.mark();
      this.box.dispatchEvent(new CustomEvent("rows"));
    } catch (error) {
      if (this.blocks.get(n) === block) {
        this.drop(n);
        problem(error.message);
        setTimeout(() => this.render(), 3000);
      }
    }
  }

  linesUrl(from, count) {
    const query = new URLSearchParams({ from, count, view: this.view });
    for (const kind of this.kinds()) query.append("kind", kind);
    const { id, line } = this.finding ?? {};
    if (line >= from && line < from + count) query.set("finding", id);
    return `${this.href}/lines?${query}`;
  }

  /** The types that are marked: none named means all, one empty name means none. */
  kinds() {
    const boxes = $$(KIND);
    const checked = boxes.filter((box) => box.checked).map((box) => box.value);
    if (checked.length === boxes.length) return [];
    return checked.length ? checked : [""];
  }

  /** Throws all rows away and asks again. */
  reload() {
    this.clear();
    this.render();
  }

  /** Asks again for the rows that are there; they stand until the new ones have come. */
  async refresh() {
    for (const [n, block] of [...this.blocks]) {
      if (!("ready" in block.dataset)) continue;
      try {
        const rows = parse(await html(this.linesUrl(n * BLOCK + 1, Math.min(BLOCK, this.lines - n * BLOCK))));
        const focused = block.contains(document.activeElement) ? document.activeElement.id : "";
        // Rows of the same text are of the same height: nothing moves.
        if (this.blocks.get(n) === block) block.replaceChildren(rows);
        if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      } catch {
        return; // What is seen stays; the evidence asks again.
      }
    }
    this.mark();
    this.box.dispatchEvent(new CustomEvent("rows"));
  }

  /** Brings a finding into view; resolves when its row shows it. */
  async find(id, line) {
    this.finding = { id, line };
    this.go(line);
    const row = $(`#L${line}`, this.rows);
    if (!row || document.getElementById(`f-${id}`)) return; // Rows that are being read are read around it.
    const [fresh] = parse(await html(this.linesUrl(line, 1))).children;
    if (!fresh || this.finding?.id !== id || !row.isConnected) return;
    this.stay(() => row.replaceWith(fresh));
    this.mark();
  }

  /** Marks a line, counted from one, or lines up to another, and brings them into view. */
  go(line, last = line) {
    const number = Math.min(this.lines, Math.max(1, line));
    this.here = number;
    this.hereLast = Math.min(Math.max(number, last), number + 1000);
    if (number - 1 < this.top || number > this.top + this.visible - 1) this.scrollTo(number - 1 - Math.floor(this.visible / 3));
    this.mark();
  }

  mark() {
    for (const row of $$(".row.here", this.rows)) row.classList.remove("here");
    if (!this.here) return;
    for (let line = this.here; line <= this.hereLast; line += 1) $(`#L${line}`, this.rows)?.classList.add("here");
  }
}

const WRAP = "wrap";
/** Whether long lines wrap: as it was chosen last, else on a phone. */
function wraps() {
  try {
    const kept = localStorage.getItem(WRAP);
    if (kept) return kept === "1";
  } catch { /* no storage: by the screen */ }
  return matchMedia("(max-width: 860px)").matches;
}

/** One line, whole, in a dialog; of a line over 1 MiB the window around a byte of the log. */
async function showWhole(viewer, { line, at }) {
  const dialog = $("#whole");
  try {
    const rows = parse(await html(`${viewer.linesUrl(Number(line), 1)}&whole=1${at ? `&at=${at}` : ""}`));
    for (const element of rows.querySelectorAll("[id]")) element.removeAttribute("id");
    $("#whole-line").replaceChildren(rows);
    $("#whole-title").textContent = `Line ${line}`;
    if (!dialog.open) dialog.showModal();
    $("#whole-line").scrollTop = 0;
  } catch (error) {
    problem(error.message);
  }
}

export function startViewer() {
  const box = $("#viewer:not(.whole)");
  if (!box) return;
  const viewer = new Viewer(box);
  startFindings(viewer);

  box.addEventListener("click", (event) => {
    const number = event.target.closest(".ln");
    const more = event.target.closest(".more");
    if (number?.hash) {
      event.preventDefault();
      history.replaceState(null, "", number.hash);
      viewer.go(Number(number.hash.slice(2)));
    } else if (more) {
      event.preventDefault();
      showWhole(viewer, more.dataset);
    }
  });
  $("#whole")?.addEventListener("click", (event) => {
    const more = event.target.closest(".more");
    if (!more) return;
    event.preventDefault();
    showWhole(viewer, more.dataset);
  });
  addEventListener("hashchange", () => viewer.follow());

  const jump = $("#jump");
  jump?.form.addEventListener("submit", (event) => {
    event.preventDefault();
    const line = Number(jump.value.replaceAll(/\D/g, ""));
    if (!line) return;
    history.replaceState(null, "", `#L${line}`);
    viewer.go(line);
    jump.value = "";
    box.focus();
  });

  const button = $("#wrap");
  const wrap = (on) => {
    button?.setAttribute("aria-pressed", String(on));
    if (on === viewer.wrapped) return;
    viewer.wrap(on);
    try { localStorage.setItem(WRAP, on ? "1" : "0"); } catch { /* for this page only */ }
  };
  wrap(viewer.wrapped);
  button?.addEventListener("click", () => wrap(!viewer.wrapped));

  const swap = (link) => location.assign(`${viewer.href}?from=${Math.floor(viewer.top / BLOCK) * BLOCK + 1}&view=${link.dataset.view}#L${Math.floor(viewer.top) + 1}`);
  for (const link of $$(".switch a")) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      swap(link);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || writing(event) || $("dialog[open]")) return;
    if (event.key === "m") swap($(".switch a:not([aria-current])"));
    else if (event.key === "l") jump?.focus();
    else if (event.key === "w") wrap(!viewer.wrapped);
    else return;
    event.preventDefault();
  });

  document.addEventListener("change", debounce(0, (event) => {
    if (event.target.matches?.(KIND)) viewer.reload();
  }));

  // While the file is scanned it grows; the evidence says how far it is.
  for (const type of ["htmx:afterSwap", "evidence"]) {
    document.addEventListener(type, () => {
      const card = $(`.log-card[data-log="${CSS.escape(viewer.href.split("/").pop())}"]`);
      if (card) viewer.grow(Number(card.dataset.lines));
    });
  }
}
