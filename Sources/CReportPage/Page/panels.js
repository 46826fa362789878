// The tables below the timeline.

import { byID, bytes, clockState, duration, make, percent, plural, STATES, swatch, whole } from "./theme.js";
import { page } from "./data.js";
import { sideTitle } from "./side.js";
import { slowestSpans, workerFigures } from "./figures.js";
import { bar, table } from "./tables.js";

export class Panels {
  /** @type {import("./timeline.js").Timeline} */
  timeline;
  /** @type {import("./side.js").Side} */
  side;
  /** The name and the title of each tab, and what it shows.
   * @type {[string, string, () => Node | Node[]][]} */
  tabs;
  chosen = "prefixes";

  /** @param {import("./timeline.js").Timeline} timeline */
  start(timeline) {
    this.timeline = timeline;
    this.side = timeline.sides[0];
    this.tabs = [
      ["prefixes", "Prefixes", () => this.prefixes()], ["slowest", "Slowest", () => this.slowest()],
      ["errors", "Errors", () => this.errors()], ["path", "Critical path", () => this.path()],
      ["workers", "Workers", () => this.workers()], ["about", "About", () => this.about()],
    ];
    const list = byID("tabs");
    for (const [name, title] of this.tabs) {
      const attributes = { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel" };
      list.append(make("button", { ...attributes, onclick: () => this.show(name) }, title));
    }
    list.addEventListener("keydown", (event) => {
      const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!by) return;
      const at = this.tabs.findIndex(([name]) => name === this.chosen);
      const next = this.tabs[(at + by + this.tabs.length) % this.tabs.length][0];
      this.show(next);
      byID(`tab-${next}`).focus();
    });
    if (timeline.sides.length > 1) {
      const box = byID("sides");
      box.hidden = false;
      for (const side of timeline.sides) {
        box.append(make("button", { type: "button", title: sideTitle(side), onclick: () => {
          this.side = side;
          this.show(this.chosen);
        } }, side.letter));
      }
    }
    this.show("prefixes");
  }

  /** @param {string} name */
  show(name) {
    this.chosen = name;
    for (const [each] of this.tabs) {
      const tab = byID(`tab-${each}`);
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
    }
    const errors = byID("tab-errors");
    const count = this.side.failures.count;
    errors.replaceChildren("Errors", ...(count ? [" ", make("b", { class: "count" }, whole(count))] : []));
    const both = this.timeline.sides.length > 1 && (name === "prefixes" || name === "about");
    [...byID("sides").querySelectorAll("button")].forEach((button, place) => {
      button.setAttribute("aria-pressed", String(both || this.side === this.timeline.sides[place]));
      button.disabled = both;
    });
    const panel = byID("panel");
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    panel.replaceChildren(...[this.tabs.find(([each]) => each === name)[2]()].flat());
  }

  /**
   * @param {import("./side.js").Side} side
   * @param {number} task
   */
  key(side, task) {
    return make("code", {}, side.key(task));
  }

  /**
   * @param {import("./side.js").Side} side
   * @param {number} task
   */
  go(side, task) {
    this.timeline.select(side, task, { zoom: true });
  }

  // MARK: Prefixes

  prefixes() {
    const { timeline } = this;
    if (timeline.sides.length > 1) return this.comparison();
    const rows = this.side.prefixFigures();
    const most = Math.max(1, ...rows.map((row) => row.compute));
    return table("Tasks by prefix",
      [
        {
          name: "prefix",
          get: (row) => row.name,
          show: (name) => make("span", { class: "name" }, swatch(timeline.prefixColour(name)), name || "(no prefix)")
        },
        { name: "tasks", number: true, get: (row) => row.tasks, show: whole },
        {
          name: "failed",
          number: true,
          get: (row) => row.failed,
          show: (n) => (n ? make("span", { class: "bad" }, whole(n)) : "0")
        },
        { name: "sent again", number: true, get: (row) => row.retried, show: whole },
        {
          name: "computed",
          number: true,
          get: (row) => row.compute,
          show: (n, row) => bar(duration(n), n / most, timeline.prefixColour(row.name))
        },
        { name: "median", number: true, get: (row) => row.median, show: (n) => (n === null ? "–" : duration(n)) },
        {
          name: "95th percentile",
          number: true,
          get: (row) => row.high,
          show: (n) => (n === null ? "–" : duration(n))
        },
        { name: "longest", number: true, get: (row) => row.most, show: (n) => (n === null ? "–" : duration(n)) },
        { name: "results", number: true, get: (row) => row.nbytes, show: bytes },
      ],
      rows, {
        sort: 4,
        descending: true,
        act: (row) => timeline.showAlone(row.name),
        actLabel: "Show this prefix alone"
      });
  }

