// Pointer, wheel and keys on the timeline.

import { byID, bytes, duration, endWords, FAILED_COLOUR, make, plural, swatch, tick } from "./theme.js";
import { lowerBound } from "./data.js";
import { hasFailed, LOST, OPEN } from "./rows.js";
import { Overview } from "./charts.js";
import { ResourceTrack } from "./resources.js";
import { StreamTrack } from "./stream.js";
import { panels } from "./panels.js";
import { gapSpan } from "./marks.js";
import { inspector } from "./inspector.js";

export class PointerController {
  /** @type {import("./types.js").Drag} */
  drag;
  /** @type {boolean} */
  hasHinted;

  /** @param {import("./timeline.js").Timeline} timeline */
  constructor(timeline) {
    this.timeline = timeline;
    this.host = timeline.host;
    /** @type {Map<number, number>} */
    this.pointers = new Map();
    this.drag = null;
    /**
     * @param {string} name
     * @param {(event: any) => void} act
     * @param {AddEventListenerOptions} [options]
     */
    const on = (name, act, options) => this.host.addEventListener(name, act.bind(this), options);
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.up);
    on("pointerleave", this.leave);
    on("dblclick", this.twice);
    on("wheel", this.wheel, { passive: false });
    on("keydown", this.key);
    this.band = make("div", { class: "band", hidden: true });
    this.host.append(this.band);
  }

  /**
   * The track under the pointer, and the position on its canvas.
   * @param {MouseEvent} event
   */
  place(event) {
    const target = /** @type {HTMLCanvasElement} */ (event.target);
    const { track } = target;
    if (!track) return null;
    const box = target.getBoundingClientRect();
    const x = event.clientX - box.left;
    return {
      track,
      x,
      y: event.clientY - box.top,
      time: this.timeline.view.from + (x / this.timeline.width) * this.timeline.view.length
    };
  }

  /** @param {PointerEvent} event */
  down(event) {
    const place = this.place(event);
    if (!place || event.button !== 0) return;
    this.timeline.view.stop();
    this.pointers.set(event.pointerId, event.clientX);
    this.host.setPointerCapture?.(event.pointerId);
    if (this.pointers.size === 2) return this.startPinch();
    const { view } = this.timeline;
    const isOverview = place.track instanceof Overview;
    const kind = isOverview ? "overview" : event.shiftKey ? "band" : "pan";
    this.drag = {
      kind,
      x: event.clientX,
      from: view.from,
      to: view.to,
      place,
      moved: false,
      target: /** @type {HTMLCanvasElement} */ (event.target)
    };
    if (isOverview) {
      const time = (place.x / this.timeline.width) * view.whole;
      this.drag.time = time;
      // Dragging the visible part moves it; dragging elsewhere selects another part.
      this.drag.isInside = time > view.from && time < view.to && view.length < view.whole * 0.95;
    }
  }

  startPinch() {
    const [a, b] = this.pointers.values();
    const { view } = this.timeline;
    this.drag = {
      kind: "pinch",
      width: Math.max(10, Math.abs(a - b)),
      middle: (a + b) / 2,
      from: view.from,
      to: view.to,
      moved: true
    };
  }

  /** @param {PointerEvent} event */
  move(event) {
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, event.clientX);
    if (!this.drag) return this.hover(event);
    const { view, width } = this.timeline;
    const { drag } = this;
    if (drag.kind === "pinch") {
      const [a, b] = this.pointers.values();
      if (b === undefined) return;
      const length = ((drag.to - drag.from) * drag.width) / Math.max(10, Math.abs(a - b));
      const middle = (drag.from + drag.to) / 2;
      return view.set(middle - length / 2, middle + length / 2);
    }
    const by = event.clientX - drag.x;
    if (Math.abs(by) > 3) drag.moved = true;
    if (!drag.moved) return;
    tip.hide();
    if (drag.kind === "pan") {
      const time = (by / width) * (drag.to - drag.from);
      view.set(drag.from - time, drag.to - time);
    } else if (drag.kind === "overview") {
      const time = (by / width) * view.whole;
      if (drag.isInside) view.set(drag.from + time, drag.to + time);
      else view.set(Math.min(drag.time, drag.time + time), Math.max(drag.time, drag.time + time));
    } else {
      this.showBand(drag.x, event.clientX);
    }
  }

  /**
   * @param {number} from
   * @param {number} to
   */
  showBand(from, to) {
    const box = this.host.getBoundingClientRect();
    this.band.hidden = false;
    this.band.style.left = `${Math.min(from, to) - box.left}px`;
    this.band.style.width = `${Math.abs(to - from)}px`;
  }

  /** @param {PointerEvent} event */
  up(event) {
    this.pointers.delete(event.pointerId);
    const { drag } = this;
    this.drag = null;
    this.band.hidden = true;
    if (!drag || drag.kind === "pinch") return;
    if (drag.kind === "band" && drag.moved) {
      const { view, width } = this.timeline;
      const left = drag.target.getBoundingClientRect().left;
      const time = (/** @type {number} */ x) => drag.from + ((x - left) / width) * (drag.to - drag.from);
      view.glide(time(Math.min(drag.x, event.clientX)), time(Math.max(drag.x, event.clientX)));
    } else if (!drag.moved) {
      this.click(drag.place);
    }
  }

  /** @param {import("./types.js").Place} place */
  click({ track, x, y, time }) {
    if (track instanceof Overview) {
      const { view } = this.timeline;
      const at = (x / this.timeline.width) * view.whole;
      return view.glide(at - view.length / 2, at + view.length / 2);
    }
    if (track instanceof ResourceTrack) return panels.showMoment(track.side, time + track.side.first);
    if (!(track instanceof StreamTrack)) return;
    const span = this.spanAt(track, y, time);
    if (span) this.timeline.select(track.side, span.task);
    else this.timeline.deselect();
  }

  /** @param {MouseEvent} event */
  twice(event) {
    const place = this.place(event);
    if (!place || !(place.track instanceof StreamTrack)) return;
    const span = this.spanAt(place.track, place.y, place.time);
    if (span) this.timeline.view.showSpan(span.start - place.track.side.first, span.stop - place.track.side.first);
  }

  /**
   * @param {import("./stream.js").StreamTrack} track
   * @param {number} y
   * @param {number} time
   */
  spanAt(track, y, time) {
    const lane = track.laneAt(y);
    if (!lane) return null;
    const { side } = track;
    const tolerance = (this.timeline.view.length / this.timeline.width) * 3;
    const at = (/** @type {import("./rows.js").Row} */ row) => {
      const found = row.at(time + side.first, tolerance);
      return found < 0 ? null : side.span(lane, row, found);
    };
    const within = y + track.element.scrollTop - lane.y;
    const isBelow = lane.others.count && within > track.laneHeight * 0.72;
    return isBelow ? at(lane.others) ?? at(lane.compute) : at(lane.compute) ?? at(lane.others);
  }

  leave() {
    tip.hide();
    this.timeline.cursor = null;
    this.timeline.redraw();
  }

  /** @param {PointerEvent} event */
  hover(event) {
    const place = this.place(event);
    if (!place) return this.leave();
    const { track } = place;
    this.timeline.cursor = track instanceof Overview ? null : place.time;
    this.timeline.redraw();
    if (!(track instanceof StreamTrack)) {
      const found = track.tip(place.x);
      return found && found.rows.length ? tip.show(event, found) : tip.hide();
    }
    const span = this.spanAt(track, place.y, place.time);
    const gap = this.gapAt(track, place);
    this.host.classList.toggle("pointing", Boolean(span));
    if (gap && (!span || place.time + track.side.first < span.start)) tip.show(event, gapTip(track.side, gap));
    else if (span) {
      const shown = spanTip(track.side, span, this.timeline);
      if (gap) shown.rows.push(["gap", `${plural(gap.count, "event")} missing: ${gap.reason}`]);
      tip.show(event, shown);
    } else {
      const end = endTip(track, place);
      if (end) tip.show(event, end);
      else tip.hide();
    }
  }

  /**
   * @param {import("./stream.js").StreamTrack} track
   * @param {import("./types.js").Place} place
   */
  gapAt(track, { y, time }) {
    const lane = track.laneAt(y);
    const slack = (this.timeline.view.length / this.timeline.width) * 4;
    return track.side.gaps.find((gap) => {
      const [from, to] = gapSpan(gap);
      const at = time + track.side.first;
      return at >= from - slack && at <= to + slack && (gap.worker === null || lane?.worker === gap.worker);
    });
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const place = this.place(event);
    if (!place) return;
    const { view, width } = this.timeline;
    view.stop();
    const unit = event.deltaMode === 1 ? 16 : 1;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      const at = place.track instanceof Overview ? (view.from + view.to) / 2 : place.time;
      view.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY * unit)) * 0.008), at);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      view.pan((((event.deltaX || event.deltaY) * unit) / width) * view.length);
    } else if (!this.hasHinted) {
      this.hasHinted = true;
      tip.show(event, { title: "Ctrl and wheel zooms, Shift and wheel moves", rows: [] });
      setTimeout(() => tip.hide(), 1800);
    }
  }

  // MARK: Keys

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    const { timeline } = this;
    const { view } = timeline;
    /** @type {Record<string, () => void>} */
    const acts = {
      ArrowLeft: () => view.glide(view.from - view.length * 0.2, view.to - view.length * 0.2),
      ArrowRight: () => view.glide(view.from + view.length * 0.2, view.to + view.length * 0.2),
      a: () => acts.ArrowLeft(), d: () => acts.ArrowRight(),
      "+": () => view.zoom(0.6, undefined, true), "=": () => acts["+"](), w: () => acts["+"](),
      "-": () => view.zoom(1 / 0.6, undefined, true), s: () => acts["-"](),
      0: () => view.fit(), f: () => view.fit(), Home: () => view.fit(),
      ".": () => this.step(1), ",": () => this.step(-1),
      ArrowDown: () => this.stepLane(1), ArrowUp: () => this.stepLane(-1),
      Enter: () => timeline.selection && inspector.show(timeline.selection.side, timeline.selection.task, true),
      z: () => timeline.selection && timeline.select(timeline.selection.side, timeline.selection.task, { zoom: true }),
      Escape: () => timeline.deselect(),
    };
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  /**
   * Selects the previous or the next task on the same thread.
   * @param {number} by
   */
  step(by) {
    const { timeline } = this;
    const { focus } = timeline;
    if (!focus) {
      const side = timeline.sides[0];
      const lane = side.lanes.find((each) => each.compute.count);
      if (lane)
        this.go(side, lane,
          Math.min(lane.compute.count - 1, lowerBound(lane.compute.start, timeline.view.from + side.first)));
      return;
    }
    this.go(focus.side, focus.lane, focus.at + by);
  }

  /** @param {number} by */
  stepLane(by) {
    const { focus } = this.timeline;
    if (!focus) return this.step(0);
    const all = this.timeline.sides.flatMap(
      (side) => side.lanes.filter((lane) => lane.compute.count).map((lane) => ({ side, lane })));
    const next = all[all.findIndex(({ lane }) => lane === focus.lane) + by];
    if (!next) return;
    const { side, lane } = next;
    const time = focus.lane.compute.start[focus.at] - focus.side.first + side.first;
    this.go(side, lane, Math.min(lane.compute.count - 1, lowerBound(lane.compute.start, time)));
  }

  /**
   * @param {import("./side.js").Side} side
   * @param {import("./types.js").Lane} lane
   * @param {number} at
   */
  go(side, lane, at) {
    if (at < 0 || at >= lane.compute.count) return;
    const task = lane.compute.task[at];
    this.timeline.select(side, task, { show: inspector.isShown });
    this.timeline.focus = { side, lane, at };
    const span = side.span(lane, lane.compute, at);
    byID("spoken").textContent = `${side.key(task)}, ${duration(span.stop - span.start)} on ${
      side.workers[lane.worker].label}${hasFailed(span.outcome) ? ", failed" : ""}`;
  }
}

