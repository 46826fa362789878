// One side of the page: a run, or several that are shown as one.

import { plain } from "./theme.js";
import { column, lowerBound, Numbers } from "./data.js";
import { Row } from "./rows.js";
import { chainTo, indexAttempts, taskAttempts } from "./attempts.js";
import { indexStories, taskStory } from "./stories.js";

export class Side {
  /** @type {import("./types.js").Run[]} */
  runs;
  /** @type {number} */
  origin;
  /** @type {number} */
  first;
  /** @type {number} */
  last;
  /** @type {number} */
  edgeCount;
  /** @type {number} */
  spanCount;
  /** @type {number} */
  statePoints;
  /** @type {number} */
  stateResolution;
  /** @type {string[]} */
  states;
  /** @type {string[]} */
  actions;
  /** @type {string[]} */
  prefixes;
  /** @type {string[]} */
  types;
  /** @type {import("./types.js").SideDocument["kinds"]} */
  kinds;
  /** @type {import("./types.js").Worker[]} */
  workers;
  /** @type {import("./types.js").Worker[]} */
  orderedWorkers;
  /** @type {import("./types.js").Lane[]} */
  lanes;
  /** @type {import("./types.js").Gap[]} */
  gaps;
  /** @type {import("./types.js").Failures} */
  failures;
  /** @type {import("./types.js").Detail} */
  detail;
  /** @type {import("./types.js").Curve} */
  stateSeries;
  /** @type {Uint8Array} */
  state;
  /** @type {Uint8Array} */
  storyKinds;
  /** @type {Uint8Array} */
  storySteps;
  /** @type {Uint8Array} */
  storyWheres;
  /** @type {Uint32Array} */
  prefix;
  /** What workers measured: all together, then each; read by `readResources`.
   * @type {import("./types.js").Measured[]} */
  measured;
  /** @type {import("./types.js").ResourceGrid} */
  resourceGrid;
  /** @type {import("./types.js").ThreadTime} */
  threadTime;
  /** @type {import("./types.js").AdviceRow[]} */
  advice;
  /** What happened to a task and why: attempt, time and text of each sentence.
   * @type {Map<number, [number, number, string][]>} */
  explanations;
  /** @type {import("./types.js").Profile | null} */
  profile;
  /** @type {Uint32Array} */
  type;
  /** How each task failed: see `failureOf`.
   * @type {Uint32Array} */
  failure;
  /** @type {Uint32Array} */
  run;
  /** @type {Uint32Array} */
  events;
  /** @type {Uint32Array} */
  needStart;
  /** @type {Uint32Array} */
  dependentStart;
  /** @type {Uint32Array} */
  keyStart;
  /** @type {Uint32Array} */
  spanStart;
  /** @type {Uint32Array} */
  spanLane;
  /** @type {Uint32Array} */
  storyPlaces;
  /** @type {Int32Array} */
  needs;
  /** @type {Int32Array} */
  dependents;
  /** @type {Int32Array} */
  spansByTask;
  /** @type {Float64Array} */
  nbytes;
  /** @type {Float64Array} */
  firstTime;
  /** @type {Uint8Array} */
  attemptHeads;
  /** @type {Uint8Array} */
  attemptMoments;
  /** @type {Uint32Array} */
  attemptPlaces;
  /** The tasks that failed because of each failure.
   * @type {Map<number, number[]>} */
  affectedBy;
  /** @type {string} */
  keys;
  /** @type {string} */
  lowerKeys;
  /** @type {Uint8Array} */
  colourOfPrefix;
  /** @type {number[]} */
  colourOfAction;
  /** @type {import("./types.js").PrefixFigures[]} */
  prefixRows;
  /** @type {string[]} */
  outcomes;

