// The attempts of each task, and the chains of tasks that they form. Both are computed when the page is
// written, as `tasklog critical-path` does; here they are only read.

import { Numbers } from "./data.js";
import { FAILED } from "./rows.js";

const ATTEMPT_BLOCK = 64;
/** What is known about an attempt. */
const [SENT, STARTED, STOPPED, ENDED, PATH, SPAN] = [1, 2, 4, 8, 16, 32];
const OUTCOME_BITS = 6;
const PIECES = ["wait", "queue", "transfer", "queue", "compute", "report"];
const WITHOUT_TIMES = 64;

/**
 * Where every 64th task begins in the two columns of attempts.
 * @param {Uint8Array} sizes
 * @param {number} count
 */
export function indexAttempts(sizes, count) {
  const places = new Uint32Array((Math.ceil(count / ATTEMPT_BLOCK) + 1) * 2);
  const read = new Numbers(sizes);
  for (let i = 2; i < places.length; i++) places[i] = places[i - 2] + read.next();
  return places;
}

/**
 * All attempts of a task, in the order in which they were sent.
 * @param {import("./side.js").Side} side
 * @param {number} task
 */
export function taskAttempts(side, task) {
  const block = Math.floor(task / ATTEMPT_BLOCK);
  const heads = new Numbers(side.attemptHeads, side.attemptPlaces[block * 2]);
  const moments = new Numbers(side.attemptMoments, side.attemptPlaces[block * 2 + 1]);
  for (let other = block * ATTEMPT_BLOCK; ; other++) {
    /** @type {import("./types.js").Attempt[]} */
    const attempts = [];
    const isWanted = other === task;
    for (let left = heads.next(); left > 0; left--) attempts.push(readAttempt(side, other, heads, moments, isWanted));
    if (isWanted) return attempts;
  }
}

/**
 * @param {import("./side.js").Side} side
 * @param {number} task
 * @param {Numbers} heads
 * @param {Numbers} moments
 * @param {boolean} isWanted Else it is only read past.
 * @returns {import("./types.js").Attempt}
 */
function readAttempt(side, task, heads, moments, isWanted) {
  const origin = side.firstTime[task];
  const head = heads.next();
  const worker = heads.next() - 1;
  const time = (/** @type {number} */ mark) => (head & mark ? origin + moments.signed() : null);
  const mask = head & PATH ? heads.next() : 0;
  const start = mask && mask !== WITHOUT_TIMES ? origin + moments.signed() : null;
  let [sent, started, stopped, ended] = [time(SENT), time(STARTED), time(STOPPED), time(ENDED)];
  /** @type {import("./types.js").Phase[]} */
  const phases = [];
  if (mask === WITHOUT_TIMES) {
    phases.push(["compute", null, null]);
  } else if (mask) {
    let at = start;
    PIECES.forEach((name, bit) => {
      if (!(mask & (1 << bit))) return;
      const isSpan = name === "compute" && head & SPAN;
      phases.push([name, at, (at += !isSpan ? moments.next() : isWanted ? computeLength(side, task) : 0)]);
    });
    const [, begin, end] = phases.find(([name]) => name === "compute");
    sent ??= phases[0][0] === "wait" ? phases[0][2] : start;
    started ??= begin;
    stopped ??= end;
    ended ??= at;
  }
  const need = head & PATH ? heads.next() : 0;
  const before = need ? { task: side.needsOf(task)[need - 1], at: heads.next() } : null;
  return { task, worker, outcome: side.outcomes[head >> OUTCOME_BITS], sent, started, stopped, ended, phases, before };
}

/**
 * The length of a task's only span of computing that the scheduler learned of.
 * @param {import("./side.js").Side} side
 * @param {number} task
 */
function computeLength(side, task) {
  const span = side.spansOf(task).find(({ action, outcome }) => action === "compute" && outcome <= FAILED);
  return span.stop - span.start;
}

/**
 * The chain of attempts that ends with an attempt of a task.
 * @param {import("./side.js").Side} side
 * @param {number} task
 * @param {number} at
 */
export function chainTo(side, task, at) {
  const chain = [];
  for (let next = { task, at }; next; ) {
    const attempt = taskAttempts(side, next.task)[next.at];
    chain.push(attempt);
    next = attempt.before;
  }
  return chain.reverse();
}
