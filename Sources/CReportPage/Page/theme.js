// Colours, numbers as text, and elements.

/** For prefixes, in the order of their total time; red and orange have other meanings. */
export const PALETTE = [
  "#4e79a7", "#59a386", "#b07aa1", "#d9b93b", "#76b7c2", "#8a6bbf", "#9c755f", "#7fae4f",
  "#d48fb0", "#3f8fbf", "#a8a15a", "#6f7fd0",
];
export const REST = "#8c939c";
export const FAILED_COLOUR = "#d13438";
/** @type {Record<string, string>} */
export const ACTIONS = { transfer: "#e8853d", "disk-read": "#b5651d", "disk-write": "#b5651d", deserialize: "#9aa0a6" };
/** @type {Record<string, string>} */
export const STATES = {
  processing: "#4e79a7", memory: "#59a386", waiting: "#c9b458", queued: "#9d8ec7",
  "no-worker": "#e8853d", erred: FAILED_COLOUR, released: "#a9b0b8",
};
/** Of the classes of the time of threads, in the order of the document. */
export const CLASSES = [
  "#4e79a7", "#76b7c2", "#4e79a7", "#9aa0a6", "#8a6bbf", "#6f7fd0", "#d48fb0", "#b5651d", "#e8853d", "#d9b93b",
  "#b07aa1", "#c4c9cf", "#a8a15a", "#5b626a",
];
/** From the bottom of the chart to its top. */
export const STATE_ORDER = ["processing", "memory", "waiting", "queued", "no-worker", "erred", "released"];

