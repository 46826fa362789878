import EventLog
import LogAnalysis
import LogFormat
import TaskLogPlugin

/// What a worker recorded of its tasks until a moment.
struct WorkerView: Sendable {
  struct Task: Sendable {
    var state: String
    var since: Int64
    var seq: Int64
  }

  struct Wait: Sendable {
    /// `lock`, `semaphore`, `event`, `queue` or `variable`.
    var kind: String
    var name: String?
    var since: Int64
    var seq: Int64
  }

  /// By the text of a key: the tasks that the scheduler has not finished, and their inputs.
  var tasks: [String: Task] = [:]
  /// By the text of a key: what its task waits for, in its thread.
  var waits: [String: Wait] = [:]
}

/// A lock or semaphore that the scheduler gave and that was not released.
struct Lease: Sendable {
  var since: Int64
  var seq: Int64
}

/// Reads the waits for locks that had not ended at a moment.
struct LockScan {
  private(set) var waits: [String: [String: WorkerView.Wait]] = [:]
  /// By the name of a lock or semaphore, and by lease.
  private(set) var leases: [String: [String: Lease]] = [:]

  /// - Parameters:
  ///   - addresses: those of the sources that are workers.
  ///   - time: the time of the scheduler's clock at a time of a source.
  init(
    _ reader: LogReader, _ run: RunInfo, until isIncluded: (_ seq: Int64, _ time: Int64) -> Bool,
    schedulers: Set<Int64>, addresses: [Int64: String], clocks: ClockOffsets
  ) throws {
    guard let hook = try reader.number(ofText: Hook.lock.name) else { return }
    try reader.translating {
      let select = try reader.connection.prepare(
        """
        SELECT event.seq, event.source, event.source_seq, event.time, event.key, event.args
        FROM hook_event JOIN event ON event.seq = hook_event.seq
        WHERE hook_event.hook = ? AND event.source IN (SELECT id FROM source WHERE run = ?)
        ORDER BY event.seq
        """)
      try select.bind(1, hook)
      try select.bind(2, run.number)
      while try select.step() {
        let source = select.integer(1)
        let time = clocks.time(select.integer(3), source: source, sourceSeq: select.integer(2))
        guard isIncluded(select.integer(0), time),
          let args = select.optionalText(5).flatMap({ try? JSONReader.value($0) })
        else { continue }
        if schedulers.contains(source) {
          lease(args, select.integer(0), time)
        } else if let worker = addresses[source],
          let key = try reader.keys.element(select.integer(4))?.text
        {
          wait(args, key, worker, select.integer(0), time)
        }
      }
    }
  }

  private mutating func wait(
    _ args: Value, _ key: String, _ worker: String, _ seq: Int64, _ time: Int64
  ) {
    guard args["op"]?.string == "begin" else {
      waits[worker]?[key] = nil
      return
    }
    waits[worker, default: [:]][key] = WorkerView.Wait(
      kind: args["kind"]?.string ?? "lock", name: args["name"]?.string, since: time, seq: seq)
  }

  /// What the scheduler did for a lock or semaphore.
  private mutating func lease(_ args: Value, _ seq: Int64, _ time: Int64) {
    guard let name = args["name"]?.string, let lease = args["lease"]?.string else { return }
    switch args["op"]?.string {
    case "acquire": leases[name, default: [:]][lease] = Lease(since: time, seq: seq)
    case "release": leases[name]?[lease] = nil
    default: break
    }
  }
}