  /**
   * @param {number} number
   * @param {string} name
   * @param {import("./types.js").SideDocument} data
   */
  constructor(number, name, data) {
    const { totals, figures, failures, explanations, ...rest } = data;
    Object.assign(this, rest);
    this.totalFigures = totals;
    this.explanations = new Map(explanations);
    this.number = number;
    this.name = name;
    this.count = data.taskCount;
    this.letter = "AB"[number];
    this.length = Math.max(1, data.last - data.first);
    this.prefixes = this.prefixes.map((text) => plain(text));
    this.types = this.types.map((text) => plain(text));
    for (const gap of this.gaps) {
      // A gap can be noticed long after the last recorded event.
      for (const end of /** @type {const} */ (["time", "before", "after"])) {
        if (gap[end] !== null) gap[end] = Math.min(Math.max(gap[end], data.first), data.last);
      }
    }
    this.prefixRows = figures.map(
      ([prefix, tasks, done, failed, retried, nbytes, compute, runs, median, high, most]) => (
        { name: this.prefixes[prefix], tasks, done, failed, retried, nbytes, compute, runs, median, high, most }));
    this.failures = {
      ...failures,
      texts: failures.texts.map((text) => plain(text, true)),
      rows: failures.rows.map(([task, time, worker, cause, traceback, retries, dependents]) => (
        { task, time, worker, cause, traceback, retries, dependents })),
      causes: failures.causes.map(([run, exception, tasks, dependents, workers, first, traceback]) => (
        { run, exception, tasks, dependents, workers, first, traceback })),
      blamed: new Map(failures.blamed),
    };
    this.hasOtherClocks = this.workers.some((worker) => worker.clockOffset || worker.isClockUnknown);
    for (const worker of this.workers) {
      worker.name = plain(worker.name);
      worker.address = plain(worker.address);
      worker.label = /^\d+$/.test(worker.name) ? `worker ${worker.name}` : worker.name || worker.address;
      // A worker that joins at the address of an earlier one is a different worker.
      if (worker.life > 1) worker.label += ` (${worker.life})`;
      worker.lanes = [];
    }
  }

  /** Reads what the first picture needs. */
  async readSpans() {
    const [prefix, gap, duration, task, what, source] = await Promise.all(
      ["prefix", "gap", "duration", "task", "what", "source"].map((name) =>
        column(this.number, name)));
    this.prefix = new Numbers(prefix).fill(new Uint32Array(this.count));
    const read = [gap, duration, task, what, source].map((bytes) => new Numbers(bytes));
    for (const lane of this.lanes) {
      this.readLane(lane, read);
      this.workers[lane.worker].lanes.push(lane);
    }
    this.orderLanes();
  }

  /** Sorts workers by name; of two with the same name the later one comes second. */
  orderLanes() {
    const natural = new Intl.Collator("en", { numeric: true });
    const order = this.workers.map((_, place) => place).sort((a, b) => {
      const [one, other] = [this.workers[a], this.workers[b]];
      return natural.compare(one.label, other.label) || (one.joined ?? 0) - (other.joined ?? 0) || a - b;
    });
    this.orderedWorkers = order.map((place) => this.workers[place]);
    this.lanes = this.orderedWorkers.flatMap((worker) => worker.lanes);
    this.lanes.forEach((lane, place) => (lane.place = place));
  }

  /**
   * @param {import("./types.js").Lane} lane
   * @param {import("./data.js").Numbers[]} columns
   */
  readLane(lane, [gap, duration, task, what, source]) {
    const count = lane.count;
    const all = new Row(count);
    all.source = new Int32Array(count);
    let stop = 0;
    let last = 0;
    let computing = 0;
    for (let i = 0; i < count; i++) {
      all.start[i] = stop + gap.signed();
      all.stop[i] = stop = all.start[i] + duration.next();
      all.task[i] = last += task.signed();
      all.what[i] = what.next();
      if (all.what[i] >> 2) all.source[i] = source.next() - 1;
      else computing++;
    }
    lane.compute = new Row(computing);
    lane.others = new Row(count - computing);
    lane.others.source = new Int32Array(count - computing);
    let c = 0;
    let o = 0;
    for (let i = 0; i < count; i++) {
      const isOther = all.what[i] >> 2;
      const row = isOther ? lane.others : lane.compute;
      const at = isOther ? o++ : c++;
      row.start[at] = all.start[i];
      row.stop[at] = all.stop[i];
      row.task[at] = all.task[i];
      row.what[at] = all.what[i];
      if (isOther) row.source[at] = all.source[i];
    }
    lane.compute.finish();
    lane.others.finish();
  }

  async readSeries() {
    const read = new Numbers(await column(this.number, "series"));
    const points = (/** @type {number} */ count, /** @type {number} */ width) => {
      const times = read.sums(new Float64Array(count));
      const values = [];
      for (let i = 0; i < width; i++) values.push(read.sums(new Float64Array(count)));
      return { times, values };
    };
    this.stateSeries = points(this.statePoints, this.states.length - 1);
    for (const worker of this.workers) worker.series = points(worker.points, 2);
  }

