/// A picture of runs as processes, tracks on them, and what lies on the tracks: what Perfetto and
/// Chrome have in common.
protocol TraceWriter {
  mutating func add(_ process: TraceProcess)
  mutating func add(_ track: TraceTrack)
  mutating func slice(_ slice: TraceSlice, on track: TraceTrack)
  mutating func instant(
    _ name: String, at time: Int64, category: String, _ details: [TraceDetail],
    on track: TraceTrack)
  mutating func count(_ value: Int64, at time: Int64, on track: TraceTrack)
  /// Writes out what has come together, once it is much.
  mutating func flushIfLarge() throws
  mutating func finish() throws
}

/// A scheduler or a worker.
struct TraceProcess {
  /// Unique within the trace, as a process id; real ones of several hosts may be the same.
  var id: Int32
  var name: String
  /// Its address.
  var label: String
}

struct TraceTrack {
  enum Kind: Equatable {
    /// A thread of a worker.
    case thread
    /// Slices that are no thread's.
    case lane
    case counter(isBytes: Bool)
  }

  /// Unique within the trace, among processes, too.
  var id: Int32
  var process: Int32
  var name: String
  var kind: Kind
  /// Its place among the tracks of its process.
  var rank: Int32
}

/// Work of some length. Slices on a track never overlap.
struct TraceSlice {
  var name: String
  var category: String
  /// It failed, or its worker died.
  var hasFailed = false
  /// Nanoseconds since 1970 UTC.
  var start: Int64
  /// Nothing when it did not end.
  var stop: Int64?
  var details: [TraceDetail] = []
  /// Arrows that begin here, by their numbers.
  var flowsFrom: [UInt64] = []
  /// Arrows that end here.
  var flowsTo: [UInt64] = []
}

/// A fact that is shown when somebody looks closer.
struct TraceDetail {
  enum Content {
    case text(String)
    case number(Int64)
  }

  /// The names that there are, by their numbers in a trace.
  enum Name: UInt8, CaseIterable {
    case key = 1
    case worker, attempt, outcome, bytes, type, from, run, exception, traceback, stimulus, count
    case reason, source, threads, address, thread, blamed

    var text: StaticString {
      switch self {
      case .key: "key"
      case .worker: "worker"
      case .attempt: "attempt"
      case .outcome: "outcome"
      case .bytes: "bytes"
      case .type: "type"
      case .from: "from"
      case .run: "run"
      case .exception: "exception"
      case .traceback: "traceback"
      case .stimulus: "stimulus"
      case .count: "count"
      case .reason: "reason"
      case .source: "source"
      case .threads: "threads"
      case .address: "address"
      case .thread: "thread"
      case .blamed: "blamed"
      }
    }
  }

  var name: Name
  var content: Content

  static func text(_ name: Name, _ text: String) -> TraceDetail {
    TraceDetail(name: name, content: .text(text))
  }

  static func number(_ name: Name, _ number: some BinaryInteger) -> TraceDetail {
    TraceDetail(name: name, content: .number(Int64(clamping: number)))
  }
}
