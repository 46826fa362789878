// Joined by join.py from Sources/CReportPage/Page/*.js: change those, not this file.
// Colours, numbers as text, and elements.

const PALETTE = [
  "#4e79a7", "#59a386", "#b07aa1", "#d9b93b", "#76b7c2", "#8a6bbf", "#9c755f", "#7fae4f",
  "#d48fb0", "#3f8fbf", "#a8a15a", "#6f7fd0",
];
const REST = "#8c939c";
const FAILED_COLOUR = "#d13438";
const ACTIONS = { transfer: "#e8853d", "disk-read": "#b5651d", "disk-write": "#b5651d", deserialize: "#9aa0a6" };
const STATES = {
  processing: "#4e79a7", memory: "#59a386", waiting: "#c9b458", queued: "#9d8ec7",
  "no-worker": "#e8853d", erred: FAILED_COLOUR, released: "#a9b0b8",
};
const STATE_ORDER = ["processing", "memory", "waiting", "queued", "no-worker", "erred", "released"];

function rgb(colour) {
  const value = parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function ink(colour) {
  const [r, g, b] = rgb(colour);
  return r * 0.299 + g * 0.587 + b * 0.114 > 150 ? "#1b1a17" : "#ffffff";
}

function pixel([r, g, b]) {
  return (255 << 24) | (b << 16) | (g << 8) | r;
}

function mix(a, b, share) {
  return a.map((value, i) => Math.round(value + (b[i] - value) * share));
}

const CHOICES = { auto: "◐", light: "☀", dark: "☾" };

class Theme {
  choice = "auto";
  surface;
  lane;
  gone;
  line;
  text;
  muted;
  accent;
  gap;
  soft;
  isDark;
  font;
  changed;

  read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    for (const name of ["surface", "lane", "gone", "line", "text", "muted", "accent", "gap", "soft"]) {
      this[(name)] = colour(name);
    }
    this.isDark = colour("scheme") === "dark";
    this.font = `11px ${style.fontFamily}`;
  }

  next() {
    const choices = Object.keys(CHOICES);
    this.set(choices[(choices.indexOf(this.choice) + 1) % choices.length]);
  }

  set(choice) {
    this.choice = choice;
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
    const button = document.getElementById("theme");
    button.textContent = CHOICES[choice];
    button.setAttribute("aria-label", `Colours: ${choice === "auto" ? "as the system" : choice}`);
    button.title = button.getAttribute("aria-label");
    this.read();
    this.changed?.();
  }
}

const theme = new Theme();

// MARK: Numbers

