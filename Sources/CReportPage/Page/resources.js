// Curves of what workers measured of themselves: memory, CPU, network, disk, event loop.

import { bytes, duration, make, swatch, theme, tick } from "./theme.js";
import { column, Numbers } from "./data.js";
import { Track } from "./charts.js";

/** The measures, in the order of the column `resources`. */
const MEASURES = [
  "memory", "managed", "spilled", "cpu", "netRead", "netWrite", "diskRead", "diskWrite", "gil", "eventLoop",
];

const perSecond = (/** @type {number} */ n) => `${bytes(n)}/s`;
const tenths = (/** @type {number} */ n) => `${(n / 10).toFixed(n < 1000 ? 1 : 0)} %`;

/**
 * Reads what workers measured, after the first picture is drawn.
 * @param {import("./side.js").Side} side
 */
export async function readResources(side) {
  const grid = side.resourceGrid;
  if (!grid.count) return;
  const read = new Numbers(await column(side.number, "resources"));
  side.measured = [null, ...grid.workers].map((worker, place) => {
    /** @type {Record<string, import("./types.js").Band>} */
    const bands = {};
    for (const name of MEASURES) {
      const least = read.sums(new Float64Array(grid.count));
      const most = read.fill(new Float64Array(grid.count));
      for (let i = 0; i < grid.count; i++) most[i] = least[i] < 0 ? -1 : most[i] + least[i];
      bands[name] = { least, most };
    }
    const limits = worker === null ? grid.limits : [grid.limits[place - 1]];
    const limit = limits.every((each) => each) ? limits.reduce((a, b) => a + b, 0) : 0;
    return { worker, bands, limit };
  });
}

/**
 * What the scheduler measured of itself, as one worker's.
 * @param {{ late: number[], interval: number[] }} scheduler
 * @returns {import("./types.js").Measured}
 */
function schedulerLoad({ late, interval }) {
  const band = (/** @type {number[]} */ values) => {
    const most = Float64Array.from(values);
    return { least: most, most };
  };
  return { worker: null, limit: 0, bands: { late: band(late), interval: band(interval) } };
}

/** The tracks of a side below its stream: they show one worker, or all together. */
export class ResourceTracks {
  /**
   * @param {import("./timeline.js").Timeline} timeline
   * @param {import("./side.js").Side} side
   * @param {boolean} isSmall
   */
  constructor(timeline, side, isSmall) {
    this.timeline = timeline;
    this.side = side;
    this.chosen = 0;
    this.choice = make("select", { class: "worker-choice", "aria-label": "Worker of the curves" },
      make("option", { value: "0" }, "all workers"),
      ...side.resourceGrid.workers.map((row, place) =>
        make("option", { value: String(place + 1) }, side.workers[row].label)));
    this.choice.addEventListener("change", () => this.choose(Number(this.choice.value)));
    const height = isSmall ? 40 : 56;
    this.memory = new ResourceTrack(this, "Memory", isSmall ? 60 : 84, bytes, [
      { name: "managed", colour: "#59a386", of: "managed" },
      { name: "unmanaged", colour: "#b07aa1", of: "unmanaged" },
      { name: "spilled", colour: "#b5651d", of: "spilled" },
    ], "Memory of workers over time against their limit: results, other memory, and results on disk", true);
    this.memory.label.append(this.choice);
    this.tracks = [
      this.memory,
      new ResourceTrack(this, "CPU", height, tenths, [
        { name: "CPU", colour: "#4e79a7", of: "cpu" }], "CPU of workers over time"),
      new ResourceTrack(this, "Network of hosts", height, perSecond, [
        { name: "read", colour: "#3f8fbf", of: "netRead" }, { name: "written", colour: "#e8853d", of: "netWrite" },
      ], "Network traffic of the workers' hosts over time"),
      new ResourceTrack(this, "Disk of hosts", height, perSecond, [
        { name: "read", colour: "#3f8fbf", of: "diskRead" }, { name: "written", colour: "#e8853d", of: "diskWrite" },
      ], "Disk traffic of the workers' hosts over time"),
      new ResourceTrack(this, "Event loop interval", height, duration, [
        { name: "interval", colour: "#8a6bbf", of: "eventLoop" }],
      "Interval of the event loops of workers over time; 20 ms if they are not late"),
    ];
    if (side.resourceGrid.hasGIL) {
      this.tracks.push(new ResourceTrack(this, "GIL held", height, tenths, [
        { name: "GIL", colour: "#d9b93b", of: "gil" }], "Share of time for which the GIL was held"));
    }
    const { scheduler } = side.resourceGrid;
    if (scheduler) {
      const owner = { timeline, side, chosen: 1, measured: schedulerLoad(scheduler) };
      this.tracks.push(new ResourceTrack(owner, "Scheduler's event loop", height, duration, [
        { name: "late", colour: "#e8853d", of: "late" }, { name: "interval", colour: "#8a6bbf", of: "interval" }],
      "How late the event loop of the scheduler was, and its interval; 20 ms if it is not late"));
    }
  }

