// The task stream: a lane for each thread of each worker.

import { FAILED_COLOUR, ink, make, pixel, plural, rgb, theme } from "./theme.js";
import { hasFailed, OPEN } from "./rows.js";
import { Raster } from "./raster.js";
import { gutter } from "./charts.js";
import { drawGaps, drawMarks, drawSelection } from "./marks.js";

export class StreamTrack {
  /** @type {Map<import("./types.js").Lane, { time: number, place: number }[]>} */
  marks;
  /** @type {number} */
  gap;
  /** @type {number} */
  laneHeight;
  /** @type {number} */
  total;
  /** @type {number} */
  height;

  /**
   * @param {import("./timeline.js").Timeline} timeline
   * @param {import("./side.js").Side} side
   */
  constructor(timeline, side) {
    this.timeline = timeline;
    this.side = side;
    this.names = make("canvas", { class: "names", "aria-hidden": "true" });
    this.canvas = make("canvas", { role: "img", "aria-label": this.describe() });
    this.over = make("canvas", { class: "over", "aria-hidden": "true" });
    this.space = make("div", { class: "space" });
    this.pane = make("div", { class: "pane" }, this.names, this.canvas, this.over);
    this.element = make("div", { class: "stream" }, this.pane, this.space);
    this.element.addEventListener("scroll", () => timeline.redraw());
    this.canvas.track = this;
    this.over.track = this;
    this.raster = new Raster(this.canvas);
    this.context = this.over.getContext("2d");
    this.nameContext = this.names.getContext("2d");
    this.drawn = { spans: 0, computing: 0, others: 0, lanes: 0 };
    this.markFailures();
  }

  describe() {
    return `Task stream of ${plural(this.side.lanes.length, "thread")}, ${
      plural(this.side.spanCount, "span")} of work; the tables below show the same as text`;
  }

  /** Collects the failures, by lane; those without a known worker are marked at the top. */
  markFailures() {
    this.marks = new Map();
    for (const [place, { time, worker }] of this.side.failures.rows.entries()) {
      const lane = worker < 0 ? undefined : this.side.workers[worker].lanes[0];
      const list = this.marks.get(lane) ?? [];
      if (!list.length) this.marks.set(lane, list);
      list.push({ time, place });
    }
  }

  // MARK: Layout

  /** @param {number} most */
  layout(most) {
    const count = Math.max(1, this.side.lanes.length);
    const groups = new Set(this.side.lanes.map((lane) => lane.worker)).size;
    // Many lanes may use more of the page before they are scrolled.
    most = Math.max(most, Math.min(most * 1.5, count * 4 + groups + 8));
    for (const gap of [7, 4, 2, 1]) {
      this.gap = gap;
      this.laneHeight = Math.min(26, Math.floor((most - 8 - (groups - 1) * gap) / count));
      if (this.laneHeight >= gap * 1.5) break;
    }
    this.laneHeight = Math.max(4, this.laneHeight);
    let y = 4;
    let before = null;
    for (const lane of this.side.lanes) {
      if (before !== null && before !== lane.worker) y += this.gap;
      lane.y = y;
      y += this.laneHeight;
      before = lane.worker;
    }
    this.total = y + 4;
    this.height = Math.max(44, Math.min(this.total, most + 8));
    this.element.style.height = `${this.height}px`;
    this.space.style.height = `${Math.max(0, this.total - this.height)}px`;
    for (const canvas of [this.names, this.canvas, this.over]) canvas.style.height = `${this.height}px`;
  }

  /** @param {number} time */
  x(time) {
    const { view } = this.timeline;
    return ((time - this.side.first - view.from) / view.length) * this.timeline.width;
  }

  /**
   * The lane at a height of the canvas.
   * @param {number} y
   */
  laneAt(y) {
    const at = y + this.element.scrollTop;
    return this.side.lanes.find((lane) => at >= lane.y - 1 && at < lane.y + this.laneHeight + 1);
  }

  /** @param {import("./types.js").Lane} lane */
  isVisible(lane) {
    const top = lane.y - this.element.scrollTop;
    return top < this.height && top + this.laneHeight > 0;
  }

  /** @param {import("./types.js").Lane} lane */
  reveal(lane) {
    if (!lane || (lane.y >= this.element.scrollTop && lane.y + this.laneHeight <= this.element.scrollTop + this.height))
      return;
    this.element.scrollTop = lane.y - this.height / 2;
  }

  // MARK: Painting

  draw() {
    const ratio = devicePixelRatio || 1;
    const width = Math.floor(this.timeline.width * ratio);
    for (const canvas of [this.canvas, this.over]) canvas.style.width = `${this.timeline.width}px`;
    if (!this.raster.resize(width, Math.round(this.height * ratio))) return;
    this.over.width = this.canvas.width;
    this.over.height = this.canvas.height;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.font = theme.font;
    this.paint(ratio);
    this.raster.show();
    this.drawLabels();
    drawGaps(this);
    drawMarks(this);
    drawSelection(this);
    this.timeline.drawCursor(this, this.context);
    this.drawNames(ratio);
  }

