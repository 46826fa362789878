/// What was done when, a lane for each thread of each worker.
struct LaneTable {
  /// How a span of work ended.
  enum Outcome: UInt32 {
    case done = 0
    case failed = 1
    /// Its end is not in the log: it still ran, its worker died, or the log has a gap.
    case open = 2
  }

  struct Span {
    /// Microseconds.
    var start: Int64
    var duration: Int64
    var task: Int32
    /// The worker that data came from, for a transfer; else -1.
    var source: Int32
    /// The place of the action, and the outcome.
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
  }

  struct Lane {
    var worker: Int
    /// The number that the thread has in its process; nothing where it is not known.
    var thread: Int64?
    var spans: [Span] = []
  }

  private struct Name: Hashable {
    var worker: Int
    var thread: Int64?
  }

  private(set) var lanes: [Lane] = []
  private(set) var actions = ["compute"]
  private(set) var count = 0
  private var byName: [Name: Int] = [:]
  private var last: (name: Name, lane: Int)?
  private var byAction = ["compute": 0]

  mutating func action(_ name: String) -> Int {
    if let place = byAction[name] { return place }
    let place = actions.count
    actions.append(name)
    byAction[name] = place
    return place
  }

  mutating func add(_ span: Span, worker: Int, thread: Int64?) {
    let name = Name(worker: worker, thread: thread)
    let lane: Int
    if let last, last.name == name {
      lane = last.lane
    } else {
      lane = byName[name] ?? lanes.count
      if lane == lanes.count {
        lanes.append(Lane(worker: worker, thread: thread))
        byName[name] = lane
      }
      last = (name, lane)
    }
    lanes[lane].spans.append(span)
    count += 1
  }

  /// Lanes in the order of workers, their spans in the order of time.
  mutating func sort() {
    lanes = lanes.enumerated().sorted {
      // Threads in the order in which they were first seen, unknown ones last.
      ($0.element.worker, $0.element.thread == nil ? 1 : 0, $0.offset)
        < ($1.element.worker, $1.element.thread == nil ? 1 : 0, $1.offset)
    }.map(\.element)
    for lane in lanes.indices {
      lanes[lane].spans.sort { ($0.start, $0.duration, $0.task) < ($1.start, $1.duration, $1.task) }
    }
  }
}