  comparison() {
    const { timeline } = this;
    const [a, b] = timeline.sides.map((side) => new Map(side.prefixFigures().map((row) => [row.name, row])));
    /** @type {import("./types.js").PrefixFigures} */
    const none = { name: "", done: 0, retried: 0, tasks: 0, failed: 0, compute: 0, median: null, nbytes: 0 };
    const rows = [...new Set([...a.keys(), ...b.keys()])].map(
      (name) => ({ name, a: a.get(name) ?? none, b: b.get(name) ?? none }));
    /**
     * @param {string} title
     * @param {(row: import("./types.js").PrefixFigures) => number} of
     * @param {(value: number) => string} show
     * @returns {import("./types.js").Column[]}
     */
    const pair = (title, of, show) => [
      { name: `${title} A`, number: true, get: (row) => of(row.a), show: (n) => (n === null ? "–" : show(n)) },
      { name: `${title} B`, number: true, get: (row) => of(row.b), show: (n) => (n === null ? "–" : show(n)) },
    ];
    const changeText = (/** @type {number} */ n) => {
      const sign = n > 0 ? "+" : n < 0 ? "−" : "";
      const kind = n > 0.05 ? "bad" : n < -0.05 ? "good" : undefined;
      return make("span", { class: kind }, `${sign}${percent(Math.abs(n))}`);
    };
    const change = (/** @type {{ a: { compute: number }, b: { compute: number } }} */ row) =>
      (row.a.compute && row.b.compute ? row.b.compute / row.a.compute - 1 : null);
    return table("Tasks by prefix in both runs", [
      {
        name: "prefix",
        get: (row) => row.name,
        show: (name) => make("span", { class: "name" }, swatch(timeline.prefixColour(name)), name || "(no prefix)"),
      },
      ...pair("tasks", (row) => row.tasks, whole), ...pair("failed", (row) => row.failed, whole),
      ...pair("computed", (row) => row.compute, duration),
      { name: "change", number: true, get: change, show: (n) => (n === null ? "–" : changeText(n)) },
      ...pair("median", (row) => row.median, duration), ...pair("results", (row) => row.nbytes, bytes),
    ], rows, {
      sort: 6,
      descending: true,
      act: (row) => timeline.showAlone(row.name),
      actLabel: "Show this prefix alone",
    });
  }

  // MARK: Slowest and path

  slowest() {
    const { side, timeline } = this;
    const rows = slowestSpans(side, 300);
    const most = rows.length ? rows[0].stop - rows[0].start : 1;
    return table("The longest spans of work",
      [
        {
          name: "key",
          wide: true,
          get: (span) => side.key(span.task),
          show: (_, span) => this.key(side, span.task)
        },
        { name: "work", get: (span) => span.action },
        {
          name: "duration",
          number: true,
          get: (span) => span.stop - span.start,
          show: (n, span) => bar(duration(n), n / most,
            span.action === "compute"
              ? timeline.prefixColour(side.prefixName(span.task))
              : timeline.actionColour(span.action))
        },
        { name: "worker", get: (span) => side.workers[span.lane.worker].label },
        { name: "began at", number: true, get: (span) => span.start - side.first, show: duration },
        { name: "result", number: true, get: (span) => side.nbytes[span.task], show: bytes },
      ],
      rows, {
        sort: 2,
        descending: true,
        act: (span) => {
          timeline.select(side, span.task);
          timeline.view.showSpan(span.start - side.first, span.stop - side.first);
        },
        actLabel: "Show it in the timeline"
      });
  }

