// Stories of tasks, and what follows from them: attempts, and the chain that set the run's length.

import { Numbers } from "./data.js";
import { OPEN } from "./rows.js";

const STORY_BLOCK = 64;

/**
 * Where every 64th story begins in each of its columns.
 * @param {import("./side.js").Side} side
 */
export function indexStories(side) {
  const blocks = Math.ceil(side.count / STORY_BLOCK) + 1;
  const places = new Uint32Array(blocks * 3);
  const kinds = new Numbers(side.storyKinds);
  const steps = side.storySteps;
  const wheres = side.storyWheres;
  let step = 0;
  let where = 0;
  for (let task = 0; task < side.count; task++) {
    if (task % STORY_BLOCK === 0) {
      const at = (task / STORY_BLOCK) * 3;
      places[at] = kinds.at;
      places[at + 1] = step;
      places[at + 2] = where;
    }
    for (let left = side.events[task]; left > 0; left--) {
      if ((kinds.next() & 3) === 2) {
        while (wheres[where++] >= 128);
      }
      while (steps[step++] >= 128);
    }
  }
  return places;
}

/**
 * All events about a task, cause before effect.
 * @param {import("./side.js").Side} side
 * @param {number} task
 */
export function taskStory(side, task) {
  const block = Math.floor(task / STORY_BLOCK);
  const kinds = new Numbers(side.storyKinds, side.storyPlaces[block * 3]);
  const steps = new Numbers(side.storySteps, side.storyPlaces[block * 3 + 1]);
  const wheres = new Numbers(side.storyWheres, side.storyPlaces[block * 3 + 2]);
  for (let other = block * STORY_BLOCK; ; other++) {
    const events = [];
    let time = side.firstTime[other];
    let worker = -1;
    for (let left = side.events[other]; left > 0; left--) {
      const head = kinds.next();
      time += steps.signed();
      if ((head & 3) === 2) worker = wheres.next();
      if (other !== task) continue;
      const [source, hook, start, finish] = side.kinds[head >> 2];
      events.push({ time, isScheduler: source === 0, worker: head & 3 ? worker : -1, hook, start, finish });
    }
    if (other === task) return events;
  }
}

/**
 * What came of a task at the scheduler, each time: when it was ready, sent, and done.
 * @param {import("./side.js").Side} side
 * @param {number} task
 */
function taskAttempts(side, task) {
  const attempts = [];
  let sent = null;
  let seen = null;
  for (const event of side.story(task)) {
    if (!event.isScheduler || event.hook !== "transition") continue;
    seen ??= event.time;
    if (event.finish === "processing") sent = event.time;
    if (event.start === "processing" && (event.finish === "memory" || event.finish === "erred")) {
      attempts.push(
        { task, seen, sent: sent ?? event.time, done: event.time, finish: event.finish, worker: event.worker });
    }
  }
  return attempts;
}

/**
 * The chain of tasks and waits that ends with a task: back to the dependency that came last before
 * it was sent to a worker, and so on. Without a task, the one that ended last.
 * @param {import("./side.js").Side} side
 * @param {number} [task]
 * @param {number} [limit]
 * @returns {import("./types.js").Step[]}
 */
export function criticalPath(side, task, limit = 5000) {
  let last = null;
  if (task === undefined) {
    let latest = -Infinity;
    for (let i = 0; i < side.count; i++) {
      const end = side.lastOutcomes[i];
      if (end >= latest && end > -Infinity) {
        latest = end;
        task = i;
      }
    }
  }
  if (task === undefined) return [];
  last = taskAttempts(side, task).at(-1);
  /** @type {import("./types.js").Attempt[]} */
  const chain = [];
  while (last && chain.length < limit) {
    chain.push(last);
    let before = null;
    for (const need of side.needsOf(last.task)) {
      for (const attempt of taskAttempts(side, need)) {
        if (attempt.finish !== "memory" || attempt.done > last.sent) continue;
        if (!before || attempt.done > before.done) before = attempt;
      }
    }
    last = before;
  }
  chain.reverse();
  return chain.map((attempt, place) => attemptPieces(side, attempt, chain[place - 1]));
}

/**
 * When each task last came to an end at the scheduler.
 * @param {import("./side.js").Side} side
 */
export function findLastOutcomes(side) {
  const kinds = new Numbers(side.storyKinds);
  const steps = new Numbers(side.storySteps);
  const isOutcome = side.kinds.map(([source, hook, start, finish]) =>
    source === 0 && hook === "transition" && start === "processing" &&
    (finish === "memory" || finish === "erred"));
  const ends = new Float64Array(side.count).fill(-Infinity);
  for (let task = 0; task < side.count; task++) {
    let time = side.firstTime[task];
    for (let left = side.events[task]; left > 0; left--) {
      const head = kinds.next();
      time += steps.signed();
      if (isOutcome[head >> 2]) ends[task] = time;
    }
  }
  return ends;
}

/**
 * An attempt in pieces that follow on each other. Workers' clocks are kept between the scheduler's.
 * @param {import("./side.js").Side} side
 * @param {import("./types.js").Attempt} attempt
 * @param {import("./types.js").Attempt} before
 */
function attemptPieces(side, attempt, before) {
  const { task, done } = attempt;
  const ready = before ? before.done : attempt.seen;
  const sent = Math.max(attempt.sent, ready);
  const within = (/** @type {number} */ time, /** @type {number} */ low, /** @type {number} */ high) =>
    Math.min(Math.max(time, low), high);
  /** @type {(number | null)[]} */
  let [started, stopped, fetchedFrom, fetchedTo] = [null, null, null, null];
  for (const span of side.spansOf(task)) {
    // Of the attempt at hand; what overlaps it by its own clock.
    if (span.outcome === OPEN || span.stop < attempt.sent || span.start > done) continue;
    if (span.action === "compute") {
      started = Math.min(started ?? span.start, span.start);
      stopped = Math.max(stopped ?? span.stop, span.stop);
    } else if (span.action === "transfer") {
      fetchedFrom = Math.min(fetchedFrom ?? span.start, span.start);
      fetchedTo = Math.max(fetchedTo ?? span.stop, span.stop);
    }
  }
  started = within(started ?? sent, sent, done);
  stopped = Math.max(within(stopped ?? done, sent, done), started);
  /** @type {import("./types.js").Piece[]} */
  const pieces = [["wait", ready, sent]];
  if (fetchedTo !== null && within(fetchedTo, sent, started) > within(fetchedFrom, sent, started)) {
    const [from, to] = [within(fetchedFrom, sent, started), within(fetchedTo, sent, started)];
    pieces.push(["queue", sent, from], ["transfer", from, to], ["queue", to, started]);
  } else {
    pieces.push(["queue", sent, started]);
  }
  pieces.push(["compute", started, stopped], ["report", stopped, done]);
  return {
    task, worker: attempt.worker, start: ready, stop: done,
    pieces: pieces.filter(([name, from, to]) => to > from || name === "compute"),
  };
}
