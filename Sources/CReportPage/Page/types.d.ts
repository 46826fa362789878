// The shapes of the page's data (`PageData+Document.swift` writes the documents), for the checker only.

import type { Track } from "./charts.js";
import type { Inspector } from "./inspector.js";
import type { Panels } from "./panels.js";
import type { Pyramid } from "./raster.js";
import type { Row } from "./rows.js";
import type { Search } from "./search.js";
import type { Side } from "./side.js";
import type { StreamTrack } from "./stream.js";
import type { Theme } from "./theme.js";
import type { Timeline } from "./timeline.js";

/** Red, green and blue, from 0 to 255. */
export type RGB = number[];

export interface Run {
  number: number;
  id: string;
  engine: string;
  engineVersion: string;
  mode: string;
  started: number;
  ended: number | null;
  end: "closed" | "died" | "running";
  events: number;
}

/** Values at times, each until the next time; an array for each figure. */
export interface Curve {
  times: Float64Array;
  values: Float64Array[];
}

export interface Worker {
  run: number;
  address: string;
  /** Which worker at this address, from 1. */
  life: number;
  clockOffset: number | null;
  clockUncertainty: number | null;
  isClockUnknown: boolean;
  name: string;
  joined: number | null;
  left: number | null;
  lastSeen: number | null;
  nthreads: number | null;
  points: number;
  resolution: number;
  // Added by the page.
  label: string;
  lanes: Lane[];
  series: Curve;
}

/** A thread of a worker. */
export interface Lane {
  /** An index of `workers`. */
  worker: number;
  known: boolean;
  count: number;
  // Added by the page.
  place: number;
  compute: Row;
  others: Row;
  y: number;
}

export interface Gap {
  worker: number | null;
  count: number;
  reason: string;
  time: number;
  before: number | null;
  after: number | null;
}

/** Task, time, worker, exception, traceback, retries, dependents. */
export type FailureRow = number[];

export interface Failures {
  count: number;
  affectedCount: number;
  omittedTexts: number;
  texts: string[];
  rows: FailureRow[];
  /** Tasks that failed with another one: the task, and an index of `rows`. */
  affected: [number, number][];
}

export interface Detail {
  shortenedKeys: number;
  omittedEvents: number;
  omits: string;
  hashLength: number;
  keptLength: number;
}

/** The document of a side. Times are microseconds since `origin`. */
export interface SideDocument {
  runs: Run[];
  origin: number;
  first: number;
  last: number;
  taskCount: number;
  edgeCount: number;
  spanCount: number;
  states: string[];
  actions: string[];
  prefixes: string[];
  types: string[];
  /** Of events: the kind of source, 0 for the scheduler; hook, start and finish. */
  kinds: [number, string, string, string][];
  workers: Worker[];
  lanes: Lane[];
  statePoints: number;
  stateResolution: number;
  gaps: Gap[];
  failures: Failures;
  detail: Detail;
}

/** A span of work of a task on a thread. */
export interface Span {
  lane: Lane;
  row: Row;
  at: number;
  start: number;
  stop: number;
  task: number;
  action: string;
  outcome: number;
  /** The worker that data came from, or -1. */
  source: number;
}

export interface StoryEvent {
  time: number;
  isScheduler: boolean;
  worker: number;
  hook: string;
  start: string;
  finish: string;
}

export interface Attempt {
  task: number;
  seen: number;
  sent: number;
  done: number;
  finish: string;
  worker: number;
}

/** A piece of an attempt: its name, from when to when. */
export type Piece = [string, number, number];

/** A step of the critical path. */
export interface Step {
  task: number;
  worker: number;
  start: number;
  stop: number;
  pieces: Piece[];
}

export interface PrefixFigures {
  name: string;
  tasks: number;
  done: number;
  failed: number;
  retried: number;
  nbytes: number;
  compute: number;
  spans?: number[];
  runs?: number;
  median?: number | null;
  high?: number | null;
  most?: number | null;
}

export interface Totals {
  tasks: number;
  failed: number;
  affected: number;
  compute: number;
  threads: number;
  share: number;
  fetched: number;
  fetches: number;
  held: number;
  missing: number;
  events: number;
}

export interface Layer {
  name: string;
  colour: string;
  curve: Curve;
  figure: number;
}

/** What a tooltip shows: name, value and colour of each row. */
export interface Tip {
  title: string;
  rows: [string, string, string?][];
  more?: string;
}

/** A column of a table; what `get` returns is sorted by, and shown by `show`. */
export interface Column {
  name: string;
  number?: boolean;
  wide?: boolean;
  get: (row: any) => any;
  show?: (value: any, row: any) => string | Node;
}

export interface TableOptions {
  sort?: number;
  descending?: boolean;
  act?: (row: any) => void;
  actLabel?: string;
}

/** A position on a track. */
export interface Place {
  track: Track | StreamTrack;
  x: number;
  y: number;
  time: number;
}

export interface Drag {
  kind: "overview" | "band" | "pan" | "pinch";
  x?: number;
  from: number;
  to: number;
  place?: Place;
  moved: boolean;
  target?: HTMLCanvasElement;
  time?: number;
  isInside?: boolean;
  width?: number;
  middle?: number;
}

export interface Level {
  size: number;
  busy: Float32Array;
  most: Float32Array;
  colour: Uint8Array;
  failed: Uint8Array;
  some: Uint8Array;
}

/** From a span of a row to the index of its colour. */
export type ColourOf = (row: Row, at: number) => number;

export interface ColourTables {
  colours: RGB[];
  failed: RGB;
}

export interface Background {
  rgb: RGB;
  pixel: number;
}

export interface Selection {
  side: Side;
  task: number;
}

/** The span that keys move from. */
export interface Focus {
  side: Side;
  lane: Lane;
  at: number;
}

declare global {
  // Newer than the declarations of Debian's TypeScript.
  class DecompressionStream {
    constructor(format: string);
    readonly readable: ReadableStream<Uint8Array>;
    readonly writable: WritableStream<Uint8Array>;
  }
  interface Uint8ArrayConstructor {
    fromBase64?: (text: string) => Uint8Array;
  }
  interface HTMLCanvasElement {
    /** Of a canvas: the track that it belongs to. */
    track?: Track | StreamTrack;
  }
  interface Window {
    /** For tests and benchmarks. */
    tasklogReport: {
      timeline: Timeline;
      sides: Side[];
      panels: Panels;
      inspector: Inspector;
      search: Search;
      theme: Theme;
      painted: number;
      ready: number;
    };
  }
}