  /** @param {number} [task] */
  path(task) {
    const { side } = this;
    const chain = side.criticalPath(task);
    if (!chain.length) return make("p", { class: "empty" }, "No task came to an end.");
    /** @type {Record<string, number>} */
    const sums = {};
    let total = 0;
    for (const step of chain) {
      for (const [name, from, to] of step.pieces) {
        sums[name] = (sums[name] ?? 0) + to - from;
        total += to - from;
      }
    }
    const share = make("div", {
      class: "shares",
      role: "img",
      "aria-label": Object.entries(sums).map(([name, sum]) => `${name} ${percent(sum / total)}`).join(", ")
    },
      ...Object.entries(sums).map(([name, sum]) => {
        const part = make("span", { class: `piece ${name}`, title: `${name}: ${duration(sum)}` },
          sum / total > 0.06 ? `${name} ${percent(sum / total)}` : "");
        part.style.flexGrow = String(sum / total);
        return part;
      }));
    const text = `${plural(chain.length, "task")} and the waits between them set the length${
      task === undefined ? " of the run" : " up to this task"}: ${duration(total)}.`;
    const rows = chain.map((step, place) => ({
      ...step,
      place: place + 1,
      sums: Object.fromEntries(["wait", "queue", "transfer", "compute", "report"].map(
        (name) => [name,
          step.pieces.filter(([each]) => each === name).reduce((sum, [, from, to]) => sum + to - from, 0)]))
    }));
    /** @returns {import("./types.js").Column} */
    const column = (/** @type {string} */ name) =>
      ({ name, number: true, get: (step) => step.sums[name], show: (n) => (n ? duration(n) : "–") });
    return [make("p", { class: "lead" }, text), share, table("What set the length of the run", [
      { name: "key", wide: true, get: (step) => side.key(step.task), show: (_, step) => this.key(side, step.task) },
      { name: "step", number: true, get: (step) => step.place, show: whole },
      ...["wait", "queue", "transfer", "compute", "report"].map(column),
      { name: "worker", get: (step) => (step.worker >= 0 ? side.workers[step.worker].label : "") },
    ], rows, { sort: 1, act: (step) => this.go(side, step.task), actLabel: "Show it in the timeline" })];
  }

  // MARK: Errors

  errors() {
    const { side } = this;
    const { rows, texts, count, affectedCount, affected, omittedTexts } = side.failures;
    if (!count)
      return make("p", { class: "empty" },
        affectedCount
          ? `${plural(affectedCount, "task")} failed because of others that are not in this log.`
          : "Nothing failed.");
    /** @type {Map<number, [number, import("./types.js").FailureRow][]>} */
    const causes = new Map();
    rows.forEach((row, place) => {
      const list = causes.get(row[3]) ?? [];
      if (!list.length) causes.set(row[3], list);
      list.push([place, row]);
    });
    const blocks = [...causes].sort((a, b) => b[1].length - a[1].length).slice(0, 200).map(([text, list], place) => {
      const dependents = list.reduce((sum, [, row]) => sum + row[6], 0);
      const head = make("summary", {},
        make("b", { class: "bad" }, texts[text] ?? "No exception was told: its worker died, or it was given up"),
        make("span", {},
          `${plural(list.length, "task")}${
            dependents ? `, and ${whole(dependents)} that needed ${list.length === 1 ? "it" : "them"}` : ""}`));
      const block = make("details", { open: place === 0 }, head);
      const fill = () => {
        if (block.childElementCount > 1) return;
        const trace = texts[list[0][1][4]];
        if (trace) block.append(make("pre", { tabindex: "0", "aria-label": "Traceback of the first" }, trace));
        block.append(make("ul", { class: "keys" }, ...list.slice(0, 100).map(([, row]) => this.failure(row))));
        if (list.length > 100) block.append(make("p", {}, `and ${whole(list.length - 100)} more`));
        const own = new Set(list.map(([each]) => each));
        const others = affected.filter(([, failure]) => own.has(failure)).slice(0, 100);
        if (others.length)
          block.append(make("h3", {}, "Failed with them"),
            make("ul", { class: "keys" }, ...others.map(([task]) => this.keyItem(task, ""))));
      };
      block.addEventListener("toggle", fill);
      if (place === 0) fill();
      return block;
    });
    const lead = `${plural(count, "task")} failed on ${count === 1 ? "its" : "their"} own${
      affectedCount ? `, ${whole(affectedCount)} because of others` : ""}, of ${plural(causes.size, "cause")}.`;
    const left = [];
    if (causes.size > 200) left.push(`${whole(causes.size - 200)} causes are not shown here.`);
    if (count > rows.length)
      left.push(`${whole(count - rows.length)} failures are only counted in this page; tasklog errors lists them.`);
    if (omittedTexts)
      left.push(`${plural(omittedTexts, "text")} of exceptions found no room in this page; tasklog errors has them.`);
    return [make("p", { class: "lead" }, lead), ...left.map((text) => make("p", { class: "notice" }, text)), ...blocks];
  }

