// The timeline: the tracks of one or two sides, one time axis, one selection.

import {
  ACTIONS, byID, bytes, CLASSES, duration, FAILED_COLOUR, make, mix, PALETTE, plural, REST, rgb, STATE_ORDER,
  STATES, swatch, theme, whole,
} from "./theme.js";
import { sideTitle } from "./side.js";
import { View } from "./view.js";
import { Axis, gutter, Overview, StackTrack, workerLayers } from "./charts.js";
import { ResourceTracks } from "./resources.js";
import { StreamTrack } from "./stream.js";
import { inspector } from "./inspector.js";

/**
 * A layer for each class of the time of threads that occurs.
 * @param {import("./side.js").Side} side
 * @returns {import("./types.js").Layer[]}
 */
function threadLayers({ threadTime }) {
  const { classes, intervals } = threadTime;
  const curve = {
    times: Float64Array.from(intervals, ([time]) => time),
    values: classes.map((_, place) => Float64Array.from(intervals, (row) => row[place + 1])),
  };
  return classes
    .map(([name, , time], place) => ({ name, colour: CLASSES[place], curve, figure: place, time }))
    .filter(({ time }) => time > 0);
}

export class Timeline {
  /** @type {Map<string, number>} */
  seconds;
  /** @type {Map<string, number>} */
  colourPlace;
  /** @type {string[]} */
  ranked;
  /** @type {import("./types.js").ColourTables} */
  tables;
  /** @type {import("./charts.js").Track[]} */
  tracks;
  /** @type {StreamTrack[]} */
  streams;
  /** @type {ResourceTracks[]} */
  resources;
  /** @type {Overview} */
  overview;
  /** @type {Axis} */
  axis;
  /** @type {number} */
  width;
  /** @type {number} */
  requested;
  /** @type {import("./types.js").Focus} */
  focus;
  /** @type {import("./types.js").Selection} */
  selection;
  /** @type {string} */
  alone;
  /** @type {number} */
  cursor;
  /** @type {number[]} */
  frames;

  /** @param {import("./side.js").Side[]} sides */
  constructor(sides) {
    this.sides = sides;
    this.host = byID("tracks");
    this.view = new View(Math.max(...sides.map((side) => side.length)));
    this.view.changed = () => this.redraw();
    this.selection = null;
    this.alone = null;
    this.cursor = null;
    this.frames = [];
    this.rankPrefixes();
    this.build();
    new ResizeObserver(() => this.layout()).observe(this.host);
    this.layout();
    const margin = this.view.whole * 0.005;
    this.view.set(-margin, this.view.whole + margin);
  }

  // MARK: Colours

  /** Ranks prefixes by the total time of their tasks on both sides; the first ones get colours. */
  rankPrefixes() {
    this.seconds = new Map();
    for (const side of this.sides) {
      for (const name of side.prefixes) this.seconds.set(name, this.seconds.get(name) ?? 0);
      for (const { name, compute } of side.prefixFigures()) this.seconds.set(name, this.seconds.get(name) + compute);
    }
    this.ranked =
      [...this.seconds.keys()].sort((a, b) => this.seconds.get(b) - this.seconds.get(a) || (a < b ? -1 : 1));
    this.colourPlace = new Map(this.ranked.map((name, i) => [name, Math.min(i, PALETTE.length)]));
    for (const side of this.sides) {
      side.colourOfPrefix = Uint8Array.from(side.prefixes, (name) => this.colourPlace.get(name));
      side.colourOfAction = side.actions.map((_, i) => PALETTE.length + 2 + Math.min(i, 200));
    }
  }

  /** @param {string} name */
  prefixColour(name) {
    return PALETTE[this.colourPlace.get(name)] ?? REST;
  }

  /** @param {string} name */
  actionColour(name) {
    return ACTIONS[name] ?? "#9aa0a6";
  }

  /**
   * For a side, the function from a span to the index of its colour.
   * @returns {(side: import("./side.js").Side) => import("./types.js").ColourOf}
   */
  get colourOf() {
    return (/** @type {import("./side.js").Side} */ side) => {
      const dimmed = PALETTE.length + 1;
      const alone = this.alone === null ? -1 : side.prefixes.indexOf(this.alone);
      if (this.alone !== null) {
        return (row, i) =>
          side.prefix[row.task[i]] !== alone ? dimmed
            : row.what[i] >> 2 ? side.colourOfAction[row.what[i] >> 2] : side.colourOfPrefix[alone];
      }
      return (row, i) =>
        row.what[i] >> 2 ? side.colourOfAction[row.what[i] >> 2] : side.colourOfPrefix[side.prefix[row.task[i]]];
    };
  }

  /**
   * @param {import("./side.js").Side} side
   * @param {number} task
   */
  isDimmed(side, task) {
    return this.alone !== null && side.prefixName(task) !== this.alone;
  }

  readColours() {
    const lane = rgb(theme.lane);
    const colours = PALETTE.map(rgb);
    colours.push(rgb(REST), mix(rgb(REST), lane, 0.72));
    const actions = [...new Set(this.sides.flatMap((side) => side.actions))];
    for (let i = 0; i < 201; i++) colours.push(rgb(this.actionColour(this.sides[0].actions[i] ?? actions[i])));
    this.tables = { colours, failed: rgb(FAILED_COLOUR) };
  }

  /** @param {string} prefix */
  showAlone(prefix) {
    this.alone = this.alone === prefix ? null : prefix;
    for (const side of this.sides) {
      for (const lane of side.lanes) lane.compute.pyramid = lane.others.pyramid = null;
    }
    this.drawLegend();
    this.redraw();
  }

  // MARK: Tracks