  /** Reads the columns of tasks, after the first picture is drawn. */
  async readTasks() {
    const names = ["nbytes", "type", "state", "failure", "run", "needs", "first", "events"];
    const [nbytes, type, state, failure, run, needs, first, events] = await Promise.all(
      names.map((name) => column(this.number, name)));
    const n = this.count;
    this.nbytes = new Numbers(nbytes).fill(new Float64Array(n));
    this.type = new Numbers(type).fill(new Uint32Array(n));
    this.state = state;
    this.failure = new Numbers(failure).fill(new Uint32Array(n));
    this.run = new Numbers(run).fill(new Uint32Array(n));
    this.firstTime = new Numbers(first).sums(new Float64Array(n));
    this.events = new Numbers(events).fill(new Uint32Array(n));
    this.readNeeds(new Numbers(needs));
    await this.readKeys();
  }

  /** @param {import("./data.js").Numbers} read */
  readNeeds(read) {
    this.needStart = new Uint32Array(this.count + 1);
    const needs = new Int32Array(this.edgeCount);
    let at = 0;
    for (let task = 0; task < this.count; task++) {
      this.needStart[task] = at;
      let last = task;
      for (let left = read.next(); left > 0; left--) needs[at++] = last -= read.signed();
    }
    this.needStart[this.count] = at;
    this.needs = needs.subarray(0, at);
  }