  /** @param {number} place */
  choose(place) {
    this.chosen = place;
    this.choice.value = String(place);
    this.timeline.redraw();
  }

  get measured() {
    return this.side.measured?.[this.chosen];
  }
}

/** Bands between the least and the most of each interval; or areas on top of each other. */
export class ResourceTrack extends Track {
  /**
   * @param {import("./types.js").CurveOwner} owner
   * @param {string} label
   * @param {number} height
   * @param {(value: number) => string} show
   * @param {{ name: string, colour: string, of: string }[]} curves
   * @param {string} describe
   * @param {boolean} [isStacked]
   */
  constructor(owner, label, height, show, curves, describe, isStacked = false) {
    super(owner.timeline, owner.side, label, height, describe);
    this.owner = owner;
    this.show = show;
    this.curves = curves;
    this.isStacked = isStacked;
    this.element.classList.add("resource");
    if (curves.length > 1 && height > 50) {
      this.label.append(make("div", { class: "key" },
        ...curves.map((curve) => make("span", {}, swatch(curve.colour), curve.name))));
    }
  }

  /**
   * The least and the most of a curve in an interval; -1 if it was not measured.
   * @param {string} name
   * @param {number} at
   */
  value(name, at) {
    const { bands } = this.owner.measured;
    if (name !== "unmanaged") return [bands[name].least[at], bands[name].most[at]];
    const memory = bands.memory.most[at];
    const value = memory < 0 ? -1 : Math.max(0, memory - Math.max(0, bands.managed.most[at]));
    return [value, value];
  }

  /** @param {number} time */
  intervalAt(time) {
    const { start, width, count } = this.side.resourceGrid;
    const at = Math.floor((time - start) / width);
    return at >= 0 && at < count ? at : -1;
  }

  /**
   * For each pixel the least and the most of a curve.
   * @param {string} name
   * @param {number} pixels
   */
  sampled(name, pixels) {
    const { view } = this.timeline;
    const { start, width, count } = this.side.resourceGrid;
    const least = new Float64Array(pixels).fill(-1);
    const most = new Float64Array(pixels).fill(-1);
    for (let x = 0; x < pixels; x++) {
      const time = view.from + this.side.first + (x / pixels) * view.length;
      const first = Math.floor((time - start) / width);
      const end = Math.max(first + 1, Math.floor((time + view.length / pixels - start) / width));
      for (let at = Math.max(0, first); at < Math.min(count, end); at++) {
        const [low, high] = this.value(name, at);
        if (high < 0) continue;
        least[x] = least[x] < 0 ? low : Math.min(least[x], low);
        most[x] = Math.max(most[x], high);
      }
    }
    return { least, most };
  }

