// The task stream as pixels: a row of colours for each thread, repeated over the height of its lane.
//
// Where a thread has more spans in view than pixels, a pyramid stands for them: how busy it was in
// each stretch of time, and with what most. So a frame costs as much as there are pixels, whether
// there are a thousand tasks or a million.

const LEAST_BUCKETS = 64;

/** Busy shares of a row's time, in ever wider stretches; level 0 is the finest. */
class Pyramid {
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
        if ((row.what[i] & 3) === FAILED) level.failed[at] = 1;
        level.some[at] = 1;
      }
    }
    return level;
  }

  static level(size) {
    return {
      size, busy: new Float32Array(size), most: new Float32Array(size),
      colour: new Uint8Array(size), failed: new Uint8Array(size), some: new Uint8Array(size),
    };
  }

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

  /** The level whose stretches are about a pixel wide. */
  at(pixelTime) {
    const wanted = this.length / pixelTime;
    for (const level of this.levels) if (level.size <= wanted * 2) return level;
    return this.levels.at(-1);
  }
}

/** What each pixel of a lane shows. */
class Scanline {
  constructor(width) {
    this.width = width;
    this.busy = new Float32Array(width);
    this.most = new Float32Array(width);
    this.colour = new Uint8Array(width);
    /** 1: something is here, however short; 2: it failed; 4: where one ends and another begins; 8: its end is not known. */
    this.flags = new Uint8Array(width);
    /** How many spans are drawn into it. */
    this.drawn = 0;
  }

  clear() {
    this.busy.fill(0);
    this.most.fill(0);
    this.flags.fill(0);
  }

  /** @returns how many spans lie in view. */
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

  span(row, i, view, pixelTime, colourOf) {
    const from = Math.max(0, (row.start[i] - view.from) / pixelTime);
    const to = Math.min(this.width, (row.stop[i] - view.from) / pixelTime);
    const outcome = row.what[i] & 3;
    const flags = 1 | (outcome === FAILED ? 2 : 0) | (outcome === OPEN ? 8 : 0);
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
class Raster {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.width = 0;
  }

  /** @returns whether there is anything to paint on. */
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

  fill(colour) {
    this.pixels.fill(colour);
  }

  /** Puts what the scanline holds over the background in rows from one to another. */
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
      // However little it is, it can be seen.
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
