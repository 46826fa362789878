// Figures of a side, for the tiles and tables.

import { OPEN } from "./rows.js";
import { summed } from "./charts.js";

/**
 * What became of the tasks of each prefix; the same figures as `tasklog summary`.
 * @param {import("./side.js").Side} side
 */
export function prefixFigures(side) {
  /** @type {import("./types.js").PrefixFigures[]} */
  const rows = side.prefixes.map(
    (name) => ({ name, tasks: 0, done: 0, failed: 0, retried: 0, nbytes: 0, compute: 0, spans: [] }));
  const isFailed = new Set(failedTasks(side));
  for (let task = 0; task < side.count; task++) {
    // 254: the scheduler has not reported it.
    if (side.state[task] === 254 || !side.events[task]) continue;
    const row = rows[side.prefix[task]];
    row.tasks++;
    row.nbytes += side.nbytes[task];
    if (side.sent[task] > 1) row.retried++;
    if (isFailed.has(task)) row.failed++;
  }
  for (const { compute } of side.lanes) {
    for (let i = 0; i < compute.count; i++) {
      if ((compute.what[i] & 3) === OPEN) continue;
      const row = rows[side.prefix[compute.task[i]]];
      const length = compute.stop[i] - compute.start[i];
      row.compute += length;
      row.spans.push(length);
    }
  }
  for (const row of rows) {
    const lengths = Float64Array.from(row.spans).sort();
    row.runs = lengths.length;
    row.median = lengths.length ? lengths[Math.ceil(lengths.length * 0.5) - 1] : null;
    row.high = lengths.length ? lengths[Math.ceil(lengths.length * 0.95) - 1] : null;
    row.most = lengths.length ? lengths.at(-1) : null;
    delete row.spans;
  }
  return rows.filter((row) => row.tasks);
}

/**
 * Tasks that erred, ever.
 * @param {import("./side.js").Side} side
 */
function failedTasks(side) {
  const found = side.failures.rows.map(([task]) => task);
  for (const [task] of side.failures.affected) found.push(task);
  const erred = side.states.indexOf("erred");
  for (let task = 0; task < side.count; task++) if (side.state[task] === erred) found.push(task);
  return [...new Set(found)];
}

/** @param {import("./side.js").Side} side */
export function totals(side) {
  const prefixes = side.prefixFigures();
  const sum = (/** @type {"tasks" | "compute"} */ name) => prefixes.reduce((total, row) => total + row[name], 0);
  const threads = side.workers.reduce(
    (total, worker) => total + Math.max(worker.nthreads ?? 0, worker.lanes.filter((lane) => lane.known).length), 0);
  let capacity = 0;
  for (const worker of side.workers) {
    const from = worker.joined ?? side.first;
    capacity += Math.max(0, (worker.left ?? side.last) - from) * Math.max(1, worker.nthreads ?? worker.lanes.length);
  }
  let fetched = 0;
  let fetches = 0;
  for (const { others } of side.lanes) {
    for (let i = 0; i < others.count; i++) {
      if (side.actions[others.what[i] >> 2] !== "transfer") continue;
      fetched += others.stop[i] - others.start[i];
      fetches++;
    }
  }
  const held = summed(side.workers.map((worker) => worker.series), 1).values[0].reduce((a, b) => Math.max(a, b), 0);
  return {
    tasks: sum("tasks"), failed: side.failures.count, affected: side.failures.affectedCount,
    compute: sum("compute"), threads, share: capacity ? sum("compute") / capacity : 0,
    fetched, fetches, held, missing: side.gaps.reduce((total, gap) => total + gap.count, 0),
    events: side.runs.reduce((total, run) => total + run.events, 0),
  };
}

/**
 * The longest spans of computing.
 * @param {import("./side.js").Side} side
 * @param {number} limit
 */
export function slowestSpans(side, limit) {
  const found = [];
  let least = -1;
  for (const lane of side.lanes) {
    for (const row of [lane.compute, lane.others]) {
      for (let i = 0; i < row.count; i++) {
        const length = row.stop[i] - row.start[i];
        if (length <= least) continue;
        found.push({ lane, row, i, length });
        if (found.length > limit * 4) {
          found.sort((a, b) => b.length - a.length);
          found.length = limit;
          least = found.at(-1).length;
        }
      }
    }
  }
  found.sort((a, b) => b.length - a.length);
  return found.slice(0, limit).map(({ lane, row, i }) => side.span(lane, row, i));
}

/**
 * What each worker did.
 * @param {import("./side.js").Side} side
 */
export function workerFigures(side) {
  return side.workers.map((worker) => {
    let [spans, compute, fetched] = [0, 0, 0];
    for (const lane of worker.lanes) {
      for (let i = 0; i < lane.compute.count; i++) {
        if ((lane.compute.what[i] & 3) === OPEN) continue;
        compute += lane.compute.stop[i] - lane.compute.start[i];
        spans++;
      }
      for (let i = 0; i < lane.others.count; i++) fetched += lane.others.stop[i] - lane.others.start[i];
    }
    const life = (worker.left ?? side.last) - (worker.joined ?? side.first);
    const threads = Math.max(1, worker.nthreads ?? worker.lanes.length);
    const most = (/** @type {number} */ figure) => worker.series.values[figure].reduce((a, b) => Math.max(a, b), 0);
    return {
      worker,
      spans,
      compute,
      fetched,
      share: life > 0 ? compute / life / threads : 0,
      given: most(0),
      held: most(1)
    };
  });
}