  draw() {
    const context = this.begin();
    const { measured } = this.owner;
    if (!measured) return;
    const width = Math.max(1, Math.floor(this.width));
    const drawn = this.curves.map((curve) => ({ curve, ...this.sampled(curve.of, width) }));
    const below = new Float64Array(width);
    if (this.isStacked) {
      for (const each of drawn) {
        for (let x = 0; x < width; x++) {
          each.least[x] = below[x];
          if (each.most[x] >= 0) below[x] += each.most[x];
          each.most[x] = below[x];
        }
      }
    }
    const most = drawn.reduce((a, each) => each.most.reduce((b, value) => Math.max(b, value), a), 0);
    const limit = this.isStacked ? measured.limit : 0;
    // A limit that is far away would flatten the curve.
    const top = limit && limit < most * 4 ? Math.max(most, limit) : most;
    const scale = top > 0 ? (this.height - 6) / top : 0;
    const y = (/** @type {number} */ value) => this.height - 1 - value * scale;
    // What is on disk does not count against the limit.
    const highest = this.isStacked ? measured.bands.memory.most.reduce((a, b) => Math.max(a, b), 0) : most;
    this.figure.textContent = `up to ${this.show(highest)}${limit ? ` of ${this.show(limit)}` : ""}`;
    context.strokeStyle = theme.line;
    context.strokeRect(0, this.height - 0.5, width, 0);
    for (const { curve, least, most: high } of drawn) {
      context.fillStyle = curve.colour;
      for (let x = 0; x < width; x++) {
        if (high[x] < 0) continue;
        const from = y(high[x]);
        const to = this.isStacked ? y(least[x]) : Math.max(y(least[x]), from + 1.5);
        context.fillRect(x, from, 1, to - from);
        if (!this.isStacked && drawn.length === 1) {
          context.globalAlpha = 0.22;
          context.fillRect(x, to, 1, this.height - 1 - to);
          context.globalAlpha = 1;
        }
      }
    }
    if (limit && limit <= top) {
      context.strokeStyle = theme.bad;
      context.setLineDash([5, 4]);
      context.beginPath();
      context.moveTo(0, Math.round(y(limit)) + 0.5);
      context.lineTo(width, Math.round(y(limit)) + 0.5);
      context.stroke();
      context.setLineDash([]);
    }
    this.timeline.drawCursor(this, context);
  }

  /** @param {number} x */
  tip(x) {
    if (!this.owner.measured) return null;
    const { view } = this.timeline;
    const time = view.from + (x / this.width) * view.length;
    const at = this.intervalAt(time + this.side.first);
    if (at < 0) return null;
    /** @type {import("./types.js").Tip["rows"]} */
    const rows = [];
    for (const curve of this.curves) {
      const [least, most] = this.value(curve.of, at);
      if (most < 0) continue;
      const range = least < most && !this.isStacked ? `${this.show(least)} to ` : "";
      rows.push([curve.name, range + this.show(most), curve.colour]);
    }
    const { limit } = this.owner.measured;
    if (this.isStacked && limit) rows.push(["limit", this.show(limit)]);
    if (this.isStacked && !this.owner.chosen) rows.push(...this.fullest(at));
    return { title: tick(time, view.length / 1000), rows };
  }

  /**
   * The workers with the most memory, for their limit if they have one.
   * @param {number} at
   * @returns {import("./types.js").Tip["rows"]}
   */
  fullest(at) {
    const workers = this.side.measured.slice(1).map((each) => {
      const memory = each.bands.memory.most[at];
      return { ...each, memory, share: each.limit ? memory / each.limit : memory };
    });
    return workers.filter((each) => each.memory >= 0).sort((a, b) => b.share - a.share).slice(0, 4).map((each) => [
      this.side.workers[each.worker].label,
      this.show(each.memory) + (each.limit ? `, ${(each.share * 100).toFixed(0)} % of its limit` : ""),
    ]);
  }
}
