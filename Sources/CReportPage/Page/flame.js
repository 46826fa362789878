// The statistical profile of the workers as a flame graph: each box is a function, below its caller, as wide as its
// share of the samples.

import { duration, ink, make, PALETTE, percent, plain, plural, REST } from "./theme.js";
import { bar, table } from "./tables.js";

/** Narrower boxes cannot be seen. */
const LEAST_SHARE = 0.0015;
const ROW_HEIGHT = 19;

export class Flame {
  /** The node that fills the width; -1 for all. */
  root = -1;
  /** The node that keys move from; -1 for the box of all. */
  current = -1;

  /** @param {import("./types.js").Profile} profile */
  constructor(profile) {
    this.profile = profile;
    this.detail = make("p", { class: "flame-detail", "aria-live": "polite" });
    const arrows = "Arrow keys move to the caller, to what it calls and to its neighbours";
    const label = `Flame graph. ${arrows}; Enter zooms, Escape shows all.`;
    this.boxes = make("div", { class: "flame", role: "tree", "aria-label": label });
    this.boxes.addEventListener("keydown", (event) => this.key(event));
    this.choice = make("select", { class: "profile-choice", "aria-label": "Prefix of the flame graph" },
      ...profile.parts.map(({ prefix }, place) =>
        make("option", { value: String(place) }, place === 0 ? "all prefixes" : plain(prefix ?? "(other)"))));
    this.choice.addEventListener("change", () => this.choose(Number(this.choice.value)));
    this.functions = make("div");
    this.choose(0);
  }

  get elements() {
    const { gaps, omitted } = this.profile;
    const notes = [...gaps];
    if (omitted) notes.push(`${plural(omitted, "function")} with few samples count for their callers.`);
    return [
      make("div", { class: "flame-head" }, this.choice, this.detail), this.boxes,
      ...notes.map((text) => make("p", { class: "notice" }, plain(text))),
      make("h3", {}, "Functions"), this.functions,
    ];
  }

  /** @param {number} place */
  choose(place) {
    this.part = this.profile.parts[place];
    this.choice.value = String(place);
    const { nodes } = this.part;
    const count = nodes.length / 3;
    this.callers = new Int32Array(count);
    this.frames = new Int32Array(count);
    this.samples = new Float64Array(count);
    /** @type {number[][]} */
    this.callees = Array.from({ length: count }, () => []);
    /** @type {number[]} */
    this.roots = [];
    for (let i = 0; i < count; i++) {
      this.callers[i] = nodes[i * 3];
      this.frames[i] = nodes[i * 3 + 1];
      this.samples[i] = nodes[i * 3 + 2];
      (this.callers[i] < 0 ? this.roots : this.callees[this.callers[i]]).push(i);
    }
    for (const list of [this.roots, ...this.callees]) list.sort((a, b) => this.samples[b] - this.samples[a]);
    this.root = this.current = -1;
    this.draw();
    this.functions.replaceChildren(this.list());
  }

  /** @param {number} node */
  total(node) {
    return node < 0 ? this.part.samples : this.samples[node];
  }

  /** @param {number} node */
  below(node) {
    return node < 0 ? this.roots : this.callees[node];
  }

  /** @param {number} node */
  name(node) {
    if (node < 0) return this.part === this.profile.parts[0] ? "all prefixes" : plain(this.part.prefix ?? "(other)");
    return plain(this.profile.frames[this.frames[node]][0]);
  }

  /** @param {number} node */
  place(node) {
    const [, file, line] = this.profile.frames[this.frames[node]];
    return plain(line ? `${file}:${line}` : file);
  }

  /**
   * The files of functions have colours.
   * @param {number} node
   */
  colour(node) {
    if (node < 0) return REST;
    const [, file] = this.profile.frames[this.frames[node]];
    let sum = 0;
    for (let i = 0; i < file.length; i++) sum = (sum * 31 + file.charCodeAt(i)) % 65521;
    return PALETTE[sum % PALETTE.length];
  }

  /** @param {number} node */
  words(node) {
    const samples = this.total(node);
    const own = samples - this.below(node).reduce((sum, each) => sum + this.samples[each], 0);
    const time = (/** @type {number} */ n) => duration(n * this.profile.interval * 1e6);
    const share = this.part.samples ? samples / this.part.samples : 0;
    const where = node < 0 ? "" : ` · ${this.place(node)}`;
    return `${this.name(node)}${where} · ${time(samples)}, ${percent(share)} · itself ${time(Math.max(0, own))}`;
  }

