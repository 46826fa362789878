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
  /** The last task that came to an end, and the index of that attempt. */
  last: [number, number] | null;
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
  /** Whether the scheduler knew it; else it has no figures. */
  isKnown: boolean;
  // As `tasklog workers`; times in microseconds.
  tasks: number;
  failed: number;
  nbytes: number;
  busy: number;
  utilization: number | null;
  occupancy: number | null;
  fetched: number;
  mostTasks: number;
  mostBytes: number;
  /** Why it left; `null` if it did not. */
  end: WorkerEnd | null;
  points: number;
  resolution: number;
  // Added by the page.
  label: string;
  lanes: Lane[];
  series: Curve;
}

/** As `tasklog workers --deaths`. */
export interface WorkerEnd {
  cause: string;
  explanation: string;
  /** What would have told more; empty if it is certain. */
  missing: string;
  /** The seq of the events that decided it. */
  evidence: number[];
  /** The tasks that were assigned to it. */
  tasks: number;
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

/** A task that failed on its own. Indexes are -1 if there is none. */
export interface Failure {
  task: number;
  time: number;
  worker: number;
  /** An index of `causes`. */
  cause: number;
  /** An index of `texts`. */
  traceback: number;
  retries: number;
  dependents: number;
}

/** An exception with the tasks that it failed, as `tasklog errors` groups them. */
export interface Cause {
  run: number;
  /** An index of `texts`. */
  exception: number;
  tasks: number;
  dependents: number;
  workers: number;
  first: number;
  traceback: number;
}

export interface Failures {
  count: number;
  affectedCount: number;
  omittedTexts: number;
  texts: string[];
  rows: Failure[];
  causes: Cause[];
  /** From tasks to indexes of `texts`. */
  blamed: Map<number, number>;
}

/** `Failures` as it stands in the document: with lists instead of objects. */
export interface FailureDocument {
  count: number;
  affectedCount: number;
  omittedTexts: number;
  texts: string[];
  rows: number[][];
  causes: number[][];
  blamed: [number, number][];
}

export interface Detail {
  shortenedKeys: number;
  omittedEvents: number;
  omits: string;
  hashLength: number;
  keptLength: number;
}

/** The least and the most of a measure in each interval; -1 if it was not measured. */
export interface Band {
  least: Float64Array;
  most: Float64Array;
}

/** What one worker measured, or all together if `worker` is `null`. */
export interface Measured {
  /** An index of `workers`. */
  worker: number | null;
  bands: Record<string, Band>;
  /** The memory limit in bytes; 0 if there is none. */
  limit: number;
}

/** What a track of curves shows. */
export interface CurveOwner {
  timeline: Timeline;
  side: Side;
  /** 0 if it is of all workers together. */
  chosen: number;
  measured: Measured | undefined;
}

/** The equal intervals of the column `resources`, in microseconds. */
export interface ResourceGrid {
  start: number;
  width: number;
  count: number;
  hasGIL: boolean;
  /** Indexes of `workers`. */
  workers: number[];
  limits: (number | null)[];
  /** Of the scheduler, in microseconds; by interval, -1 if it was not measured. */
  scheduler: { late: number[], interval: number[] } | null;
}

/** The time of threads, as `tasklog time` has it, in nanoseconds. */
export interface ThreadTime {
  total: number;
  /** Name, what to do about it, time. */
  classes: [string, string, number][];
  /** Prefix, `null` for no task; time of each class. */
  prefixes: [string | null, number[]][];
  /** When it starts, and the number of threads in each class, in thousandths. */
  intervals: number[][];
}

/** Run, severity, kind, subject, cost in microseconds, bytes, certainty, finding, action, evidence. */
export type AdviceRow = [
  number, string, string, string | null, number | null, number | null, string, string, string, string,
];

/** The statistical profile of the workers. */
export interface Profile {
  /** Seconds between two samples. */
  interval: number;
  /** What was not sent, in sentences. */
  gaps: string[];
  omitted: number;
  /** Name, file, line. */
  frames: [string, string, number][];
  /** All prefixes first, then each; `null` for those that workers did not tell apart. `nodes` has three numbers
   * each: the node of the caller, which comes before it, or -1; the function; the samples. */
  parts: { prefix: string | null, samples: number, nodes: number[] }[];
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
  /** See `PrefixFigures`. */
  figures: number[][];
  totals: Totals;
  states: string[];
  /** Of attempts. */
  outcomes: string[];
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
  failures: FailureDocument;
  threadTime: ThreadTime;
  advice: AdviceRow[];
  /** Task; attempt, time and text of each sentence. */
  explanations: [number, [number, number, string][]][];
  profile: Profile | null;
  resourceGrid: ResourceGrid;
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

/** A part of an attempt: its name, from when to when; `null` if not known. */
export type Phase = [string, number | null, number | null];

/** An attempt to run a task. Times are `null` if they are not known. */
export interface Attempt {
  task: number;
  /** An index of `workers`, or -1. */
  worker: number;
  outcome: string;
  sent: number | null;
  started: number | null;
  stopped: number | null;
  ended: number | null;
  /** From the end of its predecessor on the critical path to its own end. */
  phases: Phase[];
  /** The predecessor: a task, and the index of its attempt. */
  before: { task: number; at: number } | null;
}

export interface PrefixFigures {
  name: string;
  tasks: number;
  done: number;
  failed: number;
  retried: number;
  nbytes: number;
  compute: number;
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
  workers: number;
  threads: number;
  share: number;
  fetched: number;
  fetches: number;
  held: number;
  missing: number;
  events: number;
  /** Computations that only their worker recorded, and their time. */
  unreported: number;
  unreportedTime: number;
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
