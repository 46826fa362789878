// What is drawn over the task stream: gaps, failures, and the task that is selected.

/** Where the log is known to have a hole: over the lanes of the source that it is in. */
StreamTrack.prototype.drawGaps = function () {
  const { context } = this;
  for (const gap of this.side.gaps) {
    const lanes = gap.worker === null ? this.side.lanes : this.side.workers[gap.worker].lanes;
    const top = (lanes[0]?.y ?? 0) - this.element.scrollTop;
    const bottom = (lanes.at(-1)?.y ?? this.height - this.laneHeight) + this.laneHeight - this.element.scrollTop;
    const [from, to] = gapSpan(gap);
    const x = this.x(from) - 1;
    const width = Math.max(3, this.x(to) - x + 1);
    if (x > this.timeline.width || x + width < 0) continue;
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
    for (let line = left - (left % 7) - (bottom - top); line < Math.min(x + width, this.timeline.width); line += 7) {
      context.moveTo(line, bottom);
      context.lineTo(line + bottom - top, top);
    }
    context.stroke();
    context.restore();
    context.strokeStyle = theme.gap;
    context.strokeRect(x + 0.5, top + 0.5, width - 1, bottom - top - 1);
  }
};

StreamTrack.prototype.drawMarks = function () {
  const { context } = this;
  context.fillStyle = FAILED_COLOUR;
  context.strokeStyle = theme.surface;
  for (const [lane, list] of this.marks) {
    if (lane && !this.isVisible(lane)) continue;
    const y = lane ? lane.y - this.element.scrollTop : 0;
    let last = -Infinity;
    const size = Math.max(3.5, Math.min(5, this.laneHeight / 3));
    for (const { time } of list) {
      const x = this.x(time);
      if (x < -5 || x > this.timeline.width + 5 || x - last < 3) continue;
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
};

StreamTrack.prototype.drawSelection = function () {
  const { selection } = this.timeline;
  if (!selection || selection.side !== this.side || !this.side.keys) return;
  const { context } = this;
  const own = this.side.spansOf(selection.task);
  context.strokeStyle = theme.text;
  context.lineWidth = 2;
  for (const span of own) this.outline(span);
  context.lineWidth = 1.25;
  context.strokeStyle = theme.accent;
  const first = own.find((span) => span.action === "compute");
  if (first && this.side.needs) {
    for (const need of this.side.needsOf(selection.task).slice(0, 200)) {
      const from = this.side.spansOf(need).filter((span) => span.action === "compute").at(-1);
      if (from) this.connect(from, first);
    }
    for (const other of this.side.dependentsOf(selection.task).slice(0, 200)) {
      const to = this.side.spansOf(other).find((span) => span.action === "compute");
      if (to) this.connect(own.filter((span) => span.action === "compute").at(-1), to);
    }
  }
  context.lineWidth = 1;
};

StreamTrack.prototype.outline = function (span) {
  const y = span.lane.y - this.element.scrollTop;
  const split = (this.laneHeight - 1) * (span.lane.others.count ? 0.74 : 1);
  const isCompute = span.action === "compute";
  const x = this.x(span.start);
  const width = Math.max(4, this.x(span.stop) - x);
  const top = isCompute ? y : y + split;
  const height = isCompute ? split : this.laneHeight - split;
  this.context.strokeRect(Math.max(-5, x) - 1, top - 1, Math.min(width, this.timeline.width + 10 - Math.max(-5, x)) + 2, Math.max(3, height) + 2);
};

StreamTrack.prototype.connect = function (from, to) {
  const { context } = this;
  const half = (this.laneHeight * 0.74) / 2;
  const [x0, y0] = [this.x(from.stop), from.lane.y - this.element.scrollTop + half];
  const [x1, y1] = [this.x(to.start), to.lane.y - this.element.scrollTop + half];
  const bend = Math.min(80, Math.max(12, Math.abs(x1 - x0) / 2));
  context.globalAlpha = 0.75;
  context.beginPath();
  context.moveTo(x0, y0);
  context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
  context.stroke();
  context.globalAlpha = 1;
};

/** From when to when a hole reaches, as far as that is known. */
function gapSpan(gap) {
  const from = gap.before ?? gap.time;
  return [Math.min(from, gap.after ?? gap.time), Math.max(from, gap.after ?? gap.time)];
}
