import Glibc
import Scheduling

/// The cost of the embedded engine: tiny tasks, mapped over numbers and summed up in a tree.
///
/// The tree has eight branches, as Dask's own reductions have (`split_every`). Measured is the time
/// from the call of `map` to the sum, on a cluster that is already running.
struct EngineBenchmark {
  /// Tasks of the map; the tree adds some.
  var tasks: Int
  var rounds: Int
  /// Tasks of the largest graph, whose cost is compared with that of the smallest.
  var largest: Int
  /// A Python that has `distributed`.
  var python: String?
  /// Only the engine with this number of workers: for a profiler.
  var workers: Int?

  private static let branches = 8

  func run() async throws {
    let total = Self.total(tasks)
    say("engine: map of \(tasks) tasks and a tree of sums, \(total) tasks, median of \(rounds)")
    say()
    if let workers { return try await alone(workers: workers) }
    try await memory()
    for workers in [1, 2, 4] { try await speed(workers: workers) }
    try await growth()
    if let python { try await besideDask(python) }
  }

  // MARK: - Measurements

  private func alone(workers: Int) async throws {
    for _ in 0..<rounds {
      let before = processorSeconds()
      let seconds = try await Self.engineSeconds(tasks, workers: workers)
      let total = Double(Self.total(tasks))
      let (cost, work) = (seconds * 1e9 / total, (processorSeconds() - before) * 1e9 / total)
      say(
        "engine, \(workers) workers: \(rounded(cost, 10)) ns/task, \(Int(total / seconds)) tasks/s; "
          + "\(rounded(work, 10)) ns/task of processors, with the start and end of the cluster")
    }
  }

  /// Runs first, while there is no memory of earlier rounds to reuse.
  private func memory() async throws {
    let cluster = try await LocalCluster(workers: 2)
    let before = Self.residentBytes()
    let futures = try await Self.mapAndSum(tasks, cluster.client)
    let after = Self.residentBytes()
    let perTask = (after - before) / Self.total(tasks)
    say("memory of tasks whose futures are held: \(perTask) bytes a task (growth of RSS)")
    let start = ContinuousClock.now
    withExtendedLifetime(futures) {}
    await cluster.close()
    say("  closing with all of them: \(Self.nanoseconds(since: start, tasks)) ns a task")
    say()
  }

  private func speed(workers: Int) async throws {
    var comparison = Comparison(
      "engine, \(workers) workers", against: "the same closures, a plain queue, \(workers) threads",
      events: Self.total(tasks), rounds: rounds, unit: "task")
    try await comparison.run {
      try await Self.engineSeconds(tasks, workers: workers)
    } _: {
      PlainQueue.seconds(tasks, branches: Self.branches, threads: workers)
    }
    comparison.report(asSpeed: true)
  }

  /// The cost of a task must not depend on the number of tasks.
  private func growth() async throws {
    var smallest: Double?
    var count = 10_000
    while count <= largest {
      var times: [Double] = []
      for _ in 0..<rounds { times.append(try await Self.engineSeconds(count, workers: 2)) }
      let cost = median(times) * 1e9 / Double(Self.total(count))
      let growth = cost / (smallest ?? cost)
      say("engine, graph of \(count): \(rounded(cost, 10)) ns/task, \(rounded(growth, 100)) times")
      smallest = smallest ?? cost
      count *= 10
    }
    say()
  }

  private func besideDask(_ python: String) async throws {
    var comparison = Comparison(
      "engine, 2 workers", against: "Dask's LocalCluster(processes=False), 2 workers",
      events: Self.total(tasks), rounds: 1, unit: "task")
    let script = #filePath.split(separator: "/").dropLast().joined(separator: "/")
    try await comparison.run(warmUp: false) {
      try await Self.engineSeconds(tasks, workers: 2)
    } _: {
      try outputNumber(of: [python, "/\(script)/engine_dask.py", "\(tasks)", "\(Self.branches)"])
    }
    comparison.report(asSpeed: true)
  }

  // MARK: - The workload

  static func total(_ tasks: Int) -> Int {
    var (total, level) = (tasks, tasks)
    while level > 1 {
      level = (level + branches - 1) / branches
      total += level
    }
    return total
  }

  private static func engineSeconds(_ tasks: Int, workers: Int) async throws -> Double {
    let cluster = try await LocalCluster(workers: workers)
    let start = ContinuousClock.now
    let futures = try await mapAndSum(tasks, cluster.client)
    let time = (ContinuousClock.now - start) / .seconds(1)
    withExtendedLifetime(futures) {}
    await cluster.close()
    return time
  }

  /// Every future of the graph, held as a user would hold them.
  static func mapAndSum(_ tasks: Int, _ client: Client) async throws -> [[Future<Int>]] {
    var levels = [client.map("inc", Array(0..<tasks)) { $0 + 1 }]
    while let level = levels.last, level.count > 1 {
      let groups = stride(from: 0, to: level.count, by: branches).map {
        Array(level[$0..<min($0 + branches, level.count)])
      }
      levels.append(client.map("sum", all: groups) { $0.reduce(0, +) })
    }
    let sum = try await levels[levels.count - 1][0].result()
    precondition(sum == tasks * (tasks + 1) / 2)
    return levels
  }

  private static func nanoseconds(since start: ContinuousClock.Instant, _ tasks: Int) -> Int {
    Int((ContinuousClock.now - start) / .nanoseconds(1) / Double(total(tasks)))
  }

  /// Memory of this process, from the second field of `/proc/self/statm`.
  private static func residentBytes() -> Int {
    return
      (firstLine("/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { Int($0) }
      ?? 0)
      * sysconf(Int32(_SC_PAGESIZE))
  }
}