  draw() {
    const boxes = [];
    /** @type {number[]} */
    const callers = [];
    for (let node = this.root; node >= 0; node = this.callers[node]) callers.unshift(this.callers[node]);
    callers.forEach((node, row) => boxes.push(this.box(node, row, 0, 1)));
    let deepest = callers.length;
    /** @type {[number, number, number, number][]} */
    const open = [[this.root, callers.length, 0, 1]];
    while (open.length) {
      const [node, row, left, width] = open.pop();
      boxes.push(this.box(node, row, left, width));
      deepest = Math.max(deepest, row);
      let at = left;
      const callees = [];
      for (const callee of this.below(node)) {
        const part = (width * this.samples[callee]) / Math.max(1, this.total(node));
        if (part < LEAST_SHARE) break;
        callees.push(/** @type {[number, number, number, number]} */ ([callee, row + 1, at, part]));
        at += part;
      }
      open.push(...callees.reverse());
    }
    this.boxes.style.height = `${(deepest + 1) * ROW_HEIGHT}px`;
    this.boxes.replaceChildren(...boxes);
    this.mark(this.root, false);
  }

  /**
   * @param {number} node
   * @param {number} row
   * @param {number} left
   * @param {number} width
   */
  box(node, row, left, width) {
    const element = make("div", {
      role: "treeitem", tabindex: "-1", "data-node": String(node), "aria-level": String(row + 1),
      "aria-label": this.words(node), title: this.words(node),
      onclick: () => this.zoom(node), onpointerenter: () => (this.detail.textContent = this.words(node)),
      onfocus: () => this.mark(node, false),
    }, width > 0.02 ? this.name(node) : "");
    const colour = this.colour(node);
    const { style } = element;
    [style.left, style.width] = [`${left * 100}%`, `${width * 100}%`];
    [style.top, style.background, style.color] = [`${row * ROW_HEIGHT}px`, colour, ink(colour)];
    return element;
  }

  /** @param {number} node */
  zoom(node) {
    this.root = node;
    this.draw();
    this.mark(node, true);
  }

  /** @param {number} node */
  element(node) {
    return /** @type {HTMLElement | null} */ (this.boxes.querySelector(`[data-node="${node}"]`));
  }

  /**
   * @param {number} node
   * @param {boolean} isFocused
   */
  mark(node, isFocused) {
    const element = this.element(node);
    if (!element) return;
    this.element(this.current)?.setAttribute("tabindex", "-1");
    this.current = node;
    element.setAttribute("tabindex", "0");
    this.detail.textContent = this.words(node);
    if (isFocused) element.focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const node = this.current;
    const siblings = node < 0 ? [] : this.below(this.callers[node]);
    /** @type {Record<string, () => number | undefined>} */
    const moves = {
      ArrowUp: () => (node < 0 ? undefined : this.callers[node]),
      ArrowDown: () => this.below(node)[0],
      ArrowLeft: () => siblings[siblings.indexOf(node) - 1],
      ArrowRight: () => siblings[siblings.indexOf(node) + 1],
      Home: () => -1,
    };
    if (event.key === "Enter" || event.key === " ") this.zoom(node);
    else if (event.key === "Escape" || event.key === "0") this.zoom(-1);
    else if (event.key in moves) {
      const next = moves[event.key]();
      if (next !== undefined) this.mark(next, true);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** The functions of the part: how often each was at the end of a stack, and on one at all. */
  list() {
    const { frames, interval } = this.profile;
    const own = new Float64Array(frames.length);
    const all = new Float64Array(frames.length);
    for (let node = 0; node < this.samples.length; node++) {
      const frame = this.frames[node];
      own[frame] += this.samples[node] - this.callees[node].reduce((sum, each) => sum + this.samples[each], 0);
      let caller = this.callers[node];
      while (caller >= 0 && this.frames[caller] !== frame) caller = this.callers[caller];
      // One that calls itself counts once.
      if (caller < 0) all[frame] += this.samples[node];
    }
    const rows = frames.map(([name, file, line], at) => ({ name, file, line, own: own[at], all: all[at] }))
      .filter((row) => row.all > 0);
    const most = Math.max(1, this.part.samples);
    const time = (/** @type {number} */ n) => duration(n * interval * 1e6);
    return table("Functions of the profile", [
      { name: "function", get: (row) => plain(row.name), show: (name) => make("code", {}, name) },
      { name: "itself", number: true, get: (row) => row.own, show: (n) => bar(time(n), n / most, "#4e79a7") },
      { name: "with what it calls", number: true, get: (row) => row.all, show: time },
      { name: "share", number: true, get: (row) => row.all / most, show: percent },
      { name: "file", wide: true, get: (row) => plain(row.line ? `${row.file}:${row.line}` : row.file),
        show: (text) => make("code", {}, text) },
    ], rows, { sort: 1, descending: true });
  }
}