  /** @param {number} ratio */
  paint(ratio) {
    const { view, colourOf, tables } = this.timeline;
    const part = { from: view.from + this.side.first, to: view.to + this.side.first };
    const whole = { first: this.side.first, length: this.side.length };
    const drawn = (this.drawn = { spans: 0, computing: 0, others: 0, lanes: 0 });
    this.raster.fill(pixel(rgb(theme.surface)));
    const alive = { rgb: rgb(theme.lane), pixel: pixel(rgb(theme.lane)) };
    const gone = { rgb: rgb(theme.gone), pixel: pixel(rgb(theme.gone)) };
    const pixelTime = view.length / this.raster.width;
    for (const lane of this.side.lanes) {
      if (!this.isVisible(lane)) continue;
      const worker = this.side.workers[lane.worker];
      const joined = worker.joined === null ? -Infinity : (worker.joined - part.from) / pixelTime;
      const left = ((worker.left ?? this.side.last) - part.from) / pixelTime;
      const background = (/** @type {number} */ x) => (x + 1 >= joined && x <= left ? alive : gone);
      const top = Math.round((lane.y - this.element.scrollTop) * ratio);
      const bottom =
        Math.round((lane.y + this.laneHeight - this.element.scrollTop - (this.laneHeight > 5 ? 1 : 0)) * ratio);
      const strip = Math.max(1, Math.round((bottom - top) * 0.26));
      const split = lane.others.count ? bottom - strip : bottom;
      const computing = this.raster.line.draw(lane.compute, part, colourOf(this.side), whole);
      this.raster.put(top, split, background, tables);
      let others = 0;
      if (lane.others.count) {
        others = this.raster.line.draw(lane.others, part, colourOf(this.side), whole);
        this.raster.put(split, bottom, background, tables);
      }
      drawn.computing += computing;
      drawn.others += others;
      drawn.spans += computing + others;
      drawn.lanes++;
    }
  }

  /** Names on spans that are wide enough for them. */
  drawLabels() {
    if (this.laneHeight < 13) return;
    const { context } = this;
    const { view } = this.timeline;
    context.textBaseline = "middle";
    const from = view.from + this.side.first;
    const to = view.to + this.side.first;
    for (const lane of this.side.lanes) {
      if (!this.isVisible(lane)) continue;
      const [first, end] = lane.compute.range(from, to);
      if (end - first > 400) continue;
      const height = (this.laneHeight - 1) * (lane.others.count ? 0.74 : 1);
      const y = lane.y - this.element.scrollTop + height / 2 + 0.5;
      for (let i = first; i < end; i++) {
        const left = Math.max(0, this.x(lane.compute.start[i]));
        const right = Math.min(this.timeline.width, this.x(lane.compute.stop[i]));
        if (right - left < 34 || this.timeline.isDimmed(this.side, lane.compute.task[i])) continue;
        const text = this.fitting(this.side.prefixName(lane.compute.task[i]), right - left - 8);
        if (!text) continue;
        const outcome = lane.compute.what[i] & 3;
        const colour = this.timeline.prefixColour(this.side.prefixName(lane.compute.task[i]));
        context.fillStyle = outcome === OPEN ? theme.text : ink(hasFailed(outcome) ? FAILED_COLOUR : colour);
        context.fillText(text, left + 4, y);
      }
    }
  }

  /**
   * @param {string} text
   * @param {number} width
   */
  fitting(text, width) {
    const { context } = this;
    const full = context.measureText(text).width;
    if (full <= width) return text;
    let count = Math.floor((text.length * width) / full) - 1;
    while (count >= 3 && context.measureText(text.slice(0, count) + "…").width > width) count--;
    return count >= 3 ? text.slice(0, count) + "…" : "";
  }

  /** @param {number} ratio */
  drawNames(ratio) {
    const { names, nameContext: context } = this;
    const gutterWidth = gutter();
    names.width = Math.round(gutterWidth * ratio);
    names.height = Math.round(this.height * ratio);
    names.style.width = `${gutterWidth}px`;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = theme.font;
    context.textBaseline = "middle";
    let free = -Infinity;
    for (const worker of this.side.orderedWorkers) {
      if (!worker.lanes.length) continue;
      const top = worker.lanes[0].y - this.element.scrollTop;
      const bottom = worker.lanes.at(-1).y + this.laneHeight - this.element.scrollTop;
      if (bottom < 0 || top > this.height) continue;
      context.fillStyle = theme.line;
      context.fillRect(gutterWidth - 8, top, 2, bottom - top - 1);
      const middle = (Math.max(0, top) + Math.min(this.height, bottom)) / 2;
      if (middle < free) continue;
      free = middle + 13;
      context.fillStyle =
        worker.left !== null && worker.left < this.side.last - this.side.length * 0.01 ? theme.muted : theme.text;
      const { label } = worker;
      let text = label;
      while (text.length > 4 && context.measureText(text).width > gutter() - 26) text = text.slice(0, -2);
      context.fillText(text === label ? text : text + "…", 12, middle);
    }
  }
}
