// Finding keys.

import { byID, make, plural, swatch } from "./theme.js";

const MATCHES = 60;

export class Search {
  /** @param {import("./timeline.js").Timeline} timeline */
  constructor(timeline) {
    this.timeline = timeline;
    this.input = /** @type {HTMLInputElement} */ (byID("search"));
    this.box = byID("found");
    this.list = byID("matches");
    this.chosen = -1;
    /** @type {[import("./side.js").Side, number][]} */
    this.matches = [];
    this.input.addEventListener("input", () => this.find());
    this.input.addEventListener("focus", () => this.input.value && this.find());
    this.input.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", (event) => {
      if (!(event.target instanceof Element && event.target.closest(".find"))) this.close();
    });
    document.addEventListener("keydown", (event) => {
      const { target } = event;
      const isTyping = target instanceof Element && target.closest("input, textarea, dialog");
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") {
        event.preventDefault();
        this.input.focus();
        this.input.select();
      } else if (event.key === "?") {
        /** @type {HTMLDialogElement} */ (byID("help")).showModal();
      }
    });
  }

  find() {
    const text = this.input.value;
    if (!text) return this.close();
    this.matches = [];
    let count = 0;
    for (const side of this.timeline.sides) {
      if (!side.keys) continue;
      const found = side.find(text, MATCHES);
      count += found.count;
      for (const task of found.found) this.matches.push([side, task]);
    }
    this.matches.length = Math.min(this.matches.length, MATCHES);
    const isReady = this.timeline.sides.every((side) => side.keys);
    byID("found-count").textContent = isReady ? this.countText(count) : "Still reading the keys…";
    this.list.replaceChildren(...this.matches.map(([side, task], place) => this.option(side, task, text, place)));
    this.box.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.choose(this.matches.length ? 0 : -1);
  }

  /** @param {number} count */
  countText(count) {
    if (count === 0) return "No key contains this text.";
    const first = count > this.matches.length ? `, the first ${this.matches.length}` : "";
    return `${plural(count, "key")}${count >= 100000 ? " or more" : ""}${first}`;
  }

  /**
   * @param {import("./side.js").Side} side
   * @param {number} task
   * @param {string} text
   * @param {number} place
   */
  option(side, task, text, place) {
    const key = side.key(task);
    const at = key.toLowerCase().indexOf(text.toLowerCase());
    const shown = make("code", {});
    if (at >= 0)
      shown.append(key.slice(0, at), make("mark", {}, key.slice(at, at + text.length)), key.slice(at + text.length));
    else shown.append(key);
    const element = make("li", { role: "option", id: `match-${place}`, "aria-selected": "false" },
      ...(this.timeline.sides.length > 1 ? [make("b", { class: "letter" }, side.letter)] : []),
      swatch(this.timeline.prefixColour(side.prefixName(task))), shown, make("small", {}, side.stateName(task)));
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.choose(place);
      this.go();
    });
    return element;
  }

  /** @param {number} place */
  choose(place) {
    this.chosen = place;
    [...this.list.children].forEach((element, each) => element.setAttribute("aria-selected", String(each === place)));
    if (place < 0) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", `match-${place}`);
    this.list.children[place].scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by && this.matches.length) {
      event.preventDefault();
      this.choose((this.chosen + by + this.matches.length) % this.matches.length);
    } else if (event.key === "Enter" && this.chosen >= 0) {
      event.preventDefault();
      this.go();
    } else if (event.key === "Escape") {
      if (this.box.hidden) this.input.blur();
      this.close();
    }
  }

  go() {
    if (this.chosen < 0) return;
    const [side, task] = this.matches[this.chosen];
    this.close();
    this.timeline.select(side, task, { zoom: true });
  }

  close() {
    this.box.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}
