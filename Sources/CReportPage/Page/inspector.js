// One task: its facts, its dependencies, its attempts, and its story.

import {
  byID, bytes, clock, duration, make, ownClock, plain, plural, STATES, swatch, whole,
} from "./theme.js";
import { FAILED, LOST, OPEN } from "./rows.js";
import { detailNotes, panels } from "./panels.js";

export class Inspector {
  isShown = false;
  /** @type {Element} */
  before;
  /** @type {import("./side.js").Side} */
  side;
  /** @type {number} */
  task;
  /** @type {HTMLElement} */
  element;

  /**
   * @param {import("./side.js").Side} side
   * @param {number} task
   * @param {boolean} [focuses]
   */
  show(side, task, focuses = false) {
    this.side = side;
    this.task = task;
    if (!this.element) this.build();
    if (!this.isShown) this.before = document.activeElement;
    this.isShown = true;
    this.element.hidden = false;
    document.body.classList.add("inspecting");
    this.fill();
    if (focuses) this.element.focus();
  }

  hide() {
    if (!this.isShown) return;
    this.isShown = false;
    this.element.hidden = true;
    document.body.classList.remove("inspecting");
    if (this.element.contains(document.activeElement)) /** @type {HTMLElement} */ (this.before)?.focus?.();
  }

