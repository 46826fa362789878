// Spans of work on one thread.

const OPEN = 2;
const FAILED = 1;

/** Spans of work on one thread that do not hide each other: computing, or all the rest. */
class Row {
  constructor(count) {
    this.start = new Float64Array(count);
    this.stop = new Float64Array(count);
    this.task = new Int32Array(count);
    this.what = new Uint16Array(count);
    this.source = null;
    /** The latest stop up to each span; the stops themselves where none overlap. */
    this.reach = this.stop;
    this.pyramid = null;
  }

  get count() {
    return this.start.length;
  }

  /** To be called when all spans are there. */
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

  /** The first span that may reach beyond a time, and the first that begins at another or later. */
  range(from, to) {
    const first = lowerBound(this.reach, from);
    return [first, lowerBound(this.start, to, first)];
  }

  /** The span at a time, or the nearest one not farther off than so many microseconds. */
  at(time, tolerance) {
    const [first, end] = this.range(time - tolerance, time + tolerance);
    let best = -1;
    let nearest = Infinity;
    for (let i = Math.max(first, end - 2000); i < end; i++) {
      const off = time < this.start[i] ? this.start[i] - time : Math.max(0, time - this.stop[i]);
      // Of several at once the longest is what one sees.
      const score = off - (off === 0 ? this.stop[i] - this.start[i] : 0) * 1e-9;
      if (off <= tolerance && score < nearest) {
        best = i;
        nearest = score;
      }
    }
    return best;
  }
}
