// The tables below the timeline.

import {
  byID, bytes, CLASSES, clockState, duration, endWords, ink, make, percent, plain, plural, STATES, swatch, whole,
} from "./theme.js";
import { page } from "./data.js";
import { sideTitle } from "./side.js";
import { hasFailed, LOST, OPEN } from "./rows.js";
import { slowestSpans } from "./slowest.js";
import { bar, table } from "./tables.js";
import { Flame } from "./flame.js";

export class Panels {
  /** @type {import("./timeline.js").Timeline} */
  timeline;
  /** @type {import("./side.js").Side} */
  side;
  /** The name and the title of each tab, and what it shows.
   * @type {[string, string, () => Node | Node[]][]} */
  tabs;
  chosen = "advice";

  /** @param {import("./timeline.js").Timeline} timeline */
  start(timeline) {
    this.timeline = timeline;
    this.side = timeline.sides[0];
    this.tabs = [
      ["advice", "Advice", () => this.advice()],
      ["prefixes", "Prefixes", () => this.prefixes()], ["slowest", "Slowest", () => this.slowest()],
      ["errors", "Errors", () => this.errors()], ["path", "Critical path", () => this.path()],
      ["time", "Time of threads", () => this.threadTime()],
      ...(timeline.sides.some((side) => side.profile) ? [
        /** @type {[string, string, () => Node[]]} */ (["profile", "Profile", () => this.profile()]),
      ] : []),
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
    this.show("advice");
  }

  /** @param {string} name */
  show(name) {
    this.chosen = name;
    for (const [each] of this.tabs) {
      const tab = byID(`tab-${each}`);
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
    }
    const counted = (/** @type {string} */ tab, /** @type {string} */ title, /** @type {number} */ count) =>
      byID(`tab-${tab}`).replaceChildren(title, ...(count ? [" ", make("b", { class: "count" }, whole(count))] : []));
    counted("errors", "Errors", this.side.failures.count);
    counted("advice", "Advice", this.side.advice.filter(([, severity]) => severity === "warning").length);
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

  // MARK: Advice

  advice() {
    const { side } = this;
    if (!side.advice.length) {
      return [make("p", { class: "empty" }, "No advice: nothing costs enough to be worth any.")];
    }
    return [make("ul", { class: "advice" }, ...side.advice.map((row) => this.advised(row)))];
  }

  /** @param {import("./types.js").AdviceRow} row */
  advised([run, severity, kind, subject, cost, size, certainty, finding, action, evidence]) {
    const { side } = this;
    const costs = [cost === null ? "" : duration(cost), size === null ? "" : bytes(size)].filter(Boolean);
    const facts = [
      side.runs.length > 1 ? `run #${side.runs[run].number}` : "", ...costs, certainty,
    ].filter(Boolean);
    const command = side.runs.length > 1 ? `${evidence} --run ${side.runs[run].number}` : evidence;
    return make("li", { class: severity },
      make("h3", {}, make("b", { class: severity === "warning" ? "bad" : "soft" }, severity), ` ${kind}`,
        ...(subject === null ? [] : [" ", make("code", {}, plain(subject))]),
        make("span", { class: "soft" }, ` · ${facts.join(" · ")}`)),
      make("p", {}, plain(finding)), make("p", {}, plain(action)),
      make("p", { class: "soft" }, "Shown by ", make("code", {}, `tasklog ${plain(command)}`)));
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
        { name: "done", number: true, get: (row) => row.done, show: whole },
        {
          name: "failed",
          number: true,
          get: (row) => row.failed,
          show: (n) => (n ? make("span", { class: "bad" }, whole(n)) : "0")
        },
        { name: "retried", number: true, get: (row) => row.retried, show: whole },
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
        sort: 5,
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
    const { side } = this;
    const isUnknown = (/** @type {number} */ outcome) => outcome === OPEN || outcome === LOST;
    const rows = slowestSpans(side, 300, (outcome) => !isUnknown(outcome));
    const others = slowestSpans(side, 300, isUnknown);
    const parts = [this.spans("The longest spans of work", rows)];
    if (others.length) {
      parts.push(make("h3", {}, "Work without a recorded end"),
        this.spans("Work without a recorded end, with the minimum duration", others));
    }
    return parts;
  }

  /**
   * @param {string} caption
   * @param {import("./types.js").Span[]} rows
   */
  spans(caption, rows) {
    const { side, timeline } = this;
    const most = rows.length ? rows[0].stop - rows[0].start : 1;
    return table(caption,
      [
        {
          name: "key",
          wide: true,
          get: (span) => side.key(span.task),
          show: (_, span) => this.key(side, span.task)
        },
        { name: "action", get: (span) => span.action },
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
        { name: "started", number: true, get: (span) => span.start - side.first, show: duration },
        { name: "result", number: true, get: (span) => side.nbytes[span.task], show: bytes },
        ...(rows.some((span) => hasFailed(span.outcome))
          ? [{ name: "outcome", get: (/** @type {import("./types.js").Span} */ span) => OUTCOMES[span.outcome] }] : []),
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
    if (task !== undefined) return this.chain(side.criticalPath(task), "up to this task");
    const isOne = side.runs.length === 1;
    return side.runs.flatMap((run, place) =>
      this.chain(side.criticalPathOfRun(place), isOne ? "of the run" : `of run #${run.number}`));
  }

  /**
   * @param {import("./types.js").Attempt[]} chain
   * @param {string} what
   */
  chain(chain, what) {
    const { side } = this;
    if (!chain.length) return [make("p", { class: "empty" }, "No task came to an end.")];
    const rows = chain.map((attempt, place) => {
      /** @type {Record<string, number>} */
      const sums = {};
      for (const [name, from, to] of attempt.phases) sums[name] = (sums[name] ?? 0) + (to ?? 0) - (from ?? 0);
      return { ...attempt, place: place + 1, sums };
    });
    /** @type {Record<string, number>} */
    const sums = {};
    for (const row of rows) {
      for (const [name, sum] of Object.entries(row.sums)) sums[name] = (sums[name] ?? 0) + sum;
    }
    const total = Object.values(sums).reduce((a, b) => a + b, 0);
    const shares = Object.entries(sums).map(([name, sum]) => ({ name, sum, share: total ? sum / total : 0 }));
    const bar = make("div", {
      class: "shares",
      role: "img",
      "aria-label": shares.map(({ name, share }) => `${name} ${percent(share)}`).join(", ")
    },
      ...shares.map(({ name, sum, share }) => {
        const part = make("span", { class: `phase ${name}`, title: `${name}: ${duration(sum)}` },
          share > 0.06 ? `${name} ${percent(share)}` : "");
        part.style.flexGrow = String(share);
        return part;
      }));
    const text = `${plural(chain.length, "task")} and the waits between them determined the duration ${what}: ${
      duration(total)}.`;
    /** @returns {import("./types.js").Column} */
    const column = (/** @type {string} */ name) =>
      ({ name, number: true, get: (step) => step.sums[name] ?? 0, show: (n) => (n ? duration(n) : "–") });
    return [make("p", { class: "lead" }, text), bar, table(`The chain of tasks that determined the duration ${what}`, [
      { name: "key", wide: true, get: (step) => side.key(step.task), show: (_, step) => this.key(side, step.task) },
      { name: "step", number: true, get: (step) => step.place, show: whole },
      ...["wait", "queue", "transfer", "compute", "report"].map(column),
      { name: "worker", get: (step) => (step.worker >= 0 ? side.workers[step.worker].label : "") },
    ], rows, { sort: 1, act: (step) => this.go(side, step.task), actLabel: "Show it in the timeline" })];
  }

  // MARK: Time of threads

  threadTime() {
    const { side } = this;
    const { total, classes, prefixes } = side.threadTime;
    if (!total) return make("p", { class: "empty" }, "The log has no worker with threads.");
    const rows = classes.map(([name, advice, time], place) => ({ name, advice, time, colour: CLASSES[place] }))
      .filter((row) => row.time > 0);
    const ranked = [...rows].sort((a, b) => b.time - a.time);
    const shares = make("div", {
      class: "shares", role: "img",
      "aria-label": ranked.map((row) => `${row.name} ${percent(row.time / total)}`).join(", "),
    }, ...ranked.map((row) => {
      const part = make("span", { class: "class", title: `${row.name}: ${duration(row.time / 1000)}` },
        row.time / total > 0.12 ? `${row.name} ${percent(row.time / total)}` : "");
      part.style.flexGrow = String(row.time / total);
      part.style.background = row.colour;
      part.style.color = ink(row.colour);
      return part;
    }));
    const lead = `${duration(total / 1000)} of threads: what they did, or what they waited for.`;
    const byPrefix = prefixes.map(([name, times]) => ({ name, times, sum: times.reduce((a, b) => a + b, 0) }));
    return [make("p", { class: "lead" }, lead), shares, table("The time of threads by what they did", [
      { name: "class", get: (row) => row.name,
        show: (name, row) => make("span", { class: "name" }, swatch(row.colour), name) },
      { name: "time", number: true, get: (row) => row.time, show: (n) => duration(n / 1000) },
      { name: "share", number: true, get: (row) => row.time / total,
        show: (n, row) => bar(percent(n), n, row.colour) },
      { name: "what to do about it", wide: true, get: (row) => row.advice },
    ], rows, { sort: 1, descending: true }), make("h3", {}, "By prefix"), table("The time of threads by prefix", [
      { name: "prefix", get: (row) => plain(row.name ?? "(none)") },
      { name: "time", number: true, get: (row) => row.sum, show: (n) => duration(n / 1000) },
      ...classes.flatMap(([name, , time], place) => (time > 0 ? [{
        name, number: true, get: (/** @type {{ times: number[] }} */ row) => row.times[place],
        show: (/** @type {number} */ n) => (n ? duration(n / 1000) : "–"),
      }] : [])),
    ], byPrefix, { sort: 1, descending: true })];
  }

  profile() {
    const { profile } = this.side;
    if (!profile) return [make("p", { class: "empty" }, "This run was recorded without the option profile.")];
    return new Flame(profile).elements;
  }

  /**
   * Shows what ran at a moment in place of a tab.
   * @param {import("./side.js").Side} side
   * @param {number} time
   */
  showMoment(side, time) {
    this.side = side;
    /** @type {import("./types.js").Span[]} */
    const spans = [];
    for (const lane of side.lanes) {
      for (const row of [lane.compute, lane.others]) {
        const [first, end] = row.range(time, time);
        for (let i = first; i < end; i++) if (row.stop[i] >= time) spans.push(side.span(lane, row, i));
      }
    }
    spans.sort((a, b) => (b.stop - b.start) - (a.stop - a.start));
    for (const [each] of this.tabs) byID(`tab-${each}`).setAttribute("aria-selected", "false");
    const what = spans.length ? plural(spans.length, "span") + " of work" : "no work";
    byID("panel").replaceChildren(make("h3", { class: "moment" }, `At ${duration(time - side.first)}: ${what}`),
      ...(spans.length ? [this.spans(`What ran at ${duration(time - side.first)}`, spans)] : []));
    byID("panel").scrollIntoView({ block: "nearest" });
  }

  // MARK: Errors

  errors() {
    const { side } = this;
    const { rows, causes, texts, count, affectedCount, omittedTexts } = side.failures;
    if (!count)
      return make("p", { class: "empty" },
        affectedCount
          ? `${plural(affectedCount, "task")} failed because of others that are not in this log.`
          : "Nothing failed.");
    /** @type {number[][]} */
    const failuresOf = causes.map(() => []);
    rows.forEach((row, index) => failuresOf[row.cause]?.push(index));
    const blocks = causes.slice(0, 200).map((cause, place) => {
      const run = side.runs.length > 1 ? ` in run #${side.runs[cause.run].number}` : "";
      const on = cause.workers ? ` on ${plural(cause.workers, "worker")}` : "";
      const others =
        cause.dependents ? `, and ${whole(cause.dependents)} because of ${cause.tasks === 1 ? "it" : "them"}` : "";
      const head = make("summary", {},
        make("b", { class: "bad" },
          texts[cause.exception] ?? "No exception was recorded: its worker died, or it was cancelled"),
        make("span", {}, `${plural(cause.tasks, "task")}${on}${others}${run}`));
      const block = make("details", { open: place === 0 }, head);
      const fill = () => {
        if (block.childElementCount > 1) return;
        const trace = texts[cause.traceback];
        if (trace) block.append(make("pre", { tabindex: "0", "aria-label": "Traceback of the first task" }, trace));
        const list = failuresOf[place];
        block.append(make("ul", { class: "keys" }, ...list.slice(0, 100).map((index) => this.failure(rows[index]))));
        if (cause.tasks > 100) block.append(make("p", {}, `and ${whole(cause.tasks - 100)} more`));
        const affected = list.flatMap((index) => side.affectedOf(index)).slice(0, 100);
        if (affected.length)
          block.append(make("h3", {}, "Failed because of them"),
            make("ul", { class: "keys" }, ...affected.map((task) => this.keyItem(task, ""))));
      };
      block.addEventListener("toggle", fill);
      if (place === 0) fill();
      return block;
    });
    const lead = `${plural(count, "task")} failed ${count === 1 ? "itself" : "themselves"}${
      affectedCount ? `, ${whole(affectedCount)} because of others` : ""}; ${plural(causes.length, "cause")}.`;
    const left = [];
    if (causes.length > 200) left.push(`${whole(causes.length - 200)} causes are not shown here.`);
    if (count > rows.length)
      left.push(`${whole(count - rows.length)} failures are not listed in this page; see tasklog errors.`);
    if (omittedTexts)
      left.push(`${plural(omittedTexts, "text")} of exceptions did not fit into this page; see tasklog errors.`);
    return [make("p", { class: "lead" }, lead), ...left.map((text) => make("p", { class: "notice" }, text)), ...blocks];
  }

  /** @param {import("./types.js").Failure} failure */
  failure({ task, time, worker, retries }) {
    const { side } = this;
    const facts = [duration(time - side.first)];
    if (worker >= 0) facts.push(side.workers[worker].label);
    if (retries) facts.push(`retried ${retries === 1 ? "once" : `${retries} times`}`);
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
    const rows = side.workers.filter((worker) => worker.isKnown || worker.lanes.length);
    /** @type {import("./types.js").Column} */
    const clocks = { name: "clock", number: true, get: (row) => row.clockOffset, show: (_, row) => clockState(row) };
    /** @type {import("./types.js").Column} */
    const ended = {
      name: "why it left", wide: true, get: (row) => row.end?.cause ?? null,
      show: (_, row) => (row.end ? make("span", { title: endWords(row.end) }, make("b", {}, row.end.cause), " ",
        make("small", {}, endWords(row.end))) : ""),
    };
    const since = (/** @type {number} */ time) => (time === null ? "–" : duration(time - side.first));
    return table("Workers",
      [
        { name: "worker", get: (row) => row.label },
        { name: "address", get: (row) => row.address, show: (text) => make("code", {}, text) },
        ...(side.hasOtherClocks ? [clocks] : []),
        { name: "threads", number: true, get: (row) => row.nthreads, show: (n) => (n === null ? "–" : whole(n)) },
        { name: "joined", number: true, get: (row) => row.joined, show: since },
        { name: "left", number: true, get: (row) => row.left, show: since },
        ...(rows.some((row) => row.end) ? [ended] : []),
        { name: "tasks", number: true, get: (row) => row.tasks, show: whole },
        { name: "failed", number: true, get: (row) => row.failed, show: whole },
        { name: "computed", number: true, get: (row) => row.busy, show: duration },
        {
          name: "busy",
          number: true,
          get: (row) => row.utilization,
          show: (n) => (n === null ? "–" : bar(percent(n), n, STATES.processing))
        },
        {
          name: "assigned",
          number: true,
          get: (row) => row.occupancy,
          show: (n) => (n === null ? "–" : n.toFixed(2))
        },
        { name: "transferred", number: true, get: (row) => row.fetched, show: duration },
        { name: "results", number: true, get: (row) => row.nbytes, show: bytes },
        { name: "most tasks", number: true, get: (row) => row.mostTasks, show: whole },
        { name: "most in memory", number: true, get: (row) => row.mostBytes, show: bytes },
      ],
      rows, { sort: 0 });
  }

  about() {
    /** @type {[string, string][]} */
    const facts = [];
    for (const side of this.timeline.sides) {
      const totals = side.totals();
      for (const run of side.runs) {
        facts.push(["Run", `#${run.number} of ${side.name}`], ["ID", run.id],
          [
            "Engine",
            `${run.engine} ${run.engineVersion}, recorded ${
              run.mode === "full" ? "in full" : `in mode ${run.mode}`}`
          ],
          ["Started", new Date((side.origin + run.started) / 1000).toISOString()],
          [
            "Ended",
            run.ended === null ? "not yet" : `${new Date((side.origin + run.ended) / 1000).toISOString()}, ${run.end}`
          ],
          ["Events", whole(run.events)]);
      }
      facts.push(["Tasks", `${whole(totals.tasks)}; ${plural(side.spanCount, "span")} of work`]);
      if (totals.unreported)
        facts.push([
          "Not included",
          `${plural(totals.unreported, "computation")} (${duration(totals.unreportedTime)}) that `
            + "only a worker recorded: in the timeline, but in no figure"
        ]);
      if (totals.missing)
        facts.push([
          "Missing",
          `${plural(totals.missing, "event")} in ${plural(side.gaps.length, "gap")}: ${
              [...new Set(side.gaps.map((gap) => gap.reason))].join("; ")}`
        ]);
      const unknown = side.workers.filter((worker) => worker.isClockUnknown).length;
      if (unknown)
        facts.push([
          "Clocks", `not measured on ${plural(unknown, "worker")}: times of their events are by their own clocks`
        ]);
      for (const text of detailNotes(side)) facts.push(["Omitted", text]);
      facts.push(["Curves", `points are at least ${duration(side.stateResolution)} apart`]);
      if (side.resourceGrid.count)
        facts.push([
          "Resources",
          `the least and the most in each ${duration(side.resourceGrid.width)} of what workers measured`
        ]);
    }
    facts.push(["Written by", `tasklog ${page.version}; needs no network`]);
    return make(
      "dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }
}

/** Of spans of work, by code. */
const OUTCOMES = ["done", "failed", "unknown", "failed with its worker"];

export const panels = new Panels();

/**
 * What the page omits, in sentences.
 * @param {import("./side.js").Side} side
 */
export function detailNotes(side) {
  const { shortenedKeys, omittedEvents, omits, keptLength } = side.detail;
  const notes = [];
  if (shortenedKeys)
    notes.push(`Hashes in ${plural(shortenedKeys, "key")} are shortened to ${
      keptLength} digits, to limit the size of this page.`);
  if (omittedEvents)
    notes.push(`Stories omit ${
      plural(omittedEvents, omits === "stimuli" ? "stimulus event" : "event")} of workers; see tasklog story.`);
  return notes;
}