  build() {
    this.element = make("aside", { id: "inspector", tabindex: "-1", "aria-label": "Story of a task", hidden: true });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.hide();
      panels.timeline.deselect(false);
      byID("tracks").focus();
    });
    document.body.append(this.element);
  }

  fill() {
    const { side, task } = this;
    const timeline = panels.timeline;
    const head = make("div", { class: "head" },
      make("h2", {}, make("code", {}, side.key(task))),
      make("button", { type: "button", class: "plain", "aria-label": "Close", onclick: () => {
        this.hide();
        timeline.deselect(false);
      } }, "✕"));
    /** @type {Node[]} */
    const parts = [head];
    if (!side.storyPlaces) {
      parts.push(make("p", { role: "status" }, "Reading the story…"));
    } else {
      parts.push(this.facts(), this.acts(), this.failure(), this.explanation(),
        this.list("Dependencies", side.needsOf(task)), this.list("Dependents", side.dependentsOf(task)),
        this.attempts(), this.story());
    }
    this.element.replaceChildren(...parts.filter(Boolean));
    this.element.scrollTop = 0;
  }

  facts() {
    const { side, task } = this;
    const spans = side.spansOf(task);
    const facts = [
      [
        "prefix",
        make("span", { class: "name" }, swatch(panels.timeline.prefixColour(side.prefixName(task))),
          side.prefixName(task))
      ],
      [
        "state",
        make(
          "span", {}, side.stateName(task) === "erred" ? make("b", { class: "bad" }, "erred") : side.stateName(task))
      ],
    ];
    if (side.runs.length > 1) facts.push(["run", `#${side.runs[side.run[task]].number}`]);
    if (side.nbytes[task])
      facts.push(
        ["result", `${bytes(side.nbytes[task])}${side.type[task] ? ` · ${side.types[side.type[task] - 1]}` : ""}`]);
    for (const span of spans.slice(0, 12)) {
      const from = span.source >= 0 ? ` from ${side.workers[span.source].label}` : "";
      const least = span.outcome === OPEN ? "at least " : "";
      const end = span.outcome === FAILED ? ", failed" : span.outcome === LOST ? ", failed with its worker"
        : span.outcome === OPEN ? ", its end is not in the log" : "";
      const where = side.workers[span.lane.worker].label;
      facts.push([span.action, `${least}${duration(span.stop - span.start)} on ${where}${from}${end}`]);
    }
    if (spans.length > 12) facts.push(["", `and ${plural(spans.length - 12, "more span")}`]);
    return make(
      "dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }

  acts() {
    const { side, task } = this;
    const timeline = panels.timeline;
    const act = (/** @type {string} */ text, /** @type {() => void} */ run) =>
      make("button", { type: "button", onclick: run }, text);
    return make("div", { class: "acts" },
      act("Zoom to it", () => timeline.select(side, task, { zoom: true, show: false })),
      act("Chain to it", () => {
        panels.side = side;
        panels.show("path");
        byID("panel").replaceChildren(...[panels.path(task)].flat());
        byID("details").scrollIntoView({ block: "nearest" });
      }));
  }

  failure() {
    const { side, task } = this;
    const failure = side.failureOf(task);
    if (!failure) return null;
    const { rows, causes, texts } = side.failures;
    const row = rows[failure.index];
    if (!failure.isOwn) {
      const blamed =
        row ? this.link(row.task) : make("code", {}, failure.blamed ?? "a task that this page does not list");
      return make("section", { class: "failure" }, make("b", { class: "bad" }, "Failed because of "), blamed);
    }
    const text = row ? texts[causes[row.cause]?.exception] ?? "Failed without an exception"
      : "Failed; this page does not list its exception, see tasklog errors";
    const traceback = row && texts[row.traceback];
    return make("section", { class: "failure" },
      make("b", { class: "bad" }, text), ...(traceback ? [make("pre", { tabindex: "0" }, traceback)] : []));
  }

  explanation() {
    const { side, task } = this;
    const sentences = side.explanations.get(task);
    const heading = make("h3", {}, "What happened and why");
    if (!sentences) {
      return make("section", { class: "explanation" }, heading, make("p", { class: "soft" },
        "This page tells it for tasks that failed or took long; ", make("code", {}, "tasklog explain"),
        " does for every task."));
    }
    let shown = -1;
    const items = sentences.flatMap(([attempt, time, text]) => {
      const head = attempt === shown ? [] : [make("dt", {}, attempt ? `attempt ${attempt}` : "before")];
      shown = attempt;
      const moment = make("span", { class: "soft number" }, `${seconds(time - side.first)} `);
      return [...head, make("dd", {}, moment, plain(text))];
    });
    return make("section", { class: "explanation" }, heading, make("dl", {}, ...items));
  }

  /** @param {number} task */
  link(task) {
    return make("button", { type: "button", class: "link", onclick: () => panels.timeline.select(this.side, task) },
      make("code", {}, this.side.key(task)));
  }

  /**
   * @param {string} title
   * @param {Int32Array} tasks
   */
  list(title, tasks) {
    if (!tasks.length) return null;
    const items = [...tasks.slice(0, 30)].map((task) => make("li", {}, this.link(task)));
    if (tasks.length > 30) items.push(make("li", {}, `and ${whole(tasks.length - 30)} more`));
    return make("details", { open: tasks.length <= 6 },
      make("summary", {}, `${title} `, make("b", { class: "count" }, whole(tasks.length))),
      make("ul", { class: "keys" }, ...items));
  }

  attempts() {
    const { side } = this;
    const attempts = side.attemptsOf(this.task);
    if (!attempts.length) return null;
    const at = (/** @type {number} */ time) => (time === null ? "–" : seconds(time - side.first));
    const between = (/** @type {number} */ from, /** @type {number} */ to) =>
      make("td", { class: "number" }, from === null || to === null ? "–" : duration(to - from));
    const rows = attempts.slice(0, 200).map((attempt) => {
      const { worker, outcome, sent, started, stopped, ended } = attempt;
      const title = `sent ${at(sent)}, started ${at(started)}, stopped ${at(stopped)}, ended ${at(ended)}`;
      return make("tr", { title },
        make("td", {}, worker < 0 ? "–" : side.workers[worker].label), make("td", {}, state(outcome)),
        make("td", { class: "number" }, at(sent)), between(sent, started), between(started, stopped));
    });
    const heads = ["worker", "outcome", "sent", "queue", "run time"];
    return make("section", { class: "attempts" }, make("h3", {}, attempts.length === 1 ? "Attempt" : "Attempts"),
      make("div", { class: "tablebox" },
        make("table", {},
          make("caption", { class: "hidden" }, "Attempts to run this task"),
          make("thead", {}, make("tr", {}, ...heads.map((name, i) =>
            make("th", { scope: "col", class: i > 1 ? "number" : undefined }, name)))),
          make("tbody", {}, ...rows))),
      ...(attempts.length > 200 ? [make("p", { class: "soft" }, `and ${whole(attempts.length - 200)} more`)] : []));
  }

  story() {
    const { side, task } = this;
    /** @type {number} */
    let before = null;
    const events = side.story(task);
    const rows = events.slice(0, 2000).map((event) => {
      const after = before === null ? "" : `${event.time >= before ? "+" : ""}${duration(event.time - before)}`;
      before = event.time;
      const worker = event.worker >= 0 ? side.workers[event.worker].label : "";
      const what = event.hook === "transition"
        ? make("span", {}, state(event.start), " → ", state(event.finish))
        : make("span", { class: "mark" }, event.hook);
      return make("tr", { class: event.isScheduler ? "scheduler" : "worker" },
        make("td", { class: "number", title: clock(side, event.time, 6) + ownClock(side, event) },
          seconds(event.time - side.first)),
        make("td", { class: "number soft" }, after), make("td", {}, event.isScheduler ? "scheduler" : worker),
        make("td", {}, what, event.isScheduler && worker ? make("span", { class: "soft" }, ` on ${worker}`) : null));
    });
    const notes = [];
    if (side.detail.omittedEvents) notes.push(make("p", { class: "soft" }, detailNotes(side).at(-1)));
    if (events.length > 2000)
      notes.push(make("p", { class: "soft" }, `and ${whole(events.length - 2000)} more events`));
    return make("section", {}, make("h3", {}, "Story"),
      make("div", { class: "tablebox" },
        make("table", { class: "story" },
          make("caption", { class: "hidden" }, "Events about this task, cause before effect"),
          make("thead", {},
            make("tr", {},
              ...["at", "after", "seen by", "what"].map(
                (name, i) => make("th", { scope: "col", class: i < 2 ? "number" : undefined }, name)))),
          make("tbody", {}, ...rows))),
      ...notes);
  }
}

export const inspector = new Inspector();

/** @param {string} name */
function state(name) {
  const element = make("span", { class: "state" }, name || "–");
  const colour = STATES[{ error: "erred", executing: "processing", "long-running": "processing" }[name] ?? name];
  if (colour) element.style.setProperty("--colour", colour);
  return element;
}

/** @param {number} time */
const seconds = (time) => `${(time / 1e6).toFixed(time < 1e6 ? 6 : 4)} s`;
