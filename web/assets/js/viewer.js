// The log viewer: asks for blocks of rows as they come into view. A row is 20 px high, whatever it holds. Where all rows
// together would be higher than browsers can lay out, the scroll bar is scaled: dragging it moves in proportion, the
// wheel and keys still move by rows.

import { $, $$, debounce, html, make, parse, problem, writing } from "./dom.js";
import { startFindings } from "./findings.js";

const ROW = 20;
const BLOCK = 100;
const KEEP = 8; // blocks in the page
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
    this.here = 0; // the line that is marked, counted from one
    this.expected = -1; // the scroll position that we set ourselves
    this.adopt(Number(box.dataset.from));
    box.classList.add("virtual");
    this.resize();
    box.addEventListener("scroll", () => this.scrolled(), { passive: true });
    box.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    box.addEventListener("keydown", (event) => this.key(event));
    this.touch();
    new ResizeObserver(() => this.resize()).observe(box);
    const hash = /^#L(\d+)$/.exec(location.hash);
    if (hash) this.go(Number(hash[1]));
  }

  /** Takes over the rows that came with the page, where they begin with a block. */
  adopt(from) {
    const rows = $$(".row", this.rows);
    this.rows.textContent = "";
    const whole = rows.length === BLOCK || from - 1 + rows.length >= this.lines;
    if ((from - 1) % BLOCK !== 0 || !whole || rows.length > BLOCK) return;
    const block = make("div", "block");
    block.append(...rows);
    this.blocks.set((from - 1) / BLOCK, block);
    this.rows.append(block);
  }

  get visible() { return this.box.clientHeight / ROW; }
  get last() { return Math.max(0, this.lines - Math.floor(this.visible)); }
  get scaled() { return this.lines * ROW > HEIGHT_MAX; }

  resize() {
    this.rows.style.height = `${Math.min(this.lines * ROW, HEIGHT_MAX)}px`;
    this.scrollTo(this.top);
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
    const range = this.box.scrollHeight - this.box.clientHeight;
    const wanted = this.scaled ? (this.last ? (this.top / this.last) * range : 0) : this.top * ROW;
    this.box.scrollTop = wanted;
    this.expected = this.box.scrollTop;
    this.render();
  }

  scrolled() {
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

  render() {
    const base = this.box.scrollTop;
    const first = Math.max(0, Math.floor((this.top - BLOCK / 2) / BLOCK));
    const end = Math.min(Math.ceil(this.lines / BLOCK), Math.ceil((this.top + this.visible + BLOCK / 2) / BLOCK));
    for (let n = first; n < end; n += 1) {
      if (!this.blocks.has(n)) this.load(n);
    }
    const middle = Math.floor((this.top + this.visible / 2) / BLOCK);
    for (const [n, block] of this.blocks) {
      if (Math.abs(n - middle) > KEEP / 2) {
        block.remove();
        this.blocks.delete(n);
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
    this.rows.append(block);
    // A fast scroll passes many blocks: only those are asked for that stay for a moment.
    await new Promise((resume) => setTimeout(resume, 40));
    if (this.blocks.get(n) !== block) return;
    try {
      const text = await html(this.linesUrl(n * BLOCK + 1, count));
      if (this.blocks.get(n) !== block) return;
      block.replaceChildren(parse(text));
      this.mark();
      this.box.dispatchEvent(new CustomEvent("rows"));
    } catch (error) {
      if (this.blocks.get(n) === block) {
        block.remove();
        this.blocks.delete(n);
        problem(error.message);
        setTimeout(() => this.render(), 3000);
      }
    }
  }

  linesUrl(from, count) {
    const query = new URLSearchParams({ from, count, view: this.view });
    for (const kind of this.kinds()) query.append("kind", kind);
    return `${this.href}/lines?${query}`;
  }

  /** The types that are marked: none named means all, one empty name means none. */
  kinds() {
    const boxes = $$("#legend input[name=kind]");
    const checked = boxes.filter((box) => box.checked).map((box) => box.value);
    if (checked.length === boxes.length) return [];
    return checked.length ? checked : [""];
  }

  /** Throws all rows away and asks again. */
  reload() {
    for (const block of this.blocks.values()) block.remove();
    this.blocks.clear();
    this.render();
  }

  /** Marks a line, counted from one, and brings it into view. */
  go(line) {
    const number = Math.min(this.lines, Math.max(1, line));
    this.here = number;
    if (number - 1 < this.top || number > this.top + this.visible - 1) this.scrollTo(number - 1 - Math.floor(this.visible / 3));
    this.mark();
  }

  mark() {
    for (const row of $$(".row.here", this.rows)) row.classList.remove("here");
    if (this.here) $(`#L${this.here}`, this.rows)?.classList.add("here");
  }
}

/** One line, whole, in a dialog. */
async function showWhole(viewer, line) {
  const dialog = $("#whole");
  try {
    const url = `${viewer.linesUrl(line, 1)}&whole=1`;
    const rows = parse(await html(url));
    for (const element of rows.querySelectorAll("[id]")) element.removeAttribute("id");
    $("#whole-line").replaceChildren(rows);
    $("#whole-title").textContent = `Line ${line}`;
    dialog.showModal();
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
      showWhole(viewer, Number(more.dataset.line));
    }
  });
  addEventListener("hashchange", () => {
    const hash = /^#L(\d+)$/.exec(location.hash);
    if (hash) viewer.go(Number(hash[1]));
  });

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
    else return;
    event.preventDefault();
  });

  document.addEventListener("change", debounce(0, (event) => {
    if (event.target.matches?.("#legend input[name=kind]")) viewer.reload();
  }));

  // While the file is scanned it grows; the evidence says how far it is.
  document.addEventListener("htmx:afterSwap", () => {
    const card = $(`.log-card[data-log="${CSS.escape(viewer.href.split("/").pop())}"]`);
    if (card) viewer.grow(Number(card.dataset.lines));
  });
}
