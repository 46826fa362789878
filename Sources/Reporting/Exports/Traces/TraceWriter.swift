/// Writes runs as processes, their tracks, and events on the tracks: the common model of Perfetto
/// and Chrome.
protocol TraceWriter {
  mutating func add(_ process: TraceProcess)
  mutating func add(_ track: TraceTrack)
  mutating func slice(_ slice: TraceSlice, on track: TraceTrack)
  mutating func instant(
    _ name: String, at time: Int64, category: String, _ details: [TraceDetail],
    on track: TraceTrack)
  mutating func count(_ value: Int64, at time: Int64, on track: TraceTrack)
  /// Flushes the buffer if it is large.
  mutating func flushIfLarge() throws
  mutating func finish() throws
}

/// A scheduler or a worker.
struct TraceProcess {
  /// A process ID, unique within the trace; real ones of several hosts may collide.
  var id: Int32
  var name: String
  /// Its address.
  var label: String
}

struct TraceTrack {
  enum Kind: Equatable {
    /// A thread of a worker.
    case thread
    /// Slices without a thread.
    case lane
    case counter(isBytes: Bool)
  }

  /// Unique within the trace, also among processes.
  var id: Int32
  var process: Int32
  var name: String
  var kind: Kind
  /// Its position among the tracks of its process.
  var rank: Int32
}

/// An interval of work. Slices on a track never overlap.
struct TraceSlice {
  var name: String
  var category: String
  /// Whether it failed, or its worker died.
  var hasFailed = false
  /// Nanoseconds since 1970 UTC.
  var start: Int64
  /// `nil` if it did not end.
  var stop: Int64?
  var details: [TraceDetail] = []
  /// The IDs of arrows that start here.
  var flowsFrom: [UInt64] = []
  /// The IDs of arrows that end here.
  var flowsTo: [UInt64] = []
}

/// A detail that viewers show for a selected event.
struct TraceDetail {
  enum Content {
    case text(String)
    case number(Int64)
  }

  /// The possible names, with their interning numbers in a trace.
  enum Name: UInt8, CaseIterable {
    case key = 1
    case worker, attempt, outcome, bytes, type, from, run, exception, traceback, stimulus, count
    case reason, source, threads, address, thread, cause

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
      case .cause: "cause_key"
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