  build() {
    this.overview = new Overview(this, this.sides);
    this.axis = new Axis(this, this.sides[0]);
    this.tracks = [this.overview, this.axis];
    this.streams = [];
    this.resources = [];
    this.host.append(this.overview.element, this.axis.element);
    for (const side of this.sides) {
      const part = make("div", { class: "side", role: "group", "aria-label": sideTitle(side) });
      if (this.sides.length > 1) {
        part.append(make("h2", {}, make("b", { class: "letter" }, side.letter), " ", sideTitle(side)));
      }
      const layers = STATE_ORDER.filter((state) => side.states.includes(state)).map((state) => ({
        name: state, colour: STATES[state], curve: side.stateSeries, figure: side.states.indexOf(state),
      }));
      const small = this.sides.length > 1;
      const states =
        new StackTrack(this, side, "Tasks by state", small ? 60 : 84, layers, whole, "Tasks in each state over time");
      const stream = new StreamTrack(this, side);
      const assigned =
        new StackTrack(this, side, "Assigned to workers", small ? 40 : 52, workerLayers(side, 0, STATES.processing),
          (n) => plural(n, "task"), "Tasks assigned to workers, over time");
      const results =
        new StackTrack(this, side, "Results in memory", small ? 40 : 52, workerLayers(side, 1, STATES.memory), bytes,
          "Bytes of results in the memory of workers, over time");
      part.append(states.element, stream.element, assigned.element, results.element);
      this.host.append(part);
      this.streams.push(stream);
      this.tracks.push(states, assigned, results);
      const threads = new StackTrack(this, side, "Time of threads", small ? 50 : 66, threadLayers(side),
        (n) => `${(n / 1000).toFixed(1)} threads`, "What threads did or waited for, over time");
      part.append(threads.element);
      this.tracks.push(threads);
      if (!side.resourceGrid.count) continue;
      const resources = new ResourceTracks(this, side, small);
      part.append(...resources.tracks.map((track) => track.element));
      this.tracks.push(...resources.tracks);
      this.resources.push(resources);
    }
    this.readColours();
    this.drawLegend();
  }

  layout() {
    this.width = Math.max(120, this.host.clientWidth - gutter());
    const room = Math.max(180, Math.min(innerHeight * 0.42, 560)) / this.sides.length;
    for (const stream of this.streams) stream.layout(room);
    this.redraw();
  }

  redraw() {
    if (this.requested) return;
    this.requested = requestAnimationFrame(() => {
      this.requested = 0;
      this.draw();
    });
  }

  draw() {
    const begun = performance.now();
    for (const track of this.tracks) track.draw();
    for (const stream of this.streams) stream.draw();
    const { view } = this;
    byID("range").textContent = `${duration(Math.min(view.length, view.whole))} in view`;
    this.frames.push(performance.now() - begun);
    if (this.frames.length > 600) this.frames.shift();
  }

  /**
   * The line at the pointer, through all tracks.
   * @param {import("./charts.js").Track | StreamTrack} track
   * @param {CanvasRenderingContext2D} context
   */
  drawCursor(track, context) {
    if (this.cursor === null) return;
    const x = Math.round(((this.cursor - this.view.from) / this.view.length) * this.width) + 0.5;
    context.strokeStyle = theme.muted;
    context.globalAlpha = 0.55;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, track.height);
    context.stroke();
    context.globalAlpha = 1;
  }

  drawLegend() {
    const legend = byID("legend");
    const shown = this.ranked.slice(0, PALETTE.length);
    /** @type {HTMLElement[]} */
    const chips = shown.map((name) => {
      const shownName = name || "(no prefix)";
      const attributes = {
        type: "button",
        class: "chip",
        "aria-pressed": String(this.alone === name),
        title: `${shownName}: ${duration(this.seconds.get(name))}`,
        onclick: () => this.showAlone(name),
      };
      return make("button", attributes, swatch(this.prefixColour(name)), make("span", {}, shownName));
    });
    if (this.ranked.length > shown.length)
      chips.push(make("span", { class: "chip still" }, swatch(REST), `${this.ranked.length - shown.length} more`));
    const actions = [...new Set(this.sides.flatMap((side) => side.actions.slice(1)))];
    for (const action of actions)
      chips.push(make("span", { class: "chip still strip" }, swatch(this.actionColour(action)), action));
    if (this.sides.some((side) => side.failures.count))
      chips.push(make("span", { class: "chip still" }, swatch(FAILED_COLOUR), "failed"));
    if (this.sides.some((side) => side.gaps.length))
      chips.push(make("span", { class: "chip still" }, make("i", { class: "swatch hatch" }), "gap in the log"));
    legend.replaceChildren(...chips);
  }

  // MARK: Selection

  /**
   * @param {import("./side.js").Side} side
   * @param {number} task
   * @param {{ zoom?: boolean, show?: boolean }} [options]
   */
  select(side, task, options = {}) {
    const { zoom = false, show = true } = options;
    this.selection = { side, task };
    const span =
      side.keys ? side.spansOf(task).find((span) => span.action === "compute") ?? side.spansOf(task)[0] : null;
    if (span) {
      this.focus = { side, lane: span.lane, at: span.action === "compute" ? span.at : 0 };
      this.streams[side.number].reveal(span.lane);
      const all = side.spansOf(task);
      const [start, stop] = [all[0].start - side.first, Math.max(...all.map((each) => each.stop)) - side.first];
      if (zoom) this.view.showSpan(start, stop);
      else if (start > this.view.to || stop < this.view.from)
        this.view.glide(start - this.view.length / 2, start + this.view.length / 2);
    }
    if (show) inspector.show(side, task);
    this.redraw();
  }

  /** @param {boolean} [isClosing] */
  deselect(isClosing = true) {
    this.selection = null;
    if (isClosing) inspector.hide();
    this.redraw();
  }
}
