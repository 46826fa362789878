import EventLog
import LogFormat

/// What the tasks of a run needed, which workers would have held it, and what it cost.
package struct Sizing: Sendable {
  package struct Prefix: Sendable {
    package var name: String?
    package var tasks: Int64 = 0
    package var memory = MemoryEstimate()
    /// The part of computing that was on a processor; `nil` if it was not measured.
    package var cpuShare: Double?
    /// The time that threads worked on its tasks, in nanoseconds.
    package var busy: Int64 = 0
    /// The bytes of its results, and those of them that workers fetched from others; `nil` if no worker was
    /// recorded.
    package var bytes: Int64 = 0
    package var moved: Int64?
  }

  /// Workers with a number of threads that would have held the run.
  package struct Shape: Sendable, Equatable {
    package var threads: Int64
    package var workers: Int64
    /// The bytes of a process at its peak; the high end is `nil` if too little is known of the tasks.
    package var low: Double
    package var high: Double?
    /// With less, Dask would pause the worker.
    package var limit: Double?
    /// The part of the work, by time, that is on tasks of prefixes with a known range.
    package var covered: Double
    /// The most that a worker of the run with as many threads used; `nil` if it had none.
    package var seen: Double?
  }

  /// Thread-time of a part of a run, in nanoseconds: its three parts have nothing in common.
  package struct Hours: Sendable, Equatable {
    /// `run`, or the kind of a job.
    package var kind: String
    /// `nil` for what belongs to no job of the kind.
    package var name: String?
    /// Work on tasks, and work that brought no result that lasted.
    package var used: Int64 = 0
    package var wasted: Int64 = 0
    package var idle: Int64 = 0

    package init(
      kind: String, name: String?, _ work: ThreadTime.Split = ThreadTime.Split(), idle: Int64 = 0
    ) {
      (self.kind, self.name) = (kind, name)
      (used, wasted, self.idle) = (work.busy - work.wasted, work.wasted, idle)
    }
  }

  package var prefixes: [Prefix] = []
  package var shapes: [Shape] = []
  package var hours: [Hours] = []
}

extension LogReader {
  /// What the tasks of a run needed.
  ///
  /// - Parameter scope: the part of the run; `nil` for all of it. If it selects tasks, workers are not sized.
  /// - Throws: `LogError`.
  package func sizing(of run: RunInfo, in scope: RunScope? = nil) throws -> Sizing {
    try translating {
      var scan = try ThreadTimeScan(self, run, scope, [.clients, .spans, .jobs])
      let input = try scan.scan(intervals: JobHours.intervals, splitsComputing: true)
      let time = ThreadTimeSweep.split(input)
      let limits = try memoryLimits(of: run)
      let samples = try memorySamples(of: run, in: scope)
      let summary = try summary(of: run, in: scope)
      let singles = Set(summary.prefixes.filter { $0.tasks == 1 }.compactMap(\.name))
      let memory = MemorySweep(input, samples, limits: limits, singles: singles)
      var sizing = Sizing()
      let moved = try movedBytes(of: run, in: scope)
      for prefix in summary.prefixes {
        var row = Sizing.Prefix(name: prefix.name, tasks: prefix.tasks)
        row.memory = prefix.name.flatMap { memory.estimates[$0] } ?? MemoryEstimate()
        row.bytes = prefix.nbytes
        row.moved = moved.map { $0[prefix.name ?? ""] ?? 0 }
        if let split = time.prefixes.rows[prefix.name] {
          row.busy = split.busy
          let measured = split[.cpu] + split[.notCPU]
          if measured > 0 { row.cpuShare = Double(split[.cpu]) / Double(measured) }
        }
        sizing.prefixes.append(row)
      }
      if !input.selectsTasks {
        sizing.shapes = WorkerShapes(input, samples, memory, sizing.prefixes).shapes
      }
      let jobs = try jobs(of: run, in: scope)
      sizing.hours = JobHours(time, jobs, selectsTasks: input.selectsTasks).rows
      return sizing
    }
  }

  /// What each worker measured of its memory, by its index.
  private func memorySamples(
    of run: RunInfo, in scope: RunScope?
  ) throws -> [Int: [MemorySweep.Sample]] {
    let (lives, clocks) = (try workerLives(of: run), try clockOffsets(of: run))
    var samples: [Int: [MemorySweep.Sample]] = [:]
    try forEachSample(of: run, in: scope) { sample in
      guard let process = sample[.memory], let managed = sample[.managed],
        MemorySweep.sizes.contains(process), MemorySweep.sizes.contains(managed)
      else { return }
      let offset = lives.lives[sample.worker].source.flatMap { clocks.last(ofSource: $0)?.offset }
      // A worker measures its process every half second, and tells with its next heartbeat.
      let measured = sample.measured.map { min(sample.time, $0 &+ (offset ?? 0)) }
      samples[sample.worker, default: []].append(
        .init(
          measured: measured ?? sample.time &- MemorySweep.monitorInterval, told: sample.time,
          process: process, managed: managed))
    }
    return samples
  }

  /// The bytes of results that workers fetched from others, by prefix; `nil` if no worker was recorded.
  private func movedBytes(of run: RunInfo, in scope: RunScope?) throws -> [String: Int64]? {
    let sources = try sources(of: run)
    let workers = sources.filter { $0.source.kind == .worker }.map(\.number)
    guard !workers.isEmpty, let range = try range(of: run) else { return nil }
    func list(_ sources: [Int64]) -> String { sources.map(String.init).joined(separator: ", ") }
    func number(_ text: String) throws -> Int64 { try self.number(ofText: text) ?? -1 }
    let transition = try number("transition")
    let window = scope?.window ?? TimeWindow()
    let select = try connection.prepare(
      """
      SELECT key, count(*) FROM event
      WHERE seq BETWEEN \(range.lowerBound) AND \(range.upperBound) AND +hook = \(transition)
        AND +start = \(try number("flight")) AND +finish = \(try number("memory"))
        AND +time BETWEEN \(window.start) AND \(window.stop)
        AND +source IN (\(list(workers.filter { scope?.includes(source: $0) ?? true })))
      GROUP BY key
      """)
    let schedulers = sources.filter { $0.source.kind == .scheduler }.map(\.number)
    let size = try connection.prepare(
      """
      SELECT args, time FROM event WHERE key = ? AND hook = \(transition)
        AND finish = \(try number("memory")) AND source IN (\(list(schedulers)))
      ORDER BY seq DESC LIMIT 1
      """)
    let index = try TaskIndex(self, run, nil, [])
    var moved: [String: Int64] = [:]
    while try select.step() {
      let key = select.integer(0)
      guard key != 0, scope?.includes(task: key) ?? true else { continue }
      defer { size.reset() }
      try size.bind(1, key)
      guard try size.step(), let args = size.optionalText(0),
        let bytes = RunArgs(blobs.args(args, time: size.integer(1))).nbytes
      else { continue }
      let task = try index.index(of: key)
      moved[index.tasks[task].prefix ?? "", default: 0] &+= bytes &* select.integer(1)
    }
    return moved
  }
}

extension MemorySweep {
  /// The interval in which Dask's workers measure their processes.
  static let monitorInterval: Int64 = 500_000_000
  /// The bytes that a file can be right about.
  static let sizes = 0.0...1e18
}