function duration(microseconds) {
  const size = Math.abs(microseconds);
  const sign = microseconds < 0 ? "−" : "";
  const short = (value) =>
    value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  if (size < 1000) return `${sign}${Math.round(size)} µs`;
  if (size < 1e6) return `${sign}${short(size / 1e3)} ms`;
  if (size < 60e6) return `${sign}${short(size / 1e6)} s`;
  const seconds = Math.round(size / 1e6);
  if (seconds < 3600) return `${sign}${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  return `${sign}${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < 4) {
    count /= 1000;
    unit++;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

const whole = (number) => Math.round(number).toLocaleString("en");
const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

function clock(side, time, digits = 3) {
  const text = new Date((side.origin + time) / 1000).toISOString();
  const micro = String(Math.floor((((side.origin + time) % 1e6) + 1e6) % 1e6)).padStart(6, "0");
  return `${text.slice(11, 19)}.${micro.slice(0, digits)}`;
}

function clockState({ isClockUnknown, clockOffset, clockUncertainty }) {
  if (isClockUnknown) return "not measured";
  if (!clockOffset) return "as the scheduler's";
  const way = clockOffset > 0 ? "behind" : "ahead";
  return `${duration(Math.abs(clockOffset) * 1e6)} ${way}, ± ${duration(clockUncertainty * 1e6)}`;
}

function ownClock(side, event) {
  const offset = event.isScheduler || event.worker < 0 ? 0 : side.workers[event.worker].clockOffset;
  return offset
    ? `, by the worker's clock ${new Date((side.origin + event.time) / 1000 - offset * 1000).toISOString()}`
    : "";
}

function steps(length, most) {
  const units = [1, 2, 5];
  for (let scale = 1; scale < 1e7; scale *= 10) {
    for (const unit of units) if (length / (unit * scale) <= most) return unit * scale;
  }
  for (const seconds of [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400]) {
    if (length / (seconds * 1e6) <= most) return seconds * 1e6;
  }
  return 86400e6 * Math.ceil(length / 86400e6 / most);
}

function tick(time, step) {
  if (time === 0) return "0";
  if (step >= 60e6) {
    const minutes = Math.round(time / 60e6);
    return Math.abs(minutes) >= 60
      ? `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`
      : `${minutes} min`;
  }
  if (step >= 1e4 || time >= 1e6) {
    const digits = Math.max(0, Math.ceil(6 - Math.log10(step) - 1e-9));
    return `${(time / 1e6).toFixed(Math.min(6, digits))} s`;
  }
  if (step >= 10) return `${(time / 1e3).toFixed(Math.max(0, Math.ceil(3 - Math.log10(step) - 1e-9)))} ms`;
  return `${Math.round(time)} µs`;
}

// MARK: Elements

function plain(text, isLong = false) {
  const hidden = isLong
    ? /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g
    : /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  return text.replace(hidden, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...content.filter((part) => part !== undefined && part !== null));
  return element;
}

const byID = (id) => document.getElementById(id);

const swatch = (colour) => {
  const element = make("i", { class: "swatch", "aria-hidden": "true" });
  element.style.background = colour;
  return element;
};

// Reads the page's data: columns of numbers in base64, compressed, seven bits a byte.


function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

async function column(side, name) {
  const element = document.getElementById(`${name}-${side}`);
  const bytes = fromBase64(element.textContent);
  element.remove();
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

class Numbers {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  next() {
    const bytes = this.bytes;
    let byte = bytes[this.at++];
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    do {
      byte = bytes[this.at++];
      value += (byte & 127) * scale;
      scale *= 128;
    } while (byte >= 128);
    return value;
  }

  signed() {
    const value = this.next();
    return value % 2 ? -(value + 1) / 2 : value / 2;
  }

  fill(array) {
    for (let i = 0; i < array.length; i++) array[i] = this.next();
    return array;
  }

  sums(array) {
    let sum = 0;
    for (let i = 0; i < array.length; i++) array[i] = sum += this.signed();
    return array;
  }
}

function lowerBound(array, value, from = 0, to = array.length) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (array[middle] < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

const yieldToBrowser = () => new Promise((resolve) => setTimeout(resolve));

const page = JSON.parse(byID("about").textContent);

// Spans of work on one thread.


const OPEN = 2;
const FAILED = 1;

class Row {
  source;
  pyramid = null;

  constructor(count) {
    this.start = new Float64Array(count);
    this.stop = new Float64Array(count);
    this.task = new Int32Array(count);
    this.what = new Uint16Array(count);
    this.reach = this.stop;
  }

  get count() {
    return this.start.length;
  }

  finish() {
    let latest = -Infinity;
    let overlaps = false;
    for (let i = 0; i < this.count; i++) {
      if (this.start[i] < latest) overlaps = true;
      latest = Math.max(latest, this.stop[i]);
    }
    if (!overlaps) return;
    this.reach = new Float64Array(this.count);
    latest = -Infinity;
    for (let i = 0; i < this.count; i++) this.reach[i] = latest = Math.max(latest, this.stop[i]);
  }

  range(from, to) {
    const first = lowerBound(this.reach, from);
    return [first, lowerBound(this.start, to, first)];
  }

  at(time, tolerance) {
    const [first, end] = this.range(time - tolerance, time + tolerance);
    let best = -1;
    let nearest = Infinity;
    for (let i = Math.max(first, end - 2000); i < end; i++) {
      const off = time < this.start[i] ? this.start[i] - time : Math.max(0, time - this.stop[i]);
      // Of several at once the longest is the visible one.
      const score = off - (off === 0 ? this.stop[i] - this.start[i] : 0) * 1e-9;
      if (off <= tolerance && score < nearest) {
        best = i;
        nearest = score;
      }
    }
    return best;
  }
}

// Stories of tasks, and what follows from them: attempts, and the chain that set the run's length.


const STORY_BLOCK = 64;

function indexStories(side) {
  const blocks = Math.ceil(side.count / STORY_BLOCK) + 1;
  const places = new Uint32Array(blocks * 3);
  const kinds = new Numbers(side.storyKinds);
  const steps = side.storySteps;
  const wheres = side.storyWheres;
  let step = 0;
  let where = 0;
  for (let task = 0; task < side.count; task++) {
    if (task % STORY_BLOCK === 0) {
      const at = (task / STORY_BLOCK) * 3;
      places[at] = kinds.at;
      places[at + 1] = step;
      places[at + 2] = where;
    }
    for (let left = side.events[task]; left > 0; left--) {
      if ((kinds.next() & 3) === 2) {
        while (wheres[where++] >= 128);
      }
      while (steps[step++] >= 128);
    }
  }
  return places;
}

function taskStory(side, task) {
  const block = Math.floor(task / STORY_BLOCK);
  const kinds = new Numbers(side.storyKinds, side.storyPlaces[block * 3]);
  const steps = new Numbers(side.storySteps, side.storyPlaces[block * 3 + 1]);
  const wheres = new Numbers(side.storyWheres, side.storyPlaces[block * 3 + 2]);
  for (let other = block * STORY_BLOCK; ; other++) {
    const events = [];
    let time = side.firstTime[other];
    let worker = -1;
    for (let left = side.events[other]; left > 0; left--) {
      const head = kinds.next();
      time += steps.signed();
      if ((head & 3) === 2) worker = wheres.next();
      if (other !== task) continue;
      const [source, hook, start, finish] = side.kinds[head >> 2];
      events.push({ time, isScheduler: source === 0, worker: head & 3 ? worker : -1, hook, start, finish });
    }
    if (other === task) return events;
  }
}

function taskAttempts(side, task) {
  const attempts = [];
  let sent = null;
  let seen = null;
  for (const event of side.story(task)) {
    if (!event.isScheduler || event.hook !== "transition") continue;
    seen ??= event.time;
    if (event.finish === "processing") sent = event.time;
    if (event.start === "processing" && (event.finish === "memory" || event.finish === "erred")) {
      attempts.push(
        { task, seen, sent: sent ?? event.time, done: event.time, finish: event.finish, worker: event.worker });
    }
  }
  return attempts;
}

function criticalPath(side, task, limit = 5000) {
  let last = null;
  if (task === undefined) {
    let latest = -Infinity;
    for (let i = 0; i < side.count; i++) {
      const end = side.lastOutcomes[i];
      if (end >= latest && end > -Infinity) {
        latest = end;
        task = i;
      }
    }
  }
  if (task === undefined) return [];
  last = taskAttempts(side, task).at(-1);
  const chain = [];
  while (last && chain.length < limit) {
    chain.push(last);
    let before = null;
    for (const need of side.needsOf(last.task)) {
      for (const attempt of taskAttempts(side, need)) {
        if (attempt.finish !== "memory" || attempt.done > last.sent) continue;
        if (!before || attempt.done > before.done) before = attempt;
      }
    }
    last = before;
  }
  chain.reverse();
  return chain.map((attempt, place) => attemptPieces(side, attempt, chain[place - 1]));
}

function findLastOutcomes(side) {
  const kinds = new Numbers(side.storyKinds);
  const steps = new Numbers(side.storySteps);
  const isOutcome = side.kinds.map(([source, hook, start, finish]) =>
    source === 0 && hook === "transition" && start === "processing" &&
    (finish === "memory" || finish === "erred"));
  const ends = new Float64Array(side.count).fill(-Infinity);
  for (let task = 0; task < side.count; task++) {
    let time = side.firstTime[task];
    for (let left = side.events[task]; left > 0; left--) {
      const head = kinds.next();
      time += steps.signed();
      if (isOutcome[head >> 2]) ends[task] = time;
    }
  }
  return ends;
}

function attemptPieces(side, attempt, before) {
  const { task, done } = attempt;
  const ready = before ? before.done : attempt.seen;
  const sent = Math.max(attempt.sent, ready);
  const within = (time, low, high) =>
    Math.min(Math.max(time, low), high);
  let [started, stopped, fetchedFrom, fetchedTo] = [null, null, null, null];
  for (const span of side.spansOf(task)) {
    // Of the attempt at hand; what overlaps it by its own clock.
    if (span.outcome === OPEN || span.stop < attempt.sent || span.start > done) continue;
    if (span.action === "compute") {
      started = Math.min(started ?? span.start, span.start);
      stopped = Math.max(stopped ?? span.stop, span.stop);
    } else if (span.action === "transfer") {
      fetchedFrom = Math.min(fetchedFrom ?? span.start, span.start);
      fetchedTo = Math.max(fetchedTo ?? span.stop, span.stop);
    }
  }
  started = within(started ?? sent, sent, done);
  stopped = Math.max(within(stopped ?? done, sent, done), started);
  const pieces = [["wait", ready, sent]];
  if (fetchedTo !== null && within(fetchedTo, sent, started) > within(fetchedFrom, sent, started)) {
    const [from, to] = [within(fetchedFrom, sent, started), within(fetchedTo, sent, started)];
    pieces.push(["queue", sent, from], ["transfer", from, to], ["queue", to, started]);
  } else {
    pieces.push(["queue", sent, started]);
  }
  pieces.push(["compute", started, stopped], ["report", stopped, done]);
  return {
    task, worker: attempt.worker, start: ready, stop: done,
    pieces: pieces.filter(([name, from, to]) => to > from || name === "compute"),
  };
}

// The tracks above and below the task stream: overview, axis, and curves.


const gutter = () => (innerWidth <= 900 ? 104 : 148);

class Track {
  width;

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

  x(time) {
    const { view } = this.timeline;
    return ((time - view.from) / view.length) * this.width;
  }

  draw() {}

  tip(_x) {
    return null;
  }
}

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

class StackTrack extends Track {
  keyNames;

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

  keyOf(layers) {
    const names = layers.map((layer) => layer.name).join();
    if (this.height <= 70 || names === this.keyNames) return;
    this.keyNames = names;
    this.key.replaceChildren(...layers.map((layer) => make("span", {}, swatch(layer.colour), layer.name)));
  }

  edge(context, values, scale, isBack) {
    const y = (x) => this.height - 1 - values[x] * scale;
    const count = values.length;
    for (let i = 0; i < count; i++) {
      const x = isBack ? count - 1 - i : i;
      context.lineTo(isBack ? x + 1 : x, y(x));
      context.lineTo(isBack ? x : x + 1, y(x));
    }
  }

  tip(x) {
    const { view } = this.timeline;
    const time = view.from + (x / this.width) * view.length + this.side.first;
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

function summed(curves, figure) {
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

function workerLayers(side, figure, colour) {
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

class Overview extends Track {
  constructor(timeline, sides) {
    super(timeline, sides[0], "Whole run", 34, "How many tasks were being worked on over the whole run");
    this.sides = sides;
    this.figure.textContent = "drag to choose a part";
    this.canvas.classList.add("overview");
  }

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

  gap(context, time) {
    context.fillStyle = theme.gap;
    context.fillRect(this.x(time) - 1, 0, 2, this.height);
  }
}

class Axis extends Track {
  constructor(timeline, side) {
    super(timeline, side, "", 22, "Time since the beginning of the run");
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

// Figures of a side, for the tiles and tables.


function prefixFigures(side) {
  const rows = side.prefixes.map(
    (name) => ({ name, tasks: 0, done: 0, failed: 0, retried: 0, nbytes: 0, compute: 0, spans: [] }));
  const isFailed = new Set(failedTasks(side));
  for (let task = 0; task < side.count; task++) {
    // 254: the scheduler has not reported it.
    if (side.state[task] === 254 || !side.events[task]) continue;
    const row = rows[side.prefix[task]];
    row.tasks++;
    row.nbytes += side.nbytes[task];
    if (side.sent[task] > 1) row.retried++;
    if (isFailed.has(task)) row.failed++;
  }
  for (const { compute } of side.lanes) {
    for (let i = 0; i < compute.count; i++) {
      if ((compute.what[i] & 3) === OPEN) continue;
      const row = rows[side.prefix[compute.task[i]]];
      const length = compute.stop[i] - compute.start[i];
      row.compute += length;
      row.spans.push(length);
    }
  }
  for (const row of rows) {
    const lengths = Float64Array.from(row.spans).sort();
    row.runs = lengths.length;
    row.median = lengths.length ? lengths[Math.ceil(lengths.length * 0.5) - 1] : null;
    row.high = lengths.length ? lengths[Math.ceil(lengths.length * 0.95) - 1] : null;
    row.most = lengths.length ? lengths.at(-1) : null;
    delete row.spans;
  }
  return rows.filter((row) => row.tasks);
}

function failedTasks(side) {
  const found = side.failures.rows.map(([task]) => task);
  for (const [task] of side.failures.affected) found.push(task);
  const erred = side.states.indexOf("erred");
  for (let task = 0; task < side.count; task++) if (side.state[task] === erred) found.push(task);
  return [...new Set(found)];
}

function totals(side) {
  const prefixes = side.prefixFigures();
  const sum = (name) => prefixes.reduce((total, row) => total + row[name], 0);
  const threads = side.workers.reduce(
    (total, worker) => total + Math.max(worker.nthreads ?? 0, worker.lanes.filter((lane) => lane.known).length), 0);
  let capacity = 0;
  for (const worker of side.workers) {
    const from = worker.joined ?? side.first;
    capacity += Math.max(0, (worker.left ?? side.last) - from) * Math.max(1, worker.nthreads ?? worker.lanes.length);
  }
  let fetched = 0;
  let fetches = 0;
  for (const { others } of side.lanes) {
    for (let i = 0; i < others.count; i++) {
      if (side.actions[others.what[i] >> 2] !== "transfer") continue;
      fetched += others.stop[i] - others.start[i];
      fetches++;
    }
  }
  const held = summed(side.workers.map((worker) => worker.series), 1).values[0].reduce((a, b) => Math.max(a, b), 0);
  return {
    tasks: sum("tasks"), failed: side.failures.count, affected: side.failures.affectedCount,
    compute: sum("compute"), threads, share: capacity ? sum("compute") / capacity : 0,
    fetched, fetches, held, missing: side.gaps.reduce((total, gap) => total + gap.count, 0),
    events: side.runs.reduce((total, run) => total + run.events, 0),
  };
}

function slowestSpans(side, limit) {
  const found = [];
  let least = -1;
  for (const lane of side.lanes) {
    for (const row of [lane.compute, lane.others]) {
      for (let i = 0; i < row.count; i++) {
        const length = row.stop[i] - row.start[i];
        if (length <= least) continue;
        found.push({ lane, row, i, length });
        if (found.length > limit * 4) {
          found.sort((a, b) => b.length - a.length);
          found.length = limit;
          least = found.at(-1).length;
        }
      }
    }
  }
  found.sort((a, b) => b.length - a.length);
  return found.slice(0, limit).map(({ lane, row, i }) => side.span(lane, row, i));
}

function workerFigures(side) {
  return side.workers.map((worker) => {
    let [spans, compute, fetched] = [0, 0, 0];
    for (const lane of worker.lanes) {
      for (let i = 0; i < lane.compute.count; i++) {
        if ((lane.compute.what[i] & 3) === OPEN) continue;
        compute += lane.compute.stop[i] - lane.compute.start[i];
        spans++;
      }
      for (let i = 0; i < lane.others.count; i++) fetched += lane.others.stop[i] - lane.others.start[i];
    }
    const life = (worker.left ?? side.last) - (worker.joined ?? side.first);
    const threads = Math.max(1, worker.nthreads ?? worker.lanes.length);
    const most = (figure) => worker.series.values[figure].reduce((a, b) => Math.max(a, b), 0);
    return {
      worker,
      spans,
      compute,
      fetched,
      share: life > 0 ? compute / life / threads : 0,
      given: most(0),
      held: most(1)
    };
  });
}

// One side of the page: a run, or several that are shown as one.


class Side {
  runs;
  origin;
  first;
  last;
  edgeCount;
  spanCount;
  statePoints;
  stateResolution;
  states;
  actions;
  prefixes;
  types;
  kinds;
  workers;
  orderedWorkers;
  lanes;
  gaps;
  failures;
  detail;
  stateSeries;
  state;
  storyKinds;
  storySteps;
  storyWheres;
  prefix;
  type;
  sent;
  run;
  events;
  needStart;
  dependentStart;
  keyStart;
  spanStart;
  spanLane;
  storyPlaces;
  needs;
  dependents;
  spansByTask;
  nbytes;
  firstTime;
  lastOutcomeTimes;
  keys;
  lowerKeys;
  colourOfPrefix;
  colourOfAction;
  prefixRows;
  totalFigures;

  constructor(number, name, data) {
    Object.assign(this, data);
    this.number = number;
    this.name = name;
    this.count = data.taskCount;
    this.letter = "AB"[number];
    this.length = Math.max(1, data.last - data.first);
    this.prefixes = this.prefixes.map((text) => plain(text));
    this.types = this.types.map((text) => plain(text));
    for (const gap of this.gaps) {
      // A gap can be noticed long after the last recorded event.
      for (const end of (["time", "before", "after"])) {
        if (gap[end] !== null) gap[end] = Math.min(Math.max(gap[end], data.first), data.last);
      }
    }
    this.failures.texts = this.failures.texts.map((text) => plain(text, true));
    this.hasOtherClocks = this.workers.some((worker) => worker.clockOffset || worker.isClockUnknown);
    for (const worker of this.workers) {
      worker.name = plain(worker.name);
      worker.address = plain(worker.address);
      worker.label = /^\d+$/.test(worker.name) ? `worker ${worker.name}` : worker.name || worker.address;
      // A worker that joins at the address of an earlier one is a different worker.
      if (worker.life > 1) worker.label += ` (${worker.life})`;
      worker.lanes = [];
    }
  }

  async readSpans() {
    const [prefix, gap, duration, task, what, source] = await Promise.all(
      ["prefix", "gap", "duration", "task", "what", "source"].map((name) =>
        column(this.number, name)));
    this.prefix = new Numbers(prefix).fill(new Uint32Array(this.count));
    const read = [gap, duration, task, what, source].map((bytes) => new Numbers(bytes));
    for (const lane of this.lanes) {
      this.readLane(lane, read);
      this.workers[lane.worker].lanes.push(lane);
    }
    this.orderLanes();
  }

  orderLanes() {
    const natural = new Intl.Collator("en", { numeric: true });
    const order = this.workers.map((_, place) => place).sort((a, b) => {
      const [one, other] = [this.workers[a], this.workers[b]];
      return natural.compare(one.label, other.label) || (one.joined ?? 0) - (other.joined ?? 0) || a - b;
    });
    this.orderedWorkers = order.map((place) => this.workers[place]);
    this.lanes = this.orderedWorkers.flatMap((worker) => worker.lanes);
    this.lanes.forEach((lane, place) => (lane.place = place));
  }

  readLane(lane, [gap, duration, task, what, source]) {
    const count = lane.count;
    const all = new Row(count);
    all.source = new Int32Array(count);
    let stop = 0;
    let last = 0;
    let computing = 0;
    for (let i = 0; i < count; i++) {
      all.start[i] = stop + gap.signed();
      all.stop[i] = stop = all.start[i] + duration.next();
      all.task[i] = last += task.signed();
      all.what[i] = what.next();
      if (all.what[i] >> 2) all.source[i] = source.next() - 1;
      else computing++;
    }
    lane.compute = new Row(computing);
    lane.others = new Row(count - computing);
    lane.others.source = new Int32Array(count - computing);
    let c = 0;
    let o = 0;
    for (let i = 0; i < count; i++) {
      const isOther = all.what[i] >> 2;
      const row = isOther ? lane.others : lane.compute;
      const at = isOther ? o++ : c++;
      row.start[at] = all.start[i];
      row.stop[at] = all.stop[i];
      row.task[at] = all.task[i];
      row.what[at] = all.what[i];
      if (isOther) row.source[at] = all.source[i];
    }
    lane.compute.finish();
    lane.others.finish();
  }

  async readSeries() {
    const read = new Numbers(await column(this.number, "series"));
    const points = (count, width) => {
      const times = read.sums(new Float64Array(count));
      const values = [];
      for (let i = 0; i < width; i++) values.push(read.sums(new Float64Array(count)));
      return { times, values };
    };
    this.stateSeries = points(this.statePoints, this.states.length - 1);
    for (const worker of this.workers) worker.series = points(worker.points, 2);
  }

  async readTasks() {
    const names = ["nbytes", "type", "state", "sent", "run", "needs", "first", "events"];
    const [nbytes, type, state, sent, run, needs, first, events] = await Promise.all(
      names.map((name) => column(this.number, name)));
    const n = this.count;
    this.nbytes = new Numbers(nbytes).fill(new Float64Array(n));
    this.type = new Numbers(type).fill(new Uint32Array(n));
    this.state = state;
    this.sent = new Numbers(sent).fill(new Uint32Array(n));
    this.run = new Numbers(run).fill(new Uint32Array(n));
    this.firstTime = new Numbers(first).sums(new Float64Array(n));
    this.events = new Numbers(events).fill(new Uint32Array(n));
    this.readNeeds(new Numbers(needs));
    await this.readKeys();
  }

  readNeeds(read) {
    this.needStart = new Uint32Array(this.count + 1);
    const needs = new Int32Array(this.edgeCount);
    let at = 0;
    for (let task = 0; task < this.count; task++) {
      this.needStart[task] = at;
      let last = task;
      for (let left = read.next(); left > 0; left--) needs[at++] = last -= read.signed();
    }
    this.needStart[this.count] = at;
    this.needs = needs.subarray(0, at);
  }

  async readKeys() {
    const bytes = await column(this.number, "key");
    this.keys = new TextDecoder().decode(bytes);
    this.keyStart = new Uint32Array(this.count + 1);
    let at = 0;
    for (let task = 0; task < this.count; task++) {
      this.keyStart[task] = at;
      at = this.keys.indexOf("\0", at) + 1;
    }
    this.keyStart[this.count] = at;
    // Only ASCII letters, so that offsets stay the same.
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] > 64 && bytes[i] < 91) bytes[i] += 32;
    }
    this.lowerKeys = new TextDecoder().decode(bytes);
  }

  async readStories() {
    const names = ["kind", "step", "where"];
    [this.storyKinds, this.storySteps, this.storyWheres] = await Promise.all(
      names.map((name) => column(this.number, name)));
    this.storyPlaces = indexStories(this);
  }

  // MARK: Questions

  key(task) {
    if (!this.keys) return "…";
    return plain(this.keys.slice(this.keyStart[task], this.keyStart[task + 1] - 1)) || "(no events)";
  }

  prefixName(task) {
    return this.prefixes[this.prefix[task]] ?? "";
  }

  stateName(task) {
    const state = this.state[task];
    return this.states[state] ?? "not known";
  }

  needsOf(task) {
    return this.needs.subarray(this.needStart[task], this.needStart[task + 1]);
  }

  dependentsOf(task) {
    if (!this.dependentStart) {
      const start = (this.dependentStart = new Uint32Array(this.count + 1));
      for (const need of this.needs) start[need + 1]++;
      for (let i = 0; i < this.count; i++) start[i + 1] += start[i];
      const next = start.slice();
      this.dependents = new Int32Array(this.needs.length);
      for (let i = 0; i < this.count; i++) {
        for (const need of this.needsOf(i)) this.dependents[next[need]++] = i;
      }
    }
    return this.dependents.subarray(this.dependentStart[task], this.dependentStart[task + 1]);
  }

  spansOf(task) {
    if (!this.spansByTask) this.indexSpans();
    const found = [];
    for (let i = this.spanStart[task]; i < this.spanStart[task + 1]; i++) {
      const lane = this.lanes[this.spanLane[i]];
      const isOther = this.spansByTask[i] < 0;
      const at = isOther ? ~this.spansByTask[i] : this.spansByTask[i];
      found.push(this.span(lane, isOther ? lane.others : lane.compute, at));
    }
    return found.sort((a, b) => a.start - b.start);
  }

  span(lane, row, at) {
    return {
      lane, row, at, start: row.start[at], stop: row.stop[at], task: row.task[at],
      action: this.actions[row.what[at] >> 2], outcome: row.what[at] & 3,
      source: row.source ? row.source[at] : -1,
    };
  }

  indexSpans() {
    const start = (this.spanStart = new Uint32Array(this.count + 1));
    const rows = (visit) => {
      for (const lane of this.lanes) {
        for (let i = 0; i < lane.compute.count; i++) visit(lane, lane.compute.task[i], i);
        for (let i = 0; i < lane.others.count; i++) visit(lane, lane.others.task[i], ~i);
      }
    };
    rows((lane, task) => start[task + 1]++);
    for (let i = 0; i < this.count; i++) start[i + 1] += start[i];
    const next = start.slice();
    this.spansByTask = new Int32Array(this.spanCount);
    this.spanLane = new Uint32Array(this.spanCount);
    rows((lane, task, at) => {
      this.spansByTask[next[task]] = at;
      this.spanLane[next[task]++] = lane.place;
    });
  }

  find(text, limit) {
    let query = text;
    // Characters that are shown as \u202e may be typed or copied like that.
    if (text.includes("\\u") && !this.keys.includes(text)) {
      query = text.replace(/\\u([0-9a-f]{4})/gi, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
    }
    const { shortenedKeys, hashLength, keptLength } = this.detail;
    if (shortenedKeys) {
      const hash = new RegExp(`[0-9a-f]{${hashLength},}`, "g");
      query = query.replace(hash, (digits) => digits.slice(0, keptLength) + "…");
    }
    const isLower = query === query.toLowerCase();
    const haystack = isLower ? this.lowerKeys : this.keys;
    const found = [];
    let count = 0;
    for (let at = haystack.indexOf(query); at >= 0 && count < 100000;) {
      // The last key that begins at this offset or before.
      const task = lowerBound(this.keyStart, at + 1) - 1;
      count++;
      if (found.length < limit) found.push(task);
      at = haystack.indexOf(query, this.keyStart[task + 1]);
    }
    return { found, count };
  }

  // MARK: Stories and figures

  story(task) {
    return taskStory(this, task);
  }

  criticalPath(task) {
    return criticalPath(this, task);
  }

  get lastOutcomes() {
    return (this.lastOutcomeTimes ??= findLastOutcomes(this));
  }

  prefixFigures() {
    return (this.prefixRows ??= prefixFigures(this));
  }

  totals() {
    return (this.totalFigures ??= totals(this));
  }
}

function sideTitle(side) {
  const runs = side.runs.map((run) => `run #${run.number}`).join(", ");
  const engines = [...new Set(side.runs.map((run) => `${run.engine} ${run.engineVersion}`))].join(", ");
  return `${side.name} · ${runs} · ${engines}`;
}

// The part of the time that is in view; both sides of a comparison share it.

class View {
  constructor(length) {
    this.whole = length;
    this.from = 0;
    this.to = length;
    this.changed = () => {};
    this.moving = 0;
  }

  get length() {
    return this.to - this.from;
  }

  set(from, to) {
    const margin = this.whole * 0.02;
    let length = Math.min(Math.max(to - from, 20), this.whole + 2 * margin);
    from = Math.min(Math.max(from + (to - from - length) / 2, -margin), this.whole + margin - length);
    this.from = from;
    this.to = from + length;
    this.changed();
  }

  glide(from, to) {
    cancelAnimationFrame(this.moving);
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.set(from, to);
    const [oldFrom, oldTo] = [this.from, this.to];
    const begun = performance.now();
    const step = (now) => {
      const done = Math.min(1, Math.max(0, (now - begun) / 180));
      const share = 1 - (1 - done) ** 3;
      this.set(oldFrom + (from - oldFrom) * share, oldTo + (to - oldTo) * share);
      if (done < 1) this.moving = requestAnimationFrame(step);
    };
    this.moving = requestAnimationFrame(step);
  }

  stop() {
    cancelAnimationFrame(this.moving);
  }

  zoom(factor, at = (this.from + this.to) / 2, isGliding = false) {
    const from = at - (at - this.from) * factor;
    const to = at + (this.to - at) * factor;
    if (isGliding) this.glide(from, to);
    else this.set(from, to);
  }

  pan(time) {
    this.set(this.from + time, this.to + time);
  }

  fit() {
    const margin = this.whole * 0.005;
    this.glide(-margin, this.whole + margin);
  }

  showSpan(start, stop) {
    const room = Math.max((stop - start) * 1.5, 50);
    this.glide(start - room, stop + room);
  }
}

// The task stream as pixels: a row of colours for each thread, repeated over the height of its lane.
//
// If a thread has more spans in view than pixels, a pyramid is drawn instead: how busy the thread was
// in each interval, and with what most. So the cost of a frame depends on the number of pixels, not on
// the number of tasks.


const LEAST_BUCKETS = 64;

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

  at(pixelTime) {
    const wanted = this.length / pixelTime;
    for (const level of this.levels) if (level.size <= wanted * 2) return level;
    return this.levels.at(-1);
  }
}

class Scanline {
  constructor(width) {
    this.width = width;
    this.busy = new Float32Array(width);
    this.most = new Float32Array(width);
    this.colour = new Uint8Array(width);
    this.flags = new Uint8Array(width);
  }

  clear() {
    this.busy.fill(0);
    this.most.fill(0);
    this.flags.fill(0);
  }

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

class Raster {
  picture;
  pixels;
  line;
  height;

  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.width = 0;
  }

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

  fill(value) {
    this.pixels.fill(value);
  }

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

// Drawn over the task stream: gaps, failures, and the selected task.


function drawGaps(track) {
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

function drawMarks(track) {
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

function drawSelection(track) {
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

function gapSpan(gap) {
  const from = gap.before ?? gap.time;
  return [Math.min(from, gap.after ?? gap.time), Math.max(from, gap.after ?? gap.time)];
}

// The task stream: a lane for each thread of each worker.


class StreamTrack {
  marks;
  gap;
  laneHeight;
  total;
  height;

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
      plural(this.side.spanCount, "span")} of work; the tables below hold the same in words`;
  }

  markFailures() {
    this.marks = new Map();
    for (const [place, [, time, worker]] of this.side.failures.rows.entries()) {
      const lane = worker < 0 ? undefined : this.side.workers[worker].lanes[0];
      const list = this.marks.get(lane) ?? [];
      if (!list.length) this.marks.set(lane, list);
      list.push({ time, place });
    }
  }

  // MARK: Layout

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

  x(time) {
    const { view } = this.timeline;
    return ((time - this.side.first - view.from) / view.length) * this.timeline.width;
  }

  laneAt(y) {
    const at = y + this.element.scrollTop;
    return this.side.lanes.find((lane) => at >= lane.y - 1 && at < lane.y + this.laneHeight + 1);
  }

  isVisible(lane) {
    const top = lane.y - this.element.scrollTop;
    return top < this.height && top + this.laneHeight > 0;
  }

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
      const background = (x) => (x + 1 >= joined && x <= left ? alive : gone);
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
        context.fillStyle = outcome === OPEN ? theme.text : ink(outcome === FAILED ? FAILED_COLOUR : colour);
        context.fillText(text, left + 4, y);
      }
    }
  }

  fitting(text, width) {
    const { context } = this;
    const full = context.measureText(text).width;
    if (full <= width) return text;
    let count = Math.floor((text.length * width) / full) - 1;
    while (count >= 3 && context.measureText(text.slice(0, count) + "…").width > width) count--;
    return count >= 3 ? text.slice(0, count) + "…" : "";
  }

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

// Tables that can be sorted by any column.


const ROWS_AT_ONCE = 300;

function table(caption, columns, rows, options = {}) {
  const { sort = 0, descending = false, act, actLabel } = options;
  const state = { sort, descending, shown: ROWS_AT_ONCE };
  const body = make("tbody");
  const heads = columns.map((column, place) => {
    const button = make("button", { type: "button", onclick: () => {
      state.descending = state.sort === place ? !state.descending : Boolean(column.number);
      state.sort = place;
      fill();
    } }, column.name);
    return make("th", { scope: "col", class: column.number ? "number" : undefined }, button);
  });
  const more = make("button", { type: "button", class: "more", hidden: true, onclick: () => {
    state.shown += 1000;
    fill();
  } });
  function fill() {
    const { get } = columns[state.sort];
    const sorted = rows.map((row) => [get(row), row]);
    sorted.sort(([a], [b]) => {
      if (a === b) return 0;
      // What has no value comes last in both directions.
      if (a === null || a === undefined) return 1;
      if (b === null || b === undefined) return -1;
      return (a < b ? -1 : 1) * (state.descending ? -1 : 1);
    });
    heads.forEach((head, place) => {
      if (place === state.sort) head.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    body.replaceChildren(...sorted.slice(0, state.shown).map(([, row]) => line(row)));
    const left = rows.length - state.shown;
    more.hidden = left <= 0;
    more.textContent = `Show more: ${whole(left)} are left`;
  }
  function line(row) {
    const cells = columns.map((column, place) => {
      const value = column.show ? column.show(column.get(row), row) : column.get(row);
      const content = value instanceof Node ? value : document.createTextNode(value ?? "");
      const cell = make(place === 0 ? "th" : "td", {
        scope: place === 0 ? "row" : undefined,
        class: [column.number ? "number" : "", column.wide ? "wide" : ""].join(" ").trim() || undefined
      });
      if (place === 0 && act)
        cell.append(
          make("button", { type: "button", class: "link", title: actLabel, onclick: () => act(row) }, content));
      else cell.append(content);
      return cell;
    });
    return make("tr", {}, ...cells);
  }
  fill();
  return make("div", { class: "tablebox" },
    make(
      "table", {}, make("caption", { class: "hidden" }, caption), make("thead", {}, make("tr", {}, ...heads)), body),
    more);
}

function bar(text, share, colour) {
  const element = make("span", { class: "bar" }, text);
  element.style.setProperty("--share", `${Math.max(0, Math.min(1, share)) * 100}%`);
  if (colour) element.style.setProperty("--colour", colour);
  return element;
}

// The tables below the timeline.


class Panels {
  timeline;
  side;
  tabs;
  chosen = "prefixes";

  start(timeline) {
    this.timeline = timeline;
    this.side = timeline.sides[0];
    this.tabs = [
      ["prefixes", "Prefixes", () => this.prefixes()], ["slowest", "Slowest", () => this.slowest()],
      ["errors", "Errors", () => this.errors()], ["path", "Critical path", () => this.path()],
      ["workers", "Workers", () => this.workers()], ["about", "About", () => this.about()],
    ];
    const list = byID("tabs");
    for (const [name, title] of this.tabs) {
      const attributes = { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "panel" };
      list.append(make("button", { ...attributes, onclick: () => this.show(name) }, title));
    }
    list.addEventListener("keydown", (event) => {
      const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
      if (!by) return;
      const at = this.tabs.findIndex(([name]) => name === this.chosen);
      const next = this.tabs[(at + by + this.tabs.length) % this.tabs.length][0];
      this.show(next);
      byID(`tab-${next}`).focus();
    });
    if (timeline.sides.length > 1) {
      const box = byID("sides");
      box.hidden = false;
      for (const side of timeline.sides) {
        box.append(make("button", { type: "button", title: sideTitle(side), onclick: () => {
          this.side = side;
          this.show(this.chosen);
        } }, side.letter));
      }
    }
    this.show("prefixes");
  }

  show(name) {
    this.chosen = name;
    for (const [each] of this.tabs) {
      const tab = byID(`tab-${each}`);
      tab.setAttribute("aria-selected", String(each === name));
      tab.tabIndex = each === name ? 0 : -1;
    }
    const errors = byID("tab-errors");
    const count = this.side.failures.count;
    errors.replaceChildren("Errors", ...(count ? [" ", make("b", { class: "count" }, whole(count))] : []));
    const both = this.timeline.sides.length > 1 && (name === "prefixes" || name === "about");
    [...byID("sides").querySelectorAll("button")].forEach((button, place) => {
      button.setAttribute("aria-pressed", String(both || this.side === this.timeline.sides[place]));
      button.disabled = both;
    });
    const panel = byID("panel");
    panel.setAttribute("aria-labelledby", `tab-${name}`);
    panel.replaceChildren(...[this.tabs.find(([each]) => each === name)[2]()].flat());
  }

  key(side, task) {
    return make("code", {}, side.key(task));
  }

  go(side, task) {
    this.timeline.select(side, task, { zoom: true });
  }

  // MARK: Prefixes

  prefixes() {
    const { timeline } = this;
    if (timeline.sides.length > 1) return this.comparison();
    const rows = this.side.prefixFigures();
    const most = Math.max(1, ...rows.map((row) => row.compute));
    return table("Tasks by prefix",
      [
        {
          name: "prefix",
          get: (row) => row.name,
          show: (name) => make("span", { class: "name" }, swatch(timeline.prefixColour(name)), name || "(no prefix)")
        },
        { name: "tasks", number: true, get: (row) => row.tasks, show: whole },
        {
          name: "failed",
          number: true,
          get: (row) => row.failed,
          show: (n) => (n ? make("span", { class: "bad" }, whole(n)) : "0")
        },
        { name: "sent again", number: true, get: (row) => row.retried, show: whole },
        {
          name: "computed",
          number: true,
          get: (row) => row.compute,
          show: (n, row) => bar(duration(n), n / most, timeline.prefixColour(row.name))
        },
        { name: "median", number: true, get: (row) => row.median, show: (n) => (n === null ? "–" : duration(n)) },
        {
          name: "95th percentile",
          number: true,
          get: (row) => row.high,
          show: (n) => (n === null ? "–" : duration(n))
        },
        { name: "longest", number: true, get: (row) => row.most, show: (n) => (n === null ? "–" : duration(n)) },
        { name: "results", number: true, get: (row) => row.nbytes, show: bytes },
      ],
      rows, {
        sort: 4,
        descending: true,
        act: (row) => timeline.showAlone(row.name),
        actLabel: "Show this prefix alone"
      });
  }

  comparison() {
    const { timeline } = this;
    const [a, b] = timeline.sides.map((side) => new Map(side.prefixFigures().map((row) => [row.name, row])));
    const none = { name: "", done: 0, retried: 0, tasks: 0, failed: 0, compute: 0, median: null, nbytes: 0 };
    const rows = [...new Set([...a.keys(), ...b.keys()])].map(
      (name) => ({ name, a: a.get(name) ?? none, b: b.get(name) ?? none }));
    const pair = (title, of, show) => [
      { name: `${title} A`, number: true, get: (row) => of(row.a), show: (n) => (n === null ? "–" : show(n)) },
      { name: `${title} B`, number: true, get: (row) => of(row.b), show: (n) => (n === null ? "–" : show(n)) },
    ];
    const changeText = (n) => {
      const sign = n > 0 ? "+" : n < 0 ? "−" : "";
      const kind = n > 0.05 ? "bad" : n < -0.05 ? "good" : undefined;
      return make("span", { class: kind }, `${sign}${percent(Math.abs(n))}`);
    };
    const change = (row) =>
      (row.a.compute && row.b.compute ? row.b.compute / row.a.compute - 1 : null);
    return table("Tasks by prefix in both runs", [
      {
        name: "prefix",
        get: (row) => row.name,
        show: (name) => make("span", { class: "name" }, swatch(timeline.prefixColour(name)), name || "(no prefix)"),
      },
      ...pair("tasks", (row) => row.tasks, whole), ...pair("failed", (row) => row.failed, whole),
      ...pair("computed", (row) => row.compute, duration),
      { name: "change", number: true, get: change, show: (n) => (n === null ? "–" : changeText(n)) },
      ...pair("median", (row) => row.median, duration), ...pair("results", (row) => row.nbytes, bytes),
    ], rows, {
      sort: 6,
      descending: true,
      act: (row) => timeline.showAlone(row.name),
      actLabel: "Show this prefix alone",
    });
  }

  // MARK: Slowest and path

  slowest() {
    const { side, timeline } = this;
    const rows = slowestSpans(side, 300);
    const most = rows.length ? rows[0].stop - rows[0].start : 1;
    return table("The longest spans of work",
      [
        {
          name: "key",
          wide: true,
          get: (span) => side.key(span.task),
          show: (_, span) => this.key(side, span.task)
        },
        { name: "work", get: (span) => span.action },
        {
          name: "duration",
          number: true,
          get: (span) => span.stop - span.start,
          show: (n, span) => bar(duration(n), n / most,
            span.action === "compute"
              ? timeline.prefixColour(side.prefixName(span.task))
              : timeline.actionColour(span.action))
        },
        { name: "worker", get: (span) => side.workers[span.lane.worker].label },
        { name: "began at", number: true, get: (span) => span.start - side.first, show: duration },
        { name: "result", number: true, get: (span) => side.nbytes[span.task], show: bytes },
      ],
      rows, {
        sort: 2,
        descending: true,
        act: (span) => {
          timeline.select(side, span.task);
          timeline.view.showSpan(span.start - side.first, span.stop - side.first);
        },
        actLabel: "Show it in the timeline"
      });
  }

  path(task) {
    const { side } = this;
    const chain = side.criticalPath(task);
    if (!chain.length) return make("p", { class: "empty" }, "No task came to an end.");
    const sums = {};
    let total = 0;
    for (const step of chain) {
      for (const [name, from, to] of step.pieces) {
        sums[name] = (sums[name] ?? 0) + to - from;
        total += to - from;
      }
    }
    const share = make("div", {
      class: "shares",
      role: "img",
      "aria-label": Object.entries(sums).map(([name, sum]) => `${name} ${percent(sum / total)}`).join(", ")
    },
      ...Object.entries(sums).map(([name, sum]) => {
        const part = make("span", { class: `piece ${name}`, title: `${name}: ${duration(sum)}` },
          sum / total > 0.06 ? `${name} ${percent(sum / total)}` : "");
        part.style.flexGrow = String(sum / total);
        return part;
      }));
    const text = `${plural(chain.length, "task")} and the waits between them set the length${
      task === undefined ? " of the run" : " up to this task"}: ${duration(total)}.`;
    const rows = chain.map((step, place) => ({
      ...step,
      place: place + 1,
      sums: Object.fromEntries(["wait", "queue", "transfer", "compute", "report"].map(
        (name) => [name,
          step.pieces.filter(([each]) => each === name).reduce((sum, [, from, to]) => sum + to - from, 0)]))
    }));
    const column = (name) =>
      ({ name, number: true, get: (step) => step.sums[name], show: (n) => (n ? duration(n) : "–") });
    return [make("p", { class: "lead" }, text), share, table("What set the length of the run", [
      { name: "key", wide: true, get: (step) => side.key(step.task), show: (_, step) => this.key(side, step.task) },
      { name: "step", number: true, get: (step) => step.place, show: whole },
      ...["wait", "queue", "transfer", "compute", "report"].map(column),
      { name: "worker", get: (step) => (step.worker >= 0 ? side.workers[step.worker].label : "") },
    ], rows, { sort: 1, act: (step) => this.go(side, step.task), actLabel: "Show it in the timeline" })];
  }

  // MARK: Errors

  errors() {
    const { side } = this;
    const { rows, texts, count, affectedCount, affected, omittedTexts } = side.failures;
    if (!count)
      return make("p", { class: "empty" },
        affectedCount
          ? `${plural(affectedCount, "task")} failed because of others that are not in this log.`
          : "Nothing failed.");
    const causes = new Map();
    rows.forEach((row, place) => {
      const list = causes.get(row[3]) ?? [];
      if (!list.length) causes.set(row[3], list);
      list.push([place, row]);
    });
    const blocks = [...causes].sort((a, b) => b[1].length - a[1].length).slice(0, 200).map(([text, list], place) => {
      const dependents = list.reduce((sum, [, row]) => sum + row[6], 0);
      const head = make("summary", {},
        make("b", { class: "bad" }, texts[text] ?? "No exception was told: its worker died, or it was given up"),
        make("span", {},
          `${plural(list.length, "task")}${
            dependents ? `, and ${whole(dependents)} that needed ${list.length === 1 ? "it" : "them"}` : ""}`));
      const block = make("details", { open: place === 0 }, head);
      const fill = () => {
        if (block.childElementCount > 1) return;
        const trace = texts[list[0][1][4]];
        if (trace) block.append(make("pre", { tabindex: "0", "aria-label": "Traceback of the first" }, trace));
        block.append(make("ul", { class: "keys" }, ...list.slice(0, 100).map(([, row]) => this.failure(row))));
        if (list.length > 100) block.append(make("p", {}, `and ${whole(list.length - 100)} more`));
        const own = new Set(list.map(([each]) => each));
        const others = affected.filter(([, failure]) => own.has(failure)).slice(0, 100);
        if (others.length)
          block.append(make("h3", {}, "Failed with them"),
            make("ul", { class: "keys" }, ...others.map(([task]) => this.keyItem(task, ""))));
      };
      block.addEventListener("toggle", fill);
      if (place === 0) fill();
      return block;
    });
    const lead = `${plural(count, "task")} failed on ${count === 1 ? "its" : "their"} own${
      affectedCount ? `, ${whole(affectedCount)} because of others` : ""}, of ${plural(causes.size, "cause")}.`;
    const left = [];
    if (causes.size > 200) left.push(`${whole(causes.size - 200)} causes are not shown here.`);
    if (count > rows.length)
      left.push(`${whole(count - rows.length)} failures are only counted in this page; tasklog errors lists them.`);
    if (omittedTexts)
      left.push(`${plural(omittedTexts, "text")} of exceptions found no room in this page; tasklog errors has them.`);
    return [make("p", { class: "lead" }, lead), ...left.map((text) => make("p", { class: "notice" }, text)), ...blocks];
  }

  failure([task, time, worker, , , retries]) {
    const { side } = this;
    const facts = [duration(time - side.first)];
    if (worker >= 0) facts.push(side.workers[worker].label);
    if (retries) facts.push(`tried again ${retries === 1 ? "once" : `${retries} times`}`);
    return this.keyItem(task, facts.join(" · "));
  }

  keyItem(task, facts) {
    const { side } = this;
    return make("li", {},
      make("button", { type: "button", class: "link", onclick: () => this.go(side, task) }, this.key(side, task)),
      " ", make("small", {}, facts));
  }

  // MARK: Workers and about

  workers() {
    const { side } = this;
    const rows = workerFigures(side);
    const clocks = {
      name: "clock", number: true, get: ({ worker }) => worker.clockOffset, show: (_, { worker }) => clockState(worker),
    };
    return table("Workers",
      [
        { name: "worker", get: ({ worker }) => worker.label },
        { name: "address", get: ({ worker }) => worker.address, show: (text) => make("code", {}, text) },
        ...(side.hasOtherClocks ? [clocks] : []),
        { name: "threads", number: true, get: ({ worker }) => worker.nthreads ?? worker.lanes.length },
        {
          name: "joined",
          number: true,
          get: ({ worker }) => worker.joined,
          show: (n) => (n === null ? "–" : duration(n - side.first))
        },
        {
          name: "left",
          number: true,
          get: ({ worker }) => worker.left,
          show: (n) => (n === null ? "–" : duration(n - side.first))
        },
        { name: "spans", number: true, get: (row) => row.spans, show: whole },
        { name: "computed", number: true, get: (row) => row.compute, show: duration },
        { name: "busy", number: true, get: (row) => row.share, show: (n) => bar(percent(n), n, STATES.processing) },
        { name: "transferred", number: true, get: (row) => row.fetched, show: duration },
        { name: "most tasks", number: true, get: (row) => row.given, show: whole },
        { name: "most bytes", number: true, get: (row) => row.held, show: bytes },
      ],
      rows, { sort: 0 });
  }

  about() {
    const facts = [];
    for (const side of this.timeline.sides) {
      const totals = side.totals();
      for (const run of side.runs) {
        facts.push(["Run", `#${run.number} of ${side.name}`], ["Id", run.id],
          [
            "Engine",
            `${run.engine} ${run.engineVersion}, recorded ${
              run.mode === "full" ? "with all marks" : `in mode ${run.mode}`}`
          ],
          ["Started", new Date((side.origin + run.started) / 1000).toISOString()],
          [
            "Ended",
            run.ended === null ? "not yet" : `${new Date((side.origin + run.ended) / 1000).toISOString()}, ${run.end}`
          ],
          ["Events", whole(run.events)]);
      }
      facts.push(["Tasks", `${whole(totals.tasks)}; ${plural(side.spanCount, "span")} of work`]);
      if (totals.missing)
        facts.push([
          "Missing",
          `${plural(totals.missing, "event")} in ${plural(side.gaps.length, "gap")}: ${
              [...new Set(side.gaps.map((gap) => gap.reason))].join("; ")}`
        ]);
      const unknown = side.workers.filter((worker) => worker.isClockUnknown).length;
      if (unknown)
        facts.push([
          "Clocks", `those of ${plural(unknown, "worker")} were not measured: their times are what they said themselves`
        ]);
      for (const text of detailNotes(side)) facts.push(["Left out", text]);
      facts.push(["Curves", `points are ${duration(side.stateResolution)} apart or more`]);
    }
    facts.push(["Written by", `tasklog ${page.version}; needs no network`]);
    return make(
      "dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }
}

const panels = new Panels();

function detailNotes(side) {
  const { shortenedKeys, omittedEvents, omits, keptLength } = side.detail;
  const notes = [];
  if (shortenedKeys)
    notes.push(`The hashes in ${plural(shortenedKeys, "key")} are shortened to ${
      keptLength} digits, so that this page stays one that can be sent.`);
  if (omittedEvents)
    notes.push(`Stories are without ${plural(omittedEvents, "event")} ${
      omits === "stimuli" ? "of what set workers off" : "of workers"}; tasklog story has them.`);
  return notes;
}

// One task: its facts, its dependencies, and its story.


class Inspector {
  isShown = false;
  before;
  side;
  task;
  element;

  show(side, task, focuses = false) {
    this.side = side;
    this.task = task;
    if (!this.element) this.build();
    if (!this.isShown) this.before = document.activeElement;
    this.isShown = true;
    this.element.hidden = false;
    document.body.classList.add("inspecting");
    this.fill();
    if (focuses) this.element.focus();
  }

  hide() {
    if (!this.isShown) return;
    this.isShown = false;
    this.element.hidden = true;
    document.body.classList.remove("inspecting");
    if (this.element.contains(document.activeElement)) (this.before)?.focus?.();
  }

  build() {
    this.element = make("aside", { id: "inspector", tabindex: "-1", "aria-label": "Story of a task", hidden: true });
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      this.hide();
      panels.timeline.deselect(false);
      byID("tracks").focus();
    });
    document.body.append(this.element);
  }

  fill() {
    const { side, task } = this;
    const timeline = panels.timeline;
    const head = make("div", { class: "head" },
      make("h2", {}, make("code", {}, side.key(task))),
      make("button", { type: "button", class: "plain", "aria-label": "Close", onclick: () => {
        this.hide();
        timeline.deselect(false);
      } }, "✕"));
    const parts = [head];
    if (!side.storyPlaces) {
      parts.push(make("p", { role: "status" }, "Reading its story…"));
    } else {
      parts.push(this.facts(), this.acts(), this.failure(), this.list("Needs", side.needsOf(task)),
        this.list("Needed by", side.dependentsOf(task)), this.story());
    }
    this.element.replaceChildren(...parts.filter(Boolean));
    this.element.scrollTop = 0;
  }

  facts() {
    const { side, task } = this;
    const spans = side.spansOf(task);
    const facts = [
      [
        "prefix",
        make("span", { class: "name" }, swatch(panels.timeline.prefixColour(side.prefixName(task))),
          side.prefixName(task))
      ],
      [
        "state",
        make(
          "span", {}, side.stateName(task) === "erred" ? make("b", { class: "bad" }, "erred") : side.stateName(task))
      ],
    ];
    if (side.runs.length > 1) facts.push(["run", `#${side.runs[side.run[task]].number}`]);
    if (side.nbytes[task])
      facts.push(
        ["result", `${bytes(side.nbytes[task])}${side.type[task] ? ` · ${side.types[side.type[task] - 1]}` : ""}`]);
    for (const span of spans.slice(0, 12)) {
      const from = span.source >= 0 ? ` from ${side.workers[span.source].label}` : "";
      const least = span.outcome === OPEN ? "at least " : "";
      const end = span.outcome === FAILED ? ", failed" : span.outcome === OPEN ? ", its end is not in the log" : "";
      const where = side.workers[span.lane.worker].label;
      facts.push([span.action, `${least}${duration(span.stop - span.start)} on ${where}${from}${end}`]);
    }
    if (spans.length > 12) facts.push(["", `and ${plural(spans.length - 12, "more span")}`]);
    return make(
      "dl", { class: "facts" }, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  }

  acts() {
    const { side, task } = this;
    const timeline = panels.timeline;
    const act = (text, run) =>
      make("button", { type: "button", onclick: run }, text);
    return make("div", { class: "acts" },
      act("Zoom to it", () => timeline.select(side, task, { zoom: true, show: false })),
      act("Chain to it", () => {
        panels.side = side;
        panels.show("path");
        byID("panel").replaceChildren(...[panels.path(task)].flat());
        byID("details").scrollIntoView({ block: "nearest" });
      }));
  }

  failure() {
    const { side, task } = this;
    const row = side.failures.rows.filter(([each]) => each === task).at(-1);
    const cause = side.failures.affected.find(([each]) => each === task);
    if (row) {
      const [exception, traceback] = [side.failures.texts[row[3]], side.failures.texts[row[4]]];
      return make("section", { class: "failure" },
        make("b", { class: "bad" }, exception ?? "Failed without an exception"),
        ...(traceback ? [make("pre", { tabindex: "0" }, traceback)] : []));
    }
    if (!cause) return null;
    const blamed = side.failures.rows[cause[1]][0];
    return make("section", { class: "failure" }, make("b", { class: "bad" }, "Failed because of "), this.link(blamed));
  }

  link(task) {
    return make("button", { type: "button", class: "link", onclick: () => panels.timeline.select(this.side, task) },
      make("code", {}, this.side.key(task)));
  }

  list(title, tasks) {
    if (!tasks.length) return null;
    const items = [...tasks.slice(0, 30)].map((task) => make("li", {}, this.link(task)));
    if (tasks.length > 30) items.push(make("li", {}, `and ${whole(tasks.length - 30)} more`));
    return make("details", { open: tasks.length <= 6 },
      make("summary", {}, `${title} `, make("b", { class: "count" }, whole(tasks.length))),
      make("ul", { class: "keys" }, ...items));
  }

  story() {
    const { side, task } = this;
    let before = null;
    const events = side.story(task);
    const rows = events.slice(0, 2000).map((event) => {
      const after = before === null ? "" : `${event.time >= before ? "+" : ""}${duration(event.time - before)}`;
      before = event.time;
      const worker = event.worker >= 0 ? side.workers[event.worker].label : "";
      const what = event.hook === "transition"
        ? make("span", {}, state(event.start), " → ", state(event.finish))
        : make("span", { class: "mark" }, event.hook);
      return make("tr", { class: event.isScheduler ? "scheduler" : "worker" },
        make("td", { class: "number", title: clock(side, event.time, 6) + ownClock(side, event) },
          seconds(event.time - side.first)),
        make("td", { class: "number soft" }, after), make("td", {}, event.isScheduler ? "scheduler" : worker),
        make("td", {}, what, event.isScheduler && worker ? make("span", { class: "soft" }, ` on ${worker}`) : null));
    });
    const notes = [];
    if (side.detail.omittedEvents) notes.push(make("p", { class: "soft" }, detailNotes(side).at(-1)));
    if (events.length > 2000)
      notes.push(make("p", { class: "soft" }, `and ${whole(events.length - 2000)} more events`));
    return make("section", {}, make("h3", {}, "Story"),
      make("div", { class: "tablebox" },
        make("table", { class: "story" },
          make("caption", { class: "hidden" }, "Events about this task, cause before effect"),
          make("thead", {},
            make("tr", {},
              ...["at", "after", "seen by", "what"].map(
                (name, i) => make("th", { scope: "col", class: i < 2 ? "number" : undefined }, name)))),
          make("tbody", {}, ...rows))),
      ...notes);
  }
}

const inspector = new Inspector();

function state(name) {
  const element = make("span", { class: "state" }, name || "–");
  const colour = STATES[{ error: "erred", executing: "processing", "long-running": "processing" }[name] ?? name];
  if (colour) element.style.setProperty("--colour", colour);
  return element;
}

const seconds = (time) => `${(time / 1e6).toFixed(time < 1e6 ? 6 : 4)} s`;

// The timeline: the tracks of one or two sides, one time axis, one selection.


class Timeline {
  seconds;
  colourPlace;
  ranked;
  tables;
  tracks;
  streams;
  overview;
  axis;
  width;
  requested;
  focus;
  selection;
  alone;
  cursor;
  frames;

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

  rankPrefixes() {
    this.seconds = new Map();
    for (const side of this.sides) {
      const own = new Float64Array(side.prefixes.length);
      for (const { compute } of side.lanes) {
        for (let i = 0; i < compute.count; i++) own[side.prefix[compute.task[i]]] += compute.stop[i] - compute.start[i];
      }
      side.prefixes.forEach((name, i) => this.seconds.set(name, (this.seconds.get(name) ?? 0) + own[i]));
    }
    this.ranked =
      [...this.seconds.keys()].sort((a, b) => this.seconds.get(b) - this.seconds.get(a) || (a < b ? -1 : 1));
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
      const states =
        new StackTrack(this, side, "Tasks by state", small ? 60 : 84, layers, whole, "Tasks in each state over time");
      const stream = new StreamTrack(this, side);
      const given =
        new StackTrack(this, side, "Given to workers", small ? 40 : 52, workerLayers(side, 0, STATES.processing),
          (n) => plural(n, "task"), "Tasks that workers had been given, over time");
      const held = new StackTrack(this, side, "Held in memory", small ? 40 : 52, workerLayers(side, 1, STATES.memory),
        bytes, "Bytes of results that workers held, over time");
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

  deselect(isClosing = true) {
    this.selection = null;
    if (isClosing) inspector.hide();
    this.redraw();
  }
}

// Pointer, wheel and keys on the timeline.


class PointerController {
  drag;
  hasHinted;

  constructor(timeline) {
    this.timeline = timeline;
    this.host = timeline.host;
    this.pointers = new Map();
    this.drag = null;
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

  place(event) {
    const target = (event.target);
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
      target: (event.target)
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

  showBand(from, to) {
    const box = this.host.getBoundingClientRect();
    this.band.hidden = false;
    this.band.style.left = `${Math.min(from, to) - box.left}px`;
    this.band.style.width = `${Math.abs(to - from)}px`;
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    const { drag } = this;
    this.drag = null;
    this.band.hidden = true;
    if (!drag || drag.kind === "pinch") return;
    if (drag.kind === "band" && drag.moved) {
      const { view, width } = this.timeline;
      const left = drag.target.getBoundingClientRect().left;
      const time = (x) => drag.from + ((x - left) / width) * (drag.to - drag.from);
      view.glide(time(Math.min(drag.x, event.clientX)), time(Math.max(drag.x, event.clientX)));
    } else if (!drag.moved) {
      this.click(drag.place);
    }
  }

  click({ track, x, y, time }) {
    if (track instanceof Overview) {
      const { view } = this.timeline;
      const at = (x / this.timeline.width) * view.whole;
      return view.glide(at - view.length / 2, at + view.length / 2);
    }
    if (!(track instanceof StreamTrack)) return;
    const span = this.spanAt(track, y, time);
    if (span) this.timeline.select(track.side, span.task);
    else this.timeline.deselect();
  }

  twice(event) {
    const place = this.place(event);
    if (!place || !(place.track instanceof StreamTrack)) return;
    const span = this.spanAt(place.track, place.y, place.time);
    if (span) this.timeline.view.showSpan(span.start - place.track.side.first, span.stop - place.track.side.first);
  }

  spanAt(track, y, time) {
    const lane = track.laneAt(y);
    if (!lane) return null;
    const { side } = track;
    const tolerance = (this.timeline.view.length / this.timeline.width) * 3;
    const at = (row) => {
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
    } else tip.hide();
  }

  gapAt(track, { y, time }) {
    const lane = track.laneAt(y);
    const slack = (this.timeline.view.length / this.timeline.width) * 4;
    return track.side.gaps.find((gap) => {
      const [from, to] = gapSpan(gap);
      const at = time + track.side.first;
      return at >= from - slack && at <= to + slack && (gap.worker === null || lane?.worker === gap.worker);
    });
  }

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

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { timeline } = this;
    const { view } = timeline;
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

  go(side, lane, at) {
    if (at < 0 || at >= lane.compute.count) return;
    const task = lane.compute.task[at];
    this.timeline.select(side, task, { show: inspector.isShown });
    this.timeline.focus = { side, lane, at };
    const span = side.span(lane, lane.compute, at);
    byID("spoken").textContent = `${side.key(task)}, ${duration(span.stop - span.start)} on ${
      side.workers[lane.worker].label}${span.outcome === FAILED ? ", failed" : ""}`;
  }
}

// MARK: Tooltips

const tip = {
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

function spanTip(side, span, timeline) {
  const worker = side.workers[span.lane.worker];
  const isCompute = span.action === "compute";
  const rows = [
    [isCompute ? side.prefixName(span.task) || "compute" : span.action, duration(span.stop - span.start),
      isCompute ? timeline.prefixColour(side.prefixName(span.task)) : timeline.actionColour(span.action)],
    ["worker", worker.label],
    ["from", tick(Math.round(span.start - side.first), timeline.view.length / 1000)],
  ];
  if (span.outcome === FAILED) rows.push(["failed", "", FAILED_COLOUR]);
  if (span.outcome === OPEN) rows.push(["its end is not in the log", ""]);
  if (span.source >= 0) rows.push(["data from", side.workers[span.source].label]);
  if (side.nbytes && isCompute && side.nbytes[span.task]) rows.push(["result", bytes(side.nbytes[span.task])]);
  const pixelTime = timeline.view.length / timeline.width;
  const [first, end] = span.row.range(span.start - pixelTime, span.start + pixelTime);
  return {
    title: side.key(span.task),
    rows,
    more: end - first > 2 ? `and ${end - first - 1} more at this place; zoom in` : ""
  };
}

function gapTip(side, gap) {
  return {
    title: `Gap: ${plural(gap.count, "event")} missing`,
    rows: [["why", gap.reason], ["of", gap.worker === null ? "the scheduler" : side.workers[gap.worker].label]],
  };
}

// Finding keys.


const MATCHES = 60;

class Search {
  constructor(timeline) {
    this.timeline = timeline;
    this.input = (byID("search"));
    this.box = byID("found");
    this.list = byID("matches");
    this.chosen = -1;
    this.matches = [];
    this.input.addEventListener("input", () => this.find());
    this.input.addEventListener("focus", () => this.input.value && this.find());
    this.input.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", (event) => {
      if (!(event.target instanceof Element && event.target.closest(".find"))) this.close();
    });
    document.addEventListener("keydown", (event) => {
      const { target } = event;
      const isTyping = target instanceof Element && target.closest("input, textarea, dialog");
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") {
        event.preventDefault();
        this.input.focus();
        this.input.select();
      } else if (event.key === "?") {
        (byID("help")).showModal();
      }
    });
  }

  find() {
    const text = this.input.value;
    if (!text) return this.close();
    this.matches = [];
    let count = 0;
    for (const side of this.timeline.sides) {
      if (!side.keys) continue;
      const found = side.find(text, MATCHES);
      count += found.count;
      for (const task of found.found) this.matches.push([side, task]);
    }
    this.matches.length = Math.min(this.matches.length, MATCHES);
    const isReady = this.timeline.sides.every((side) => side.keys);
    byID("found-count").textContent = isReady ? this.countText(count) : "Still reading the keys…";
    this.list.replaceChildren(...this.matches.map(([side, task], place) => this.option(side, task, text, place)));
    this.box.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.choose(this.matches.length ? 0 : -1);
  }

  countText(count) {
    if (count === 0) return "No key has this in it.";
    const first = count > this.matches.length ? `, the first ${this.matches.length}` : "";
    return `${plural(count, "key")}${count >= 100000 ? " or more" : ""}${first}`;
  }

  option(side, task, text, place) {
    const key = side.key(task);
    const at = key.toLowerCase().indexOf(text.toLowerCase());
    const shown = make("code", {});
    if (at >= 0)
      shown.append(key.slice(0, at), make("mark", {}, key.slice(at, at + text.length)), key.slice(at + text.length));
    else shown.append(key);
    const element = make("li", { role: "option", id: `match-${place}`, "aria-selected": "false" },
      ...(this.timeline.sides.length > 1 ? [make("b", { class: "letter" }, side.letter)] : []),
      swatch(this.timeline.prefixColour(side.prefixName(task))), shown, make("small", {}, side.stateName(task)));
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      this.choose(place);
      this.go();
    });
    return element;
  }

  choose(place) {
    this.chosen = place;
    [...this.list.children].forEach((element, each) => element.setAttribute("aria-selected", String(each === place)));
    if (place < 0) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", `match-${place}`);
    this.list.children[place].scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by && this.matches.length) {
      event.preventDefault();
      this.choose((this.chosen + by + this.matches.length) % this.matches.length);
    } else if (event.key === "Enter" && this.chosen >= 0) {
      event.preventDefault();
      this.go();
    } else if (event.key === "Escape") {
      if (this.box.hidden) this.input.blur();
      this.close();
    }
  }

  go() {
    if (this.chosen < 0) return;
    const [side, task] = this.matches[this.chosen];
    this.close();
    this.timeline.select(side, task, { zoom: true });
  }

  close() {
    this.box.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }
}

// Builds the page: first what is visible, then what can be looked up.


function tiles(sides) {
  const tile = (name, of, note, isBad = () => false) => {
    const lines = sides.map((side) => make("div", { class: "value" },
      ...(sides.length > 1 ? [make("b", { class: "letter" }, side.letter)] : []),
      make("strong", { class: isBad(side) ? "bad" : undefined }, of(side)),
      make("small", {}, note(side))));
    return make("div", { class: sides.length > 1 ? "tile both" : "tile" }, make("span", {}, name), ...lines);
  };
  const ends = { closed: "", died: "died", running: "still running" };
  const shown = [
    tile("Duration", (side) => duration(side.length),
      (side) => side.runs.map((run) => ends[run.end]).filter(Boolean).join(", ")
        || clock(side, side.first, 0).replace(/\.$/, "") + " UTC",
      (side) => side.runs.some((run) => run.end === "died")),
    tile("Tasks", (side) => whole(side.totals().tasks), (side) => `${whole(side.totals().events)} events`),
    tile("Failed", (side) => whole(side.totals().failed), (side) => {
      const { failed, affected } = side.totals();
      return affected ? `and ${whole(affected)} with them` : failed ? "on their own" : "none";
    }, (side) => side.totals().failed > 0),
    tile("Workers", (side) => whole(side.workers.length), (side) => plural(side.totals().threads, "thread")),
    tile("Busy", (side) => percent(side.totals().share), (side) => `${duration(side.totals().compute)} computed`),
    tile("Transfers", (side) => duration(side.totals().fetched), (side) => plural(side.totals().fetches, "transfer")),
    tile("Held at most", (side) => bytes(side.totals().held), () => "results in memory"),
  ];
  if (sides.some((side) => side.totals().missing)) {
    shown.push(tile("Missing", (side) => whole(side.totals().missing),
      (side) => (side.gaps.length ? `events in ${plural(side.gaps.length, "gap")}` : ""),
      (side) => side.totals().missing > 0));
  }
  byID("tiles").replaceChildren(...shown);
}

function titles(sides) {
  const names = sides.map(sideTitle);
  const text = sides.length > 1 ? `${sides[0].name} beside ${sides[1].name}` : sides[0].name;
  byID("title").textContent = text;
  const start = (side) =>
    new Date((side.origin + side.first) / 1000).toISOString().slice(0, 19).replace("T", " ");
  byID("subtitle").textContent = sides.length > 1
    ? sides.map((side) => `${side.letter}: ${side.runs.map((run) => `run #${run.number}`).join(", ")}`).join("   ")
    : `${names[0].split(" · ").slice(1).join(" · ")} · ${start(sides[0])} UTC`;
  document.title = `${text} · tasklog`;
}

async function start() {
  theme.set("auto");
  byID("theme").addEventListener("click", () => theme.next());
  byID("help-button").addEventListener("click", () => (byID("help")).showModal());
  const sides = page.names.map((name, place) =>
    new Side(place, plain(name), JSON.parse(byID(`document-${place}`).textContent)));
  titles(sides);
  byID("notices").replaceChildren(
    ...sides.flatMap((side) => detailNotes(side)).map((text) => make("p", { class: "notice" }, text)));
  for (const side of sides) {
    await side.readSpans();
    await side.readSeries();
  }
  const timeline = new Timeline(sides);
  const repaint = () => {
    timeline.readColours();
    timeline.drawLegend();
    timeline.layout();
  };
  theme.changed = repaint;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    theme.read();
    repaint();
  });
  new PointerController(timeline);
  const acts = {
    in: () => timeline.view.zoom(0.5, undefined, true),
    out: () => timeline.view.zoom(2, undefined, true),
    fit: () => timeline.view.fit(),
  };
  for (const button of (document.querySelectorAll("[data-do]"))) {
    button.addEventListener("click", acts[button.dataset.do]);
  }
  await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  const painted = performance.now();
  byID("loading").textContent = "The tables follow…";
  for (const side of sides) {
    await yieldToBrowser();
    await side.readTasks();
  }
  const search = new Search(timeline);
  tiles(sides);
  await yieldToBrowser();
  for (const side of sides) await side.readStories();
  panels.start(timeline);
  timeline.redraw();
  byID("loading").hidden = true;
  document.documentElement.dataset.ready = "true";
  // For tests and benchmarks of the page.
  window.tasklogReport = { timeline, sides, panels, inspector, search, theme, painted, ready: performance.now() };
}

start().catch((error) => {
  byID("loading").textContent = `This page cannot be read: ${error.message}. It needs a browser of 2023 or later.`;
  throw error;
});
