// The task stream as pixels: a row of colours for each thread, repeated over the height of its lane.
//
// If a thread has more spans in view than pixels, a pyramid is drawn instead: how busy the thread was
// in each interval, and with what most. So the cost of a frame depends on the number of pixels, not on
// the number of tasks.

import { hasFailed, OPEN } from "./rows.js";

const LEAST_BUCKETS = 64;

/** Busy shares of a row's time, in ever longer intervals; level 0 is the finest. */
export class Pyramid {
  /**
   * @param {import("./rows.js").Row} row
   * @param {number} first
   * @param {number} length
   * @param {import("./types.js").ColourOf} colourOf
   */
  constructor(row, first, length, colourOf) {
    let size = LEAST_BUCKETS;
    while (size < row.count && size < 1 << 20) size *= 2;
    this.first = first;
    this.length = length;
    this.levels = [this.finest(row, size, colourOf)];
    while (size > LEAST_BUCKETS) {
      size /= 2;
      this.levels.push(Pyramid.halved(this.levels.at(-1), size));
    }
  }

  /**
   * @param {import("./rows.js").Row} row
   * @param {number} size
   * @param {import("./types.js").ColourOf} colourOf
   */
  finest(row, size, colourOf) {
    const level = Pyramid.level(size);
    const scale = size / this.length;
    for (let i = 0; i < row.count; i++) {
      const from = Math.max(0, (row.start[i] - this.first) * scale);
      const to = Math.min(size, Math.max((row.stop[i] - this.first) * scale, from));
      const colour = colourOf(row, i);
      const last = Math.min(size - 1, Math.floor(to));
      for (let at = Math.min(size - 1, Math.floor(from)); at <= last; at++) {
        const share = Math.max(0, Math.min(at + 1, to) - Math.max(at, from));
        level.busy[at] += share;
        if (share >= level.most[at]) {
          level.most[at] = share;
          level.colour[at] = colour;
        }
        if (hasFailed(row.what[i] & 3)) level.failed[at] = 1;
        level.some[at] = 1;
      }
    }
    return level;
  }

  /** @param {number} size */
  static level(size) {
    return {
      size, busy: new Float32Array(size), most: new Float32Array(size),
      colour: new Uint8Array(size), failed: new Uint8Array(size), some: new Uint8Array(size),
    };
  }

  /**
   * @param {import("./types.js").Level} finer
   * @param {number} size
   */
  static halved(finer, size) {
    const level = Pyramid.level(size);
    for (let at = 0; at < size; at++) {
      const [a, b] = [at * 2, at * 2 + 1];
      const more = finer.most[a] >= finer.most[b] ? a : b;
      level.busy[at] = (finer.busy[a] + finer.busy[b]) / 2;
      level.most[at] = finer.colour[a] === finer.colour[b]
        ? (finer.most[a] + finer.most[b]) / 2 : finer.most[more] / 2;
      level.colour[at] = finer.colour[more];
      level.failed[at] = finer.failed[a] | finer.failed[b];
      level.some[at] = finer.some[a] | finer.some[b];
    }
    return level;
  }

  /**
   * The level whose intervals are about a pixel wide.
   * @param {number} pixelTime
   */
  at(pixelTime) {
    const wanted = this.length / pixelTime;
    for (const level of this.levels) if (level.size <= wanted * 2) return level;
    return this.levels.at(-1);
  }
}

/** What each pixel of a lane shows: one line of pixels. */
class Scanline {
  /** @param {number} width */
  constructor(width) {
    this.width = width;
    this.busy = new Float32Array(width);
    this.most = new Float32Array(width);
    this.colour = new Uint8Array(width);
    /** 1: a span, however short; 2: it failed; 4: one ends and another begins; 8: its end is not known. */
    this.flags = new Uint8Array(width);
  }

  clear() {
    this.busy.fill(0);
    this.most.fill(0);
    this.flags.fill(0);
  }

  /**
   * @param {import("./rows.js").Row} row
   * @param {{ from: number, to: number }} view
   * @param {import("./types.js").ColourOf} colourOf
   * @param {{ first: number, length: number }} whole
   * @returns the number of spans in view.
   */
  draw(row, view, colourOf, whole) {
    this.clear();
    const [first, end] = row.range(view.from, view.to);
    const count = end - first;
    const pixelTime = (view.to - view.from) / this.width;
    if (count > this.width * 2) {
      row.pyramid ??= new Pyramid(row, whole.first, whole.length, colourOf);
      this.fromPyramid(row.pyramid, view, pixelTime);
    } else {
      for (let i = first; i < end; i++) this.span(row, i, view, pixelTime, colourOf);
    }
    return count;
  }

