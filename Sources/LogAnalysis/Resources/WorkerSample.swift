import EventLog
import LogFormat
import TaskLogPlugin

/// What a worker measured of itself at a heartbeat.
package struct WorkerSample: Sendable {
  /// A measure, with the name that the view `worker_metrics` has for it.
  package enum Metric: Int, CaseIterable, Sendable {
    case memory, managed, spilled, cpu, netRead, netWrite, diskRead, diskWrite, gil, eventLoop

    /// In the view `worker_metrics`; of `managed` without what is spilled.
    package var name: String {
      switch self {
      case .memory: "memory"
      case .managed: "managed_bytes"
      case .spilled: "spilled_bytes.disk"
      case .cpu: "cpu"
      case .netRead: "host_net_io.read_bps"
      case .netWrite: "host_net_io.write_bps"
      case .diskRead: "host_disk_io.read_bps"
      case .diskWrite: "host_disk_io.write_bps"
      case .gil: "gil_contention"
      case .eventLoop: "event_loop_interval"
      }
    }
  }

  /// An index in `WorkerLives`.
  package var worker: Int
  /// When the scheduler received it, in nanoseconds since 1970 UTC.
  package var time: Int64
  /// When the worker measured itself, by its own clock; `nil` if it did not tell.
  package var measured: Int64?
  /// By index of a metric; not a number where the worker did not tell.
  private var values = [Double](repeating: .nan, count: Metric.allCases.count)

  package init(worker: Int, time: Int64) {
    (self.worker, self.time) = (worker, time)
  }

  package subscript(_ metric: Metric) -> Double? {
    get {
      let value = values[metric.rawValue]
      return value.isNaN ? nil : value
    }
    set { values[metric.rawValue] = newValue ?? .nan }
  }

  /// Reads the args of a heartbeat.
  init(worker: Int, time: Int64, _ args: UnsafeBufferPointer<UInt8>) {
    self.init(worker: worker, time: time)
    var spilledFromMemory = 0.0
    var scanner = JSONScanner(args)
    scanner.members { name, scanner in
      guard scanner.equals(name, "metrics") else { return }
      scanner.members { name, scanner in
        if scanner.equals(name, "memory") {
          self[.memory] = scanner.number()
        } else if scanner.equals(name, "time") {
          measured = scanner.number().flatMap { Int64(exactly: ($0 * 1e9).rounded()) }
        } else if scanner.equals(name, "managed_bytes") {
          self[.managed] = scanner.number()
        } else if scanner.equals(name, "cpu") {
          self[.cpu] = scanner.number()
        } else if scanner.equals(name, "gil_contention") {
          self[.gil] = scanner.number()
        } else if scanner.equals(name, "event_loop_interval") {
          self[.eventLoop] = scanner.number()
        } else if scanner.equals(name, "spilled_bytes") {
          scanner.members { name, scanner in
            if scanner.equals(name, "disk") { self[.spilled] = scanner.number() }
            if scanner.equals(name, "memory") { spilledFromMemory = scanner.number() ?? 0 }
          }
        } else if scanner.equals(name, "host_net_io") {
          self.read(&scanner, .netRead, .netWrite)
        } else if scanner.equals(name, "host_disk_io") {
          self.read(&scanner, .diskRead, .diskWrite)
        }
      }
    }
    // Dask counts spilled results as managed, too.
    if let managed = self[.managed] { self[.managed] = max(0, managed - spilledFromMemory) }
  }

  private mutating func read(_ scanner: inout JSONScanner, _ read: Metric, _ write: Metric) {
    scanner.members { name, scanner in
      if scanner.equals(name, "read_bps") { self[read] = scanner.number() }
      if scanner.equals(name, "write_bps") { self[write] = scanner.number() }
    }
  }
}

extension LogReader {
  /// Calls a closure with what each worker measured at each heartbeat, in the order of arrival.
  ///
  /// - Parameter scope: the part of the run; `nil` for all of it.
  /// - Throws: `LogError`.
  package func forEachSample(
    of run: RunInfo, in scope: RunScope? = nil, _ body: (WorkerSample) throws -> Void
  ) throws {
    try translating {
      let lives = try workerLives(of: run)
      try HeartbeatScan.forEach(self, run) { address, seq, time, args in
        guard let worker = lives.place(address, at: seq), scope?.includes(worker: worker) ?? true,
          scope?.window.contains(time) ?? true
        else { return }
        try body(WorkerSample(worker: worker, time: time, args))
      }
    }
  }

  /// The memory limits of a run's workers in bytes, by their index; 0 and absent mean none.
  ///
  /// - Throws: `LogError`.
  package func memoryLimits(of run: RunInfo) throws -> [Int: Int64] {
    try translating {
      let lives = try workerLives(of: run)
      let select = try connection.prepare(
        """
        SELECT event.seq, event.source, event.snapshot FROM hook_event
        JOIN event ON event.seq = hook_event.seq
        WHERE hook_event.hook IN (
            SELECT id FROM text WHERE text IN ('attach', 'addWorker', 'setup'))
          AND event.source IN (SELECT id FROM source WHERE run = ?)
        ORDER BY event.seq
        """)
      try select.bind(1, run.number)
      var limits: [Int: Int64] = [:]
      while try select.step() {
        guard let snapshot = select.optionalText(2).flatMap({ try? JSONReader.value($0) }) else {
          continue
        }
        let workers = snapshot["worker"].map { [$0] } ?? snapshot["attach"]?["workers"]?.elements
        for worker in workers ?? [] {
          guard let address = worker["address"]?.string, let limit = worker["memoryLimit"]?.int,
            let place = lives.place(ofSource: select.integer(1))
              ?? lives.place(address, at: select.integer(0))
          else { continue }
          limits[place] = limit
        }
      }
      return limits
    }
  }
}