/** @param {string} colour */
export function rgb(colour) {
  const value = parseInt(colour.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/**
 * The colour of text that can be read on a colour.
 * @param {string} colour
 */
export function ink(colour) {
  const [r, g, b] = rgb(colour);
  return r * 0.299 + g * 0.587 + b * 0.114 > 150 ? "#1b1a17" : "#ffffff";
}

/**
 * A pixel as it is in the memory of a canvas.
 * @param {import("./types.js").RGB} colour
 */
export function pixel([r, g, b]) {
  return (255 << 24) | (b << 16) | (g << 8) | r;
}

/**
 * @param {import("./types.js").RGB} a
 * @param {import("./types.js").RGB} b
 * @param {number} share
 */
export function mix(a, b, share) {
  return a.map((value, i) => Math.round(value + (b[i] - value) * share));
}

/**
 * What the page can be set to, and the text of its button.
 * @type {Record<string, string>}
 */
const CHOICES = { auto: "◐", light: "☀", dark: "☾" };

export class Theme {
  choice = "auto";
  /** @type {string} */
  surface;
  /** @type {string} */
  lane;
  /** @type {string} */
  gone;
  /** @type {string} */
  line;
  /** @type {string} */
  text;
  /** @type {string} */
  muted;
  /** @type {string} */
  accent;
  /** @type {string} */
  gap;
  /** @type {string} */
  soft;
  /** @type {string} */
  bad;
  /** @type {boolean} */
  isDark;
  /** @type {string} */
  font;
  /** Called when the colours change.
   * @type {() => void} */
  changed;

  /** Reads the colours of the style sheet, for canvases. */
  read() {
    const style = getComputedStyle(document.documentElement);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
    for (const name of ["surface", "lane", "gone", "line", "text", "muted", "accent", "gap", "soft", "bad"]) {
      this[/** @type {"surface"} */ (name)] = colour(name);
    }
    this.isDark = colour("scheme") === "dark";
    this.font = `11px ${style.fontFamily}`;
  }

  next() {
    const choices = Object.keys(CHOICES);
    this.set(choices[(choices.indexOf(this.choice) + 1) % choices.length]);
  }

  /** @param {string} choice */
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

export const theme = new Theme();

// MARK: Numbers

/**
 * A duration in microseconds, as text with a suitable unit.
 * @param {number} microseconds
 */
export function duration(microseconds) {
  const size = Math.abs(microseconds);
  const sign = microseconds < 0 ? "−" : "";
  const short = (/** @type {number} */ value) =>
    value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
  if (size < 1000) return `${sign}${Math.round(size)} µs`;
  if (size < 1e6) return `${sign}${short(size / 1e3)} ms`;
  if (size < 60e6) return `${sign}${short(size / 1e6)} s`;
  const seconds = Math.round(size / 1e6);
  if (seconds < 3600) return `${sign}${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  return `${sign}${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** @param {number} count */
export function bytes(count) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1024 && unit < 4) {
    count /= 1024;
    unit++;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

/** @param {number} number */
export const whole = (number) => Math.round(number).toLocaleString("en");
/**
 * @param {number} count
 * @param {string} noun
 */
export const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
/** @param {number} share */
export const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

/**
 * A time of the run by the clock.
 * @param {import("./side.js").Side} side
 * @param {number} time
 * @param {number} [digits]
 */
export function clock(side, time, digits = 3) {
  const text = new Date((side.origin + time) / 1000).toISOString();
  const micro = String(Math.floor((((side.origin + time) % 1e6) + 1e6) % 1e6)).padStart(6, "0");
  return `${text.slice(11, 19)}.${micro.slice(0, digits)}`;
}

/**
 * The offset of a worker's clock to the scheduler's, by which all times are shown.
 * @param {import("./types.js").Worker} worker
 */
export function clockState({ isClockUnknown, clockOffset, clockUncertainty }) {
  if (isClockUnknown) return "not measured";
  if (!clockOffset) return "as the scheduler's";
  const way = clockOffset > 0 ? "behind" : "ahead";
  return `${duration(Math.abs(clockOffset) * 1e6)} ${way}, ± ${duration(clockUncertainty * 1e6)}`;
}

/**
 * Why a worker left, and the events that say so.
 * @param {import("./types.js").WorkerEnd} end
 */
export function endWords({ explanation, missing, evidence, tasks }) {
  const words = [plain(explanation)];
  if (missing) words.push(`to know more: ${plain(missing)}`);
  if (tasks) words.push(`${plural(tasks, "task")} on it`);
  if (evidence.length) words.push(`${evidence.length === 1 ? "event" : "events"} ${evidence.join(", ")}`);
  return words.join("; ");
}

/**
 * The time by the worker's own clock, if that differs from the time that is shown.
 * @param {import("./side.js").Side} side
 * @param {import("./types.js").StoryEvent} event
 */
export function ownClock(side, event) {
  const offset = event.isScheduler || event.worker < 0 ? 0 : side.workers[event.worker].clockOffset;
  return offset
    ? `, by the worker's clock ${new Date((side.origin + event.time) / 1000 - offset * 1000).toISOString()}`
    : "";
}

/**
 * Even steps for an axis.
 * @param {number} length
 * @param {number} most
 */
export function steps(length, most) {
  const units = [1, 2, 5];
  for (let scale = 1; scale < 1e7; scale *= 10) {
    for (const unit of units) if (length / (unit * scale) <= most) return unit * scale;
  }
  for (const seconds of [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400]) {
    if (length / (seconds * 1e6) <= most) return seconds * 1e6;
  }
  return 86400e6 * Math.ceil(length / 86400e6 / most);
}

/**
 * A time on the axis, not more precise than its steps.
 * @param {number} time
 * @param {number} step
 */
export function tick(time, step) {
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

/**
 * Text in which characters that reorder or hide others are escaped.
 * @param {string} text
 * @param {boolean} [isLong]
 */
export function plain(text, isLong = false) {
  const hidden = isLong
    ? /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g
    : /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
  return text.replace(hidden, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/**
 * Creates an element with attributes, and text or other elements in it. Text is never parsed as HTML.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(string | Node)} content
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...content.filter((part) => part !== undefined && part !== null));
  return element;
}

/** @param {string} id */
export const byID = (id) => document.getElementById(id);

/** @param {string} colour */
export const swatch = (colour) => {
  const element = make("i", { class: "swatch", "aria-hidden": "true" });
  element.style.background = colour;
  return element;
};
