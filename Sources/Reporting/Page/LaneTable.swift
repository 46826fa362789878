/// The spans of work, in one lane per thread of each worker.
struct LaneTable {
  /// How a span of work ended.
  enum Outcome: UInt32 {
    case done = 0
    case failed = 1
    /// Its end is not in the log: it was still running, its worker died, or the log has a gap.
    case open = 2
    /// It failed because its worker died, so that the scheduler never learned its times.
    case lost = 3

    /// Whether the scheduler learned the times of the work, so that summaries include it.
    var isReported: Bool { self == .done || self == .failed }
  }

  struct Span {
    /// Microseconds.
    var start: Int64
    var duration: Int64
    var task: Int32
    /// The worker that sent the data of a transfer; else -1.
    var source: Int32
    /// The index of the action, and the outcome in the lowest two bits.
    var what: UInt32

    init(
      start: Int64, stop: Int64, task: Int, action: Int, outcome: Outcome, source: Int32 = -1
    ) {
      self.start = start
      duration = max(0, stop - start)
      self.task = Int32(task)
      self.source = source
      what = UInt32(action) << 2 | outcome.rawValue
    }

    var action: Int { Int(what >> 2) }
    var outcome: Outcome { Outcome(rawValue: what & 3) ?? .open }
  }

  struct Lane {
    var worker: Int
    /// The thread ID within the process; `nil` if unknown.
    var thread: Int64?
    var spans: [Span] = []
  }

  private struct LaneKey: Hashable {
    var worker: Int
    var thread: Int64?
  }

  private(set) var lanes: [Lane] = []
  private(set) var actions = ["compute"]
  private(set) var count = 0
  private var indexByKey: [LaneKey: Int] = [:]
  private var last: (key: LaneKey, lane: Int)?
  private var indexByAction = ["compute": 0]

  mutating func action(_ name: String) -> Int {
    if let index = indexByAction[name] { return index }
    let index = actions.count
    actions.append(name)
    indexByAction[name] = index
    return index
  }

  mutating func add(_ span: Span, worker: Int, thread: Int64?) {
    let key = LaneKey(worker: worker, thread: thread)
    let lane: Int
    if let last, last.key == key {
      lane = last.lane
    } else {
      lane = indexByKey[key] ?? lanes.count
      if lane == lanes.count {
        lanes.append(Lane(worker: worker, thread: thread))
        indexByKey[key] = lane
      }
      last = (key, lane)
    }
    lanes[lane].spans.append(span)
    count += 1
  }

  /// - Parameter indexes: the new index of each task.
  mutating func renumber(_ indexes: [Int32]) {
    for lane in lanes.indices {
      for span in lanes[lane].spans.indices {
        lanes[lane].spans[span].task = indexes[Int(lanes[lane].spans[span].task)]
      }
    }
  }

  /// Sorts the lanes by worker, and their spans by time.
  mutating func sort() {
    lanes = lanes.enumerated().sorted {
      // Threads in the order of first use, unknown ones last.
      ($0.element.worker, $0.element.thread == nil ? 1 : 0, $0.offset)
        < ($1.element.worker, $1.element.thread == nil ? 1 : 0, $1.offset)
    }.map(\.element)
    for lane in lanes.indices {
      lanes[lane].spans.sort { ($0.start, $0.duration, $0.task) < ($1.start, $1.duration, $1.task) }
    }
  }
}