  /**
   * @param {import("./rows.js").Row} row
   * @param {number} i
   * @param {{ from: number, to: number }} view
   * @param {number} pixelTime
   * @param {import("./types.js").ColourOf} colourOf
   */
  span(row, i, view, pixelTime, colourOf) {
    const from = Math.max(0, (row.start[i] - view.from) / pixelTime);
    const to = Math.min(this.width, (row.stop[i] - view.from) / pixelTime);
    const outcome = row.what[i] & 3;
    const flags = 1 | (hasFailed(outcome) ? 2 : 0) | (outcome === OPEN ? 8 : 0);
    const colour = colourOf(row, i);
    const last = Math.min(this.width - 1, Math.floor(to));
    for (let x = Math.min(this.width - 1, Math.floor(from)); x <= last; x++) {
      const share = Math.max(0, Math.min(x + 1, to) - Math.max(x, from));
      // A pixel that is only touched at its edge belongs to the next one.
      if (share === 0 && x > from) continue;
      this.busy[x] += share;
      if (share >= this.most[x]) {
        this.most[x] = share;
        this.colour[x] = colour;
      }
      this.flags[x] |= flags;
    }
    if (to - from > 5) this.flags[Math.max(0, Math.ceil(to) - 1)] |= 4;
  }

  /**
   * @param {Pyramid} pyramid
   * @param {{ from: number, to: number }} view
   * @param {number} pixelTime
   */
  fromPyramid(pyramid, view, pixelTime) {
    const level = pyramid.at(pixelTime);
    const scale = level.size / pyramid.length;
    for (let x = 0; x < this.width; x++) {
      const from = (view.from + x * pixelTime - pyramid.first) * scale;
      const last = Math.min(level.size - 1, Math.floor(from + pixelTime * scale));
      let [busy, count] = [0, 0];
      for (let at = Math.max(0, Math.floor(from)); at <= last; at++) {
        busy += level.busy[at];
        count++;
        if (level.most[at] >= this.most[x]) {
          this.most[x] = level.most[at];
          this.colour[x] = level.colour[at];
        }
        this.flags[x] |= level.some[at] | (level.failed[at] << 1);
      }
      if (count) this.busy[x] = busy / count;
    }
  }
}

/** Paints lanes into a picture of a canvas. */
export class Raster {
  /** @type {ImageData} */
  picture;
  /** @type {Uint32Array} */
  pixels;
  /** @type {Scanline} */
  line;
  /** @type {number} */
  height;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.width = 0;
  }

  /**
   * @param {number} width
   * @param {number} height
   * @returns whether the canvas has an area.
   */
  resize(width, height) {
    if (this.canvas.width !== width || this.canvas.height !== height || !this.picture) {
      this.canvas.width = width;
      this.canvas.height = height;
      if (!width || !height) return false;
      this.picture = this.context.createImageData(width, height);
      this.pixels = new Uint32Array(this.picture.data.buffer);
      this.line = new Scanline(width);
      this.width = width;
      this.height = height;
    }
    return width > 0 && height > 0;
  }

  /** @param {number} value */
  fill(value) {
    this.pixels.fill(value);
  }

  /**
   * Paints the scanline over the background, into the rows from `top` to `bottom`.
   * @param {number} top
   * @param {number} bottom
   * @param {(x: number) => import("./types.js").Background} background
   * @param {import("./types.js").ColourTables} tables
   */
  put(top, bottom, background, tables) {
    top = Math.max(0, top);
    bottom = Math.min(this.height, bottom);
    if (bottom <= top) return;
    const { busy, colour, flags, width } = this.line;
    const start = top * this.width;
    for (let x = 0; x < width; x++) {
      const here = background(x);
      if (!flags[x]) {
        this.pixels[start + x] = here.pixel;
        continue;
      }
      const over = flags[x] & 2 ? tables.failed : tables.colours[colour[x]];
      // Visible, however short.
      let share = 0.3 + 0.7 * Math.min(1, busy[x]);
      if (flags[x] & 4) share *= 0.45;
      if (flags[x] & 8) share *= (x >> 2) % 2 ? 0.85 : 0.4;
      const b = here.rgb;
      const r = b[0] + (over[0] - b[0]) * share;
      const g = b[1] + (over[1] - b[1]) * share;
      const u = b[2] + (over[2] - b[2]) * share;
      this.pixels[start + x] = (255 << 24) | (u << 16) | (g << 8) | r;
    }
    for (let y = top + 1; y < bottom; y++) {
      this.pixels.copyWithin(y * this.width, start, start + width);
    }
  }

  show() {
    this.context.putImageData(this.picture, 0, 0);
  }
}
