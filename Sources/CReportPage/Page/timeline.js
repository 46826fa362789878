// The timeline: the tracks of one or two sides, one time axis, one selection.

class Timeline {
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

  /** Prefixes by the time that their tasks took, over both sides: those that matter get colours. */
  rankPrefixes() {
    this.seconds = new Map();
    for (const side of this.sides) {
      const own = new Float64Array(side.prefixes.length);
      for (const { compute } of side.lanes) {
        for (let i = 0; i < compute.count; i++) own[side.prefix[compute.task[i]]] += compute.stop[i] - compute.start[i];
      }
      side.prefixes.forEach((name, i) => this.seconds.set(name, (this.seconds.get(name) ?? 0) + own[i]));
    }
    this.ranked = [...this.seconds.keys()].sort((a, b) => this.seconds.get(b) - this.seconds.get(a) || (a < b ? -1 : 1));
    this.colourPlace = new Map(this.ranked.map((name, i) => [name, Math.min(i, PALETTE.length)]));
    for (const side of this.sides) {
      side.colourOfPrefix = Uint8Array.from(side.prefixes, (name) => this.colourPlace.get(name));
      side.colourOfAction = side.actions.map((_, i) => PALETTE.length + 2 + Math.min(i, 200));
    }
  }

  prefixColour(name) {
    return PALETTE[this.colourPlace.get(name)] ?? REST;
  }

  actionColour(name) {
    return ACTIONS[name] ?? "#9aa0a6";
  }

  /** What place among the colours a span of a side has. */
  get colourOf() {
    return (side) => {
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
      const states = new StackTrack(this, side, "Tasks by state", small ? 60 : 84, layers, whole, "Tasks in each state over time");
      const stream = new StreamTrack(this, side);
      const given = new StackTrack(this, side, "Given to workers", small ? 40 : 52, workerLayers(side, 0, STATES.processing), (n) => plural(n, "task"), "Tasks that workers had been given, over time");
      const held = new StackTrack(this, side, "Held in memory", small ? 40 : 52, workerLayers(side, 1, STATES.memory), bytes, "Bytes of results that workers held, over time");
      part.append(states.element, stream.element, given.element, held.element);
      this.host.append(part);
      this.streams.push(stream);
      this.tracks.push(states, given, held);
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
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => {
      this.asked = 0;
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

  /** The line at the pointer, through all tracks. */
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
    const chips = shown.map((name) =>
      make("button", { type: "button", class: "chip", "aria-pressed": String(this.alone === name), title: `${name || "(no prefix)"}: ${duration(this.seconds.get(name))}`, onclick: () => this.showAlone(name) },
        swatch(this.prefixColour(name)), make("span", {}, name || "(no prefix)")));
    if (this.ranked.length > shown.length) chips.push(make("span", { class: "chip still" }, swatch(REST), `${this.ranked.length - shown.length} more`));
    const actions = [...new Set(this.sides.flatMap((side) => side.actions.slice(1)))];
    for (const action of actions) chips.push(make("span", { class: "chip still strip" }, swatch(this.actionColour(action)), action));
    if (this.sides.some((side) => side.failures.count)) chips.push(make("span", { class: "chip still" }, swatch(FAILED_COLOUR), "failed"));
    if (this.sides.some((side) => side.gaps.length)) chips.push(make("span", { class: "chip still" }, make("i", { class: "swatch hatch" }), "gap in the log"));
    legend.replaceChildren(...chips);
  }

  // MARK: Selection

  select(side, task, { zoom = false, show = true } = {}) {
    this.selection = { side, task };
    const span = side.keys ? side.spansOf(task).find((span) => span.action === "compute") ?? side.spansOf(task)[0] : null;
    if (span) {
      this.focus = { side, lane: span.lane, at: span.action === "compute" ? span.at : 0 };
      this.streams[side.number].reveal(span.lane);
      const all = side.spansOf(task);
      const [start, stop] = [all[0].start - side.first, Math.max(...all.map((each) => each.stop)) - side.first];
      if (zoom) this.view.showSpan(start, stop);
      else if (start > this.view.to || stop < this.view.from) this.view.glide(start - this.view.length / 2, start + this.view.length / 2);
    }
    if (show) inspector.show(side, task);
    this.redraw();
  }

  let(go = true) {
    this.selection = null;
    if (go) inspector.hide();
    this.redraw();
  }
}

const swatch = (colour) => {
  const element = make("i", { class: "swatch", "aria-hidden": "true" });
  element.style.background = colour;
  return element;
};

function sideTitle(side) {
  const runs = side.runs.map((run) => `run #${run.number}`).join(", ");
  const engines = [...new Set(side.runs.map((run) => `${run.engine} ${run.engineVersion}`))].join(", ");
  return `${side.name} · ${runs} · ${engines}`;
}
