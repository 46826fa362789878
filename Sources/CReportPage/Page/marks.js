// Drawn over the task stream: gaps, failures, and the selected task.

import { FAILED_COLOUR, theme } from "./theme.js";

/**
 * Draws each gap over the lanes of its source.
 * @param {import("./stream.js").StreamTrack} track
 */
export function drawGaps(track) {
  const { context } = track;
  for (const gap of track.side.gaps) {
    const lanes = gap.worker === null ? track.side.lanes : track.side.workers[gap.worker].lanes;
    const top = (lanes[0]?.y ?? 0) - track.element.scrollTop;
    const bottom = (lanes.at(-1)?.y ?? track.height - track.laneHeight) + track.laneHeight - track.element.scrollTop;
    const [from, to] = gapSpan(gap);
    const x = track.x(from) - 1;
    const width = Math.max(3, track.x(to) - x + 1);
    if (x > track.timeline.width || x + width < 0) continue;
    context.save();
    context.beginPath();
    context.rect(x, top, width, bottom - top);
    context.clip();
    context.globalAlpha = 0.16;
    context.fillStyle = theme.gap;
    context.fillRect(x, top, width, bottom - top);
    context.globalAlpha = 0.8;
    context.strokeStyle = theme.gap;
    context.beginPath();
    const left = Math.max(x, -20);
    for (let line = left - (left % 7) - (bottom - top); line < Math.min(x + width, track.timeline.width); line += 7) {
      context.moveTo(line, bottom);
      context.lineTo(line + bottom - top, top);
    }
    context.stroke();
    context.restore();
    context.strokeStyle = theme.gap;
    context.strokeRect(x + 0.5, top + 0.5, width - 1, bottom - top - 1);
  }
}

/** @param {import("./stream.js").StreamTrack} track */
export function drawMarks(track) {
  const { context } = track;
  context.fillStyle = FAILED_COLOUR;
  context.strokeStyle = theme.surface;
  for (const [lane, list] of track.marks) {
    if (lane && !track.isVisible(lane)) continue;
    const y = lane ? lane.y - track.element.scrollTop : 0;
    let last = -Infinity;
    const size = Math.max(3.5, Math.min(5, track.laneHeight / 3));
    for (const { time } of list) {
      const x = track.x(time);
      if (x < -5 || x > track.timeline.width + 5 || x - last < 3) continue;
      last = x;
      context.beginPath();
      context.moveTo(x - size, y - 2);
      context.lineTo(x + size, y - 2);
      context.lineTo(x, y + size * 1.3);
      context.closePath();
      context.fill();
      context.stroke();
    }
  }
}

/** @param {import("./stream.js").StreamTrack} track */
export function drawSelection(track) {
  const { selection } = track.timeline;
  if (!selection || selection.side !== track.side || !track.side.keys) return;
  const { context } = track;
  const own = track.side.spansOf(selection.task);
  context.strokeStyle = theme.text;
  context.lineWidth = 2;
  for (const span of own) outline(track, span);
  context.lineWidth = 1.25;
  context.strokeStyle = theme.accent;
  const first = own.find((span) => span.action === "compute");
  if (first && track.side.needs) {
    for (const need of track.side.needsOf(selection.task).slice(0, 200)) {
      const from = track.side.spansOf(need).filter((span) => span.action === "compute").at(-1);
      if (from) connect(track, from, first);
    }
    for (const other of track.side.dependentsOf(selection.task).slice(0, 200)) {
      const to = track.side.spansOf(other).find((span) => span.action === "compute");
      if (to) connect(track, own.filter((span) => span.action === "compute").at(-1), to);
    }
  }
  context.lineWidth = 1;
}

/**
 * @param {import("./stream.js").StreamTrack} track
 * @param {import("./types.js").Span} span
 */
function outline(track, span) {
  const y = span.lane.y - track.element.scrollTop;
  const split = (track.laneHeight - 1) * (span.lane.others.count ? 0.74 : 1);
  const isCompute = span.action === "compute";
  const x = track.x(span.start);
  const width = Math.max(4, track.x(span.stop) - x);
  const top = isCompute ? y : y + split;
  const height = isCompute ? split : track.laneHeight - split;
  track.context.strokeRect(Math.max(-5, x) - 1, top - 1,
    Math.min(width, track.timeline.width + 10 - Math.max(-5, x)) + 2, Math.max(3, height) + 2);
}

/**
 * @param {import("./stream.js").StreamTrack} track
 * @param {import("./types.js").Span} from
 * @param {import("./types.js").Span} to
 */
function connect(track, from, to) {
  const { context } = track;
  const half = (track.laneHeight * 0.74) / 2;
  const [x0, y0] = [track.x(from.stop), from.lane.y - track.element.scrollTop + half];
  const [x1, y1] = [track.x(to.start), to.lane.y - track.element.scrollTop + half];
  const bend = Math.min(80, Math.max(12, Math.abs(x1 - x0) / 2));
  context.globalAlpha = 0.75;
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
  context.stroke();
  context.globalAlpha = 1;
}

/**
 * The earliest and the latest time of a gap, as far as known.
 * @param {import("./types.js").Gap} gap
 */
export function gapSpan(gap) {
  const from = gap.before ?? gap.time;
  return [Math.min(from, gap.after ?? gap.time), Math.max(from, gap.after ?? gap.time)];
}