  async readKeys() {
    const bytes = await column(this.number, "key");
    this.keys = new TextDecoder().decode(bytes);
    this.keyStart = new Uint32Array(this.count + 1);
    let at = 0;
    for (let task = 0; task < this.count; task++) {
      this.keyStart[task] = at;
      at = this.keys.indexOf("\0", at) + 1;
    }
    this.keyStart[this.count] = at;
    // Only ASCII letters, so that offsets stay the same.
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] > 64 && bytes[i] < 91) bytes[i] += 32;
    }
    this.lowerKeys = new TextDecoder().decode(bytes);
  }

  async readStories() {
    const names = ["kind", "step", "where", "attempt", "moment", "attemptsize"];
    const columns = await Promise.all(names.map((name) => column(this.number, name)));
    [this.storyKinds, this.storySteps, this.storyWheres, this.attemptHeads, this.attemptMoments] = columns;
    this.attemptPlaces = indexAttempts(columns[5], this.count);
    this.storyPlaces = indexStories(this);
  }

  // MARK: Questions

  /** @param {number} task */
  key(task) {
    if (!this.keys) return "…";
    return plain(this.keys.slice(this.keyStart[task], this.keyStart[task + 1] - 1)) || "(no events)";
  }

  /** @param {number} task */
  prefixName(task) {
    return this.prefixes[this.prefix[task]] ?? "";
  }

  /** @param {number} task */
  stateName(task) {
    const state = this.state[task];
    return this.states[state] ?? "not known";
  }

  /** @param {number} task */
  needsOf(task) {
    return this.needs.subarray(this.needStart[task], this.needStart[task + 1]);
  }

  /**
   * Tasks that need another one.
   * @param {number} task
   */
  dependentsOf(task) {
    if (!this.dependentStart) {
      const start = (this.dependentStart = new Uint32Array(this.count + 1));
      for (const need of this.needs) start[need + 1]++;
      for (let i = 0; i < this.count; i++) start[i + 1] += start[i];
      const next = start.slice();
      this.dependents = new Int32Array(this.needs.length);
      for (let i = 0; i < this.count; i++) {
        for (const need of this.needsOf(i)) this.dependents[next[need]++] = i;
      }
    }
    return this.dependents.subarray(this.dependentStart[task], this.dependentStart[task + 1]);
  }

  /**
   * Every span of a task, computing and other.
   * @param {number} task
   */
  spansOf(task) {
    if (!this.spansByTask) this.indexSpans();
    const found = [];
    for (let i = this.spanStart[task]; i < this.spanStart[task + 1]; i++) {
      const lane = this.lanes[this.spanLane[i]];
      const isOther = this.spansByTask[i] < 0;
      const at = isOther ? ~this.spansByTask[i] : this.spansByTask[i];
      found.push(this.span(lane, isOther ? lane.others : lane.compute, at));
    }
    return found.sort((a, b) => a.start - b.start);
  }

  /**
   * @param {import("./types.js").Lane} lane
   * @param {import("./rows.js").Row} row
   * @param {number} at
   */
  span(lane, row, at) {
    return {
      lane, row, at, start: row.start[at], stop: row.stop[at], task: row.task[at],
      action: this.actions[row.what[at] >> 2], outcome: row.what[at] & 3,
      source: row.source ? row.source[at] : -1,
    };
  }

  indexSpans() {
    const start = (this.spanStart = new Uint32Array(this.count + 1));
    /** @param {(lane: import("./types.js").Lane, task: number, at: number) => void} visit */
    const rows = (visit) => {
      for (const lane of this.lanes) {
        for (let i = 0; i < lane.compute.count; i++) visit(lane, lane.compute.task[i], i);
        for (let i = 0; i < lane.others.count; i++) visit(lane, lane.others.task[i], ~i);
      }
    };
    rows((lane, task) => start[task + 1]++);
    for (let i = 0; i < this.count; i++) start[i + 1] += start[i];
    const next = start.slice();
    this.spansByTask = new Int32Array(this.spanCount);
    this.spanLane = new Uint32Array(this.spanCount);
    rows((lane, task, at) => {
      this.spansByTask[next[task]] = at;
      this.spanLane[next[task]++] = lane.place;
    });
  }

  /**
   * Tasks whose key contains a text, at most `limit`, and their total number.
   * @param {string} text
   * @param {number} limit
   */
  find(text, limit) {
    let query = text;
    // Characters that are shown as \u202e may be typed or copied like that.
    if (text.includes("\\u") && !this.keys.includes(text)) {
      query = text.replace(/\\u([0-9a-f]{4})/gi, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
    }
    const { shortenedKeys, hashLength, keptLength } = this.detail;
    if (shortenedKeys) {
      const hash = new RegExp(`[0-9a-f]{${hashLength},}`, "g");
      query = query.replace(hash, (digits) => digits.slice(0, keptLength) + "…");
    }
    const isLower = query === query.toLowerCase();
    const haystack = isLower ? this.lowerKeys : this.keys;
    const found = [];
    let count = 0;
    for (let at = haystack.indexOf(query); at >= 0 && count < 100000;) {
      // The last key that begins at this offset or before.
      const task = lowerBound(this.keyStart, at + 1) - 1;
      count++;
      if (found.length < limit) found.push(task);
      at = haystack.indexOf(query, this.keyStart[task + 1]);
    }
    return { found, count };
  }

  // MARK: Stories and figures

  /**
   * All events about a task, cause before effect.
   * @param {number} task
   */
  story(task) {
    return taskStory(this, task);
  }

  /**
   * All attempts of a task, in the order in which they were sent.
   * @param {number} task
   */
  attemptsOf(task) {
    return taskAttempts(this, task);
  }

  /**
   * The chain of attempts that ends with the last end of a task; without a task, the critical path of each run.
   * @param {number} [task]
   */
  criticalPath(task) {
    if (task === undefined) return this.runs.flatMap((_, run) => this.criticalPathOfRun(run));
    const attempts = taskAttempts(this, task);
    let at = attempts.length - 1;
    while (at >= 0 && !attempts[at].phases.length) at--;
    return at < 0 ? [] : chainTo(this, task, at);
  }

  /** @param {number} run */
  criticalPathOfRun(run) {
    const { last } = this.runs[run];
    return last ? chainTo(this, last[0], last[1]) : [];
  }

  /**
   * The last failure of a task: whether it failed on its own, the index of the failure, and the key that it blames.
   * @param {number} task
   */
  failureOf(task) {
    const code = this.failure[task];
    if (!code) return null;
    const index = code < 3 ? -1 : (code - 3) >> 1;
    return { isOwn: code % 2 === 1, index, blamed: this.failures.texts[this.failures.blamed.get(task)] ?? null };
  }

  /**
   * Tasks that failed because of a failure.
   * @param {number} index
   */
  affectedOf(index) {
    if (!this.affectedBy) {
      this.affectedBy = new Map();
      for (let task = 0; task < this.count; task++) {
        const failure = this.failure[task] ? this.failureOf(task) : null;
        if (!failure || failure.isOwn || failure.index < 0) continue;
        const list = this.affectedBy.get(failure.index) ?? [];
        if (!list.length) this.affectedBy.set(failure.index, list);
        list.push(task);
      }
    }
    return this.affectedBy.get(index) ?? [];
  }

  /** The figures of `tasklog summary` for each prefix, and the durations of its computations. */
  prefixFigures() {
    return this.prefixRows;
  }

  /** The figures of the head. */
  totals() {
    return this.totalFigures;
  }
}

/** @param {import("./side.js").Side} side */
export function sideTitle(side) {
  const runs = side.runs.map((run) => `run #${run.number}`).join(", ");
  const engines = [...new Set(side.runs.map((run) => `${run.engine} ${run.engineVersion}`))].join(", ");
  return `${side.name} · ${runs} · ${engines}`;
}
