// Spans of work on one thread.

import { lowerBound } from "./data.js";

// How a span of work ended.
export const FAILED = 1;
/** Its end is not in the log. */
export const OPEN = 2;
/** It failed because its worker died; the scheduler never learned its times. */
export const LOST = 3;

/** @param {number} outcome */
export const hasFailed = (outcome) => outcome === FAILED || outcome === LOST;

/** Spans of work on one thread: computing, or all others. */
export class Row {
  /** @type {Int32Array} */
  source;
  /** Made when it is first drawn.
   * @type {import("./raster.js").Pyramid} */
  pyramid = null;

  /** @param {number} count */
  constructor(count) {
    this.start = new Float64Array(count);
    this.stop = new Float64Array(count);
    this.task = new Int32Array(count);
    this.what = new Uint16Array(count);
    /** The latest stop up to each span; the stops themselves where none overlap. */
    this.reach = this.stop;
  }

  get count() {
    return this.start.length;
  }

  /** To be called after all spans are filled in. */
  finish() {
    let latest = -Infinity;
    let overlaps = false;
    for (let i = 0; i < this.count; i++) {
      if (this.start[i] < latest) overlaps = true;
      latest = Math.max(latest, this.stop[i]);
    }
    if (!overlaps) return;
    this.reach = new Float64Array(this.count);
    latest = -Infinity;
    for (let i = 0; i < this.count; i++) this.reach[i] = latest = Math.max(latest, this.stop[i]);
  }

  /**
   * The index of the first span that may end after `from`, and of the first that starts at `to` or later.
   * @param {number} from
   * @param {number} to
   */
  range(from, to) {
    const first = lowerBound(this.reach, from);
    return [first, lowerBound(this.start, to, first)];
  }

  /**
   * The index of the span at a time, or of the nearest one within `tolerance` microseconds; -1 if there is none.
   * @param {number} time
   * @param {number} tolerance
   */
  at(time, tolerance) {
    const [first, end] = this.range(time - tolerance, time + tolerance);
    let best = -1;
    let nearest = Infinity;
    for (let i = Math.max(first, end - 2000); i < end; i++) {
      const off = time < this.start[i] ? this.start[i] - time : Math.max(0, time - this.stop[i]);
      // Of several at once the longest is the visible one.
      const score = off - (off === 0 ? this.stop[i] - this.start[i] : 0) * 1e-9;
      if (off <= tolerance && score < nearest) {
        best = i;
        nearest = score;
      }
    }
    return best;
  }
}