  /** @param {import("./types.js").FailureRow} row */
  failure([task, time, worker, , , retries]) {
    const { side } = this;
    const facts = [duration(time - side.first)];
    if (worker >= 0) facts.push(side.workers[worker].label);
    if (retries) facts.push(`tried again ${retries === 1 ? "once" : `${retries} times`}`);
    return this.keyItem(task, facts.join(" · "));
  }

  /**
   * @param {number} task
   * @param {string} facts
   */
  keyItem(task, facts) {
    const { side } = this;
    return make("li", {},
      make("button", { type: "button", class: "link", onclick: () => this.go(side, task) }, this.key(side, task)),
      " ", make("small", {}, facts));
  }

  // MARK: Workers and about

  workers() {
    const { side } = this;
    const rows = workerFigures(side);
    /** @type {import("./types.js").Column} */
    const clocks = {
      name: "clock", number: true, get: ({ worker }) => worker.clockOffset, show: (_, { worker }) => clockState(worker),
    };
    return table("Workers",
      [
        { name: "worker", get: ({ worker }) => worker.label },
        { name: "address", get: ({ worker }) => worker.address, show: (text) => make("code", {}, text) },
        ...(side.hasOtherClocks ? [clocks] : []),
        { name: "threads", number: true, get: ({ worker }) => worker.nthreads ?? worker.lanes.length },
        {
          name: "joined",
          number: true,
          get: ({ worker }) => worker.joined,
          show: (n) => (n === null ? "–" : duration(n - side.first))
        },
        {
          name: "left",
          number: true,
          get: ({ worker }) => worker.left,
          show: (n) => (n === null ? "–" : duration(n - side.first))
        },
        { name: "spans", number: true, get: (row) => row.spans, show: whole },
        { name: "computed", number: true, get: (row) => row.compute, show: duration },
        { name: "busy", number: true, get: (row) => row.share, show: (n) => bar(percent(n), n, STATES.processing) },
        { name: "transferred", number: true, get: (row) => row.fetched, show: duration },
        { name: "most tasks", number: true, get: (row) => row.given, show: whole },
        { name: "most bytes", number: true, get: (row) => row.held, show: bytes },
      ],
      rows, { sort: 0 });
  }

  about() {
    /** @type {[string, string][]} */
    const facts = [];
    for (const side of this.timeline.sides) {
      const totals = side.totals();
      for (const run of side.runs) {
        facts.push(["Run", `#${run.number} of ${side.name}`], ["Id", run.id],
          [
            "Engine",
            `${run.engine} ${run.engineVersion}, recorded ${
              run.mode === "full" ? "with all marks" : `in mode ${run.mode}`}`
          ],
          ["Started", new Date((side.origin + run.started) / 1000).toISOString()],
          [
            "Ended",
            run.ended === null ? "not yet" : `${new Date((side.origin + run.ended) / 1000).toISOString()}, ${run.end}`
          ],
          ["Events", whole(run.events)]);
      }
      facts.push(["Tasks", `${whole(totals.tasks)}; ${plural(side.spanCount, "span")} of work`]);
      if (totals.missing)
        facts.push([
          "Missing",
          `${plural(totals.missing, "event")} in ${plural(side.gaps.length, "gap")}: ${
              [...new Set(side.gaps.map((gap) => gap.reason))].join("; ")}`
        ]);
      const unknown = side.workers.filter((worker) => worker.isClockUnknown).length;
      if (unknown)
        facts.push([
          "Clocks", `those of ${plural(unknown, "worker")} were not measured: their times are what they said themselves`
        ]);
      for (const text of detailNotes(side)) facts.push(["Left out", text]);
      facts.push(["Curves", `points are ${duration(side.stateResolution)} apart or more`]);
    }
    facts.push(["Written by", `tasklog ${page.version}; needs no network`]);
    return make(
      "dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }
}

export const panels = new Panels();

/**
 * What the page leaves out, in sentences.
 * @param {import("./side.js").Side} side
 */
export function detailNotes(side) {
  const { shortenedKeys, omittedEvents, omits, keptLength } = side.detail;
  const notes = [];
  if (shortenedKeys)
    notes.push(`The hashes in ${plural(shortenedKeys, "key")} are shortened to ${
      keptLength} digits, so that this page stays one that can be sent.`);
  if (omittedEvents)
    notes.push(`Stories are without ${plural(omittedEvents, "event")} ${
      omits === "stimuli" ? "of what set workers off" : "of workers"}; tasklog story has them.`);
  return notes;
}
