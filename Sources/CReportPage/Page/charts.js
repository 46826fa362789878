// The tracks above and below the task stream: overview, axis, and curves.

import { clock, make, mix, rgb, STATES, steps, swatch, theme, tick } from "./theme.js";
import { lowerBound } from "./data.js";

/** The width of the labels left of the curves; the same as in the style sheet. */
export const gutter = () => (innerWidth <= 900 ? 104 : 148);

/** A canvas with a label. */
export class Track {
  /** @type {number} */
  width;

  /**
   * @param {import("./timeline.js").Timeline} timeline
   * @param {import("./side.js").Side} side
   * @param {string} label
   * @param {number} height
   * @param {string} describe
   */
  constructor(timeline, side, label, height, describe) {
    this.timeline = timeline;
    this.side = side;
    this.height = height;
    this.label = make("div", { class: "label" }, make("span", {}, label));
    this.figure = make("small");
    this.label.append(this.figure);
    this.canvas = make("canvas", { role: "img", "aria-label": describe ?? label });
    this.canvas.style.height = `${height}px`;
    this.element = make("div", { class: "track" }, this.label, this.canvas);
    this.canvas.track = this;
    this.context = this.canvas.getContext("2d");
  }

  /** Resizes the canvas, and scales the context to CSS pixels. */
  begin() {
    const ratio = devicePixelRatio || 1;
    this.width = this.timeline.width;
    const [width, height] = [Math.round(this.width * ratio), Math.round(this.height * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.canvas.style.width = `${this.width}px`;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, this.width, this.height);
    this.context.font = theme.font;
    return this.context;
  }

  /**
   * The position of a time of the run.
   * @param {number} time
   */
  x(time) {
    const { view } = this.timeline;
    return ((time - view.from) / view.length) * this.width;
  }

  /** Draws what is in view. */
  draw() {}

  /**
   * What to show at a position; null if there is nothing.
   * @param {number} _x
   * @returns {import("./types.js").Tip}
   */
  tip(_x) {
    return null;
  }
}

/**
 * The values of a step curve at each pixel.
 * @param {import("./types.js").Curve} curve
 * @param {number} figure
 * @param {number} from
 * @param {number} pixelTime
 * @param {number} width
 * @param {number} last
 * @param {Float64Array} output
 */
function sample({ times, values }, figure, from, pixelTime, width, last, output) {
  const own = values[figure];
  let at = lowerBound(times, from) - 1;
  for (let x = 0; x < width; x++) {
    const time = from + (x + 1) * pixelTime;
    while (at + 1 < times.length && times[at + 1] <= time) at++;
    output[x] = at >= 0 && time <= last + pixelTime ? own[at] : 0;
  }
  return output;
}

/** Curves on top of each other. */
export class StackTrack extends Track {
  /** @type {string} */
  keyNames;

  /**
   * @param {import("./timeline.js").Timeline} timeline
   * @param {import("./side.js").Side} side
   * @param {string} label
   * @param {number} height
   * @param {import("./types.js").Layer[]} layers
   * @param {(value: number) => string} show
   * @param {string} describe
   */
  constructor(timeline, side, label, height, layers, show, describe) {
    super(timeline, side, label, height, describe);
    this.layers = layers;
    this.show = show;
    this.key = make("div", { class: "key" });
    if (height > 70) this.label.append(this.key);
  }

  draw() {
    const context = this.begin();
    const { view } = this.timeline;
    const width = Math.max(1, Math.floor(this.width));
    const from = view.from + this.side.first;
    const pixelTime = view.length / width;
    const below = new Float64Array(width);
    const areas = [];
    for (const layer of this.layers) {
      const values = sample(layer.curve, layer.figure, from, pixelTime, width, this.side.last, new Float64Array(width));
      const base = below.slice();
      let isEmpty = true;
      for (let x = 0; x < width; x++) {
        below[x] += values[x];
        if (values[x]) isEmpty = false;
      }
      if (!isEmpty) areas.push({ layer, base, top: below.slice() });
    }
    const most = below.reduce((a, b) => Math.max(a, b), 0);
    this.figure.textContent = `up to ${this.show(most)}`;
    this.keyOf(areas.map(({ layer }) => layer));
    const scale = most > 0 ? (this.height - 6) / most : 0;
    context.strokeStyle = theme.line;
    context.beginPath();
    context.moveTo(0, this.height - 0.5);
    context.lineTo(width, this.height - 0.5);
    context.stroke();
    for (const { layer, base, top } of areas) {
      context.fillStyle = layer.colour;
      context.beginPath();
      this.edge(context, top, scale, false);
      this.edge(context, base, scale, true);
      context.fill();
    }
    this.timeline.drawCursor(this, context);
  }

  /**
   * Shows the names of the colours, if there is room.
   * @param {import("./types.js").Layer[]} layers
   */
  keyOf(layers) {
    const names = layers.map((layer) => layer.name).join();
    if (this.height <= 70 || names === this.keyNames) return;
    this.keyNames = names;
    this.key.replaceChildren(...layers.map((layer) => make("span", {}, swatch(layer.colour), layer.name)));
  }

  /**
   * A stepped edge from left to right, or back.
   * @param {CanvasRenderingContext2D} context
   * @param {Float64Array} values
   * @param {number} scale
   * @param {boolean} isBack
   */
  edge(context, values, scale, isBack) {
    const y = (/** @type {number} */ x) => this.height - 1 - values[x] * scale;
    const count = values.length;
    for (let i = 0; i < count; i++) {
      const x = isBack ? count - 1 - i : i;
      context.lineTo(isBack ? x + 1 : x, y(x));
      context.lineTo(isBack ? x : x + 1, y(x));
    }
  }