// MARK: Tooltips

const tip = {
  /**
   * @param {MouseEvent} event
   * @param {import("./types.js").Tip} shown
   */
  show(event, { title, rows, more }) {
    const element = byID("tip");
    element.replaceChildren(make("b", {}, title), ...rows.map(([name, value, colour]) =>
      make("div", {}, make("span", {}, ...(colour ? [swatch(colour)] : []), name), make("em", {}, value))));
    if (more) element.append(make("small", {}, more));
    element.hidden = false;
    const { width, height } = element.getBoundingClientRect();
    const x = event.clientX + 14 + width > innerWidth ? event.clientX - width - 12 : event.clientX + 14;
    const y = event.clientY + 16 + height > innerHeight ? event.clientY - height - 10 : event.clientY + 16;
    element.style.transform = `translate(${Math.max(4, x)}px, ${Math.max(4, y)}px)`;
  },
  hide() {
    byID("tip").hidden = true;
  },
};

/**
 * @param {import("./side.js").Side} side
 * @param {import("./types.js").Span} span
 * @param {import("./timeline.js").Timeline} timeline
 */
function spanTip(side, span, timeline) {
  const worker = side.workers[span.lane.worker];
  const isCompute = span.action === "compute";
  /** @type {import("./types.js").Tip["rows"]} */
  const rows = [
    [isCompute ? side.prefixName(span.task) || "compute" : span.action, duration(span.stop - span.start),
      isCompute ? timeline.prefixColour(side.prefixName(span.task)) : timeline.actionColour(span.action)],
    ["worker", worker.label],
    ["from", tick(Math.round(span.start - side.first), timeline.view.length / 1000)],
  ];
  if (hasFailed(span.outcome))
    rows.push([span.outcome === LOST ? "failed with its worker" : "failed", "", FAILED_COLOUR]);
  if (span.outcome === OPEN) rows.push(["its end is not in the log", ""]);
  if (span.source >= 0) rows.push(["data from", side.workers[span.source].label]);
  if (side.nbytes && isCompute && side.nbytes[span.task]) rows.push(["result", bytes(side.nbytes[span.task])]);
  const pixelTime = timeline.view.length / timeline.width;
  const [first, end] = span.row.range(span.start - pixelTime, span.start + pixelTime);
  return {
    title: side.key(span.task),
    rows,
    more: end - first > 2 ? `and ${end - first - 1} more here; zoom in` : ""
  };
}

/**
 * Why a worker left, where its thread is empty after that.
 * @param {import("./stream.js").StreamTrack} track
 * @param {import("./types.js").Place} place
 * @returns {import("./types.js").Tip | null}
 */
function endTip(track, { y, time }) {
  const { side } = track;
  const lane = track.laneAt(y);
  const worker = lane ? side.workers[lane.worker] : undefined;
  if (!worker?.end || worker.left === null || time + side.first < worker.left) return null;
  return {
    title: `${worker.label} left: ${worker.end.cause}`,
    rows: [["at", tick(Math.round(worker.left - side.first), side.length / 1000)]],
    more: endWords(worker.end),
  };
}

/**
 * @param {import("./side.js").Side} side
 * @param {import("./types.js").Gap} gap
 * @returns {import("./types.js").Tip}
 */
function gapTip(side, gap) {
  return {
    title: `Gap: ${plural(gap.count, "event")} missing`,
    rows: [["reason", gap.reason], ["source", gap.worker === null ? "the scheduler" : side.workers[gap.worker].label]],
  };
}