  /** @param {number} x */
  tip(x) {
    const { view } = this.timeline;
    const time = view.from + (x / this.width) * view.length + this.side.first;
    /** @type {import("./types.js").Tip["rows"]} */
    const rows = [];
    for (const layer of this.layers) {
      const at = lowerBound(layer.curve.times, time + 1e-6) - 1;
      const value = at >= 0 && time <= this.side.last ? layer.curve.values[layer.figure][at] : 0;
      if (value) rows.push([layer.name, this.show(value), layer.colour]);
    }
    // In the order of the layers, the topmost first.
    rows.reverse();
    const total = rows.length > 8 ? rows.length - 8 : 0;
    return {
      title: tick(time - this.side.first, view.length / 1000),
      rows: rows.slice(0, 8),
      more: total ? `and ${total} more` : ""
    };
  }
}

/**
 * A curve that is the sum of others.
 * @param {import("./types.js").Curve[]} curves
 * @param {number} figure
 */
export function summed(curves, figure) {
  /** @type {[number, number][]} */
  const changes = [];
  for (const { times, values } of curves) {
    let before = 0;
    for (let i = 0; i < times.length; i++) {
      const value = values[figure][i];
      if (value !== before) changes.push([times[i], value - before]);
      before = value;
    }
  }
  changes.sort((a, b) => a[0] - b[0]);
  /** @type {number[]} */
  const times = [];
  const sums = [];
  let sum = 0;
  for (const [time, change] of changes) {
    sum += change;
    if (times.at(-1) === time) sums[sums.length - 1] = sum;
    else {
      times.push(time);
      sums.push(sum);
    }
  }
  return { times: Float64Array.from(times), values: [Float64Array.from(sums)] };
}

/**
 * A layer for each worker, or one for their sum if there are many.
 * @param {import("./side.js").Side} side
 * @param {number} figure
 * @param {string} colour
 */
export function workerLayers(side, figure, colour) {
  const curves = side.workers.map((worker) => worker.series);
  if (side.workers.length > 12) {
    return [{ name: "all workers", colour, curve: summed(curves, figure), figure: 0 }];
  }
  const base = rgb(colour);
  return side.workers.map((worker, place) => {
    const shade = mix(base, theme.isDark ? [10, 12, 16] : [255, 255, 255], (place % 4) * 0.17);
    return { name: worker.label, colour: `rgb(${shade})`, curve: worker.series, figure };
  });
}

/** How busy the run was, and which part of it is in view. */
export class Overview extends Track {
  /**
   * @param {import("./timeline.js").Timeline} timeline
   * @param {import("./side.js").Side[]} sides
   */
  constructor(timeline, sides) {
    super(timeline, sides[0], "Whole run", 34, "Number of tasks in processing over the whole run");
    this.sides = sides;
    this.figure.textContent = "drag to select a part";
    this.canvas.classList.add("overview");
  }

  /** @param {number} time */
  x(time) {
    return (time / this.timeline.view.whole) * this.width;
  }

  draw() {
    const context = this.begin();
    const { view } = this.timeline;
    const width = Math.floor(this.width);
    const values = new Float64Array(width);
    this.sides.forEach((side, place) => {
      const figure = side.states.indexOf("processing");
      sample(side.stateSeries, figure, side.first, view.whole / width, width, side.last, values);
      const most = values.reduce((a, b) => Math.max(a, b), 0);
      context.fillStyle = place ? theme.muted : STATES.processing;
      context.globalAlpha = place ? 0.55 : 0.75;
      context.beginPath();
      context.moveTo(0, this.height);
      for (let x = 0; x < width; x++) {
        const y = this.height - (most ? (values[x] / most) * (this.height - 6) : 0);
        context.lineTo(x, y);
        context.lineTo(x + 1, y);
      }
      context.lineTo(width, this.height);
      context.fill();
      context.globalAlpha = 1;
      for (const gap of side.gaps) this.gap(context, gap.time - side.first);
    });
    const [from, to] = [this.x(Math.max(0, view.from)), this.x(Math.min(view.whole, view.to))];
    context.fillStyle = theme.surface;
    context.globalAlpha = 0.72;
    context.fillRect(0, 0, from, this.height);
    context.fillRect(to, 0, width - to, this.height);
    context.globalAlpha = 1;
    context.strokeStyle = theme.accent;
    context.lineWidth = 1.5;
    context.strokeRect(from + 0.75, 0.75, Math.max(2, to - from - 1.5), this.height - 1.5);
    context.lineWidth = 1;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} time
   */
  gap(context, time) {
    context.fillStyle = theme.gap;
    context.fillRect(this.x(time) - 1, 0, 2, this.height);
  }
}

export class Axis extends Track {
  /**
   * @param {import("./timeline.js").Timeline} timeline
   * @param {import("./side.js").Side} side
   */
  constructor(timeline, side) {
    super(timeline, side, "", 22, "Time since the start of the run");
    this.canvas.setAttribute("aria-hidden", "true");
  }

  draw() {
    const context = this.begin();
    const { view } = this.timeline;
    const step = steps(view.length, Math.max(2, this.width / 95));
    context.fillStyle = theme.muted;
    context.strokeStyle = theme.line;
    context.textBaseline = "middle";
    for (let time = Math.ceil(view.from / step) * step; time < view.to; time += step) {
      const x = Math.round(this.x(time)) + 0.5;
      context.beginPath();
      context.moveTo(x, 15);
      context.lineTo(x, 22);
      context.stroke();
      const text = tick(time, step);
      const width = context.measureText(text).width;
      if (x + width / 2 < this.width && x - width / 2 > 0) context.fillText(text, x - width / 2, 8);
    }
    this.figure.textContent =
      clock(this.side, this.side.first + Math.max(0, view.from), view.length < 1e4 ? 6 : 3) + " UTC";
  }
}
