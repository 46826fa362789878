import Glibc
import Recording
import Scheduling

/// What recording costs a running engine: time, and processor time of those who call and of the
/// thread that writes.
struct EngineRecordingBenchmark {
  var tasks: Int
  var rounds: Int

  private struct Cost {
    var seconds = 0.0
    var callers = 0.0
    var drainer = 0.0
  }

  func run() async throws {
    let total = EngineBenchmark.total(tasks)
    var (without, with): ([Cost], [Cost]) = ([], [])
    _ = try await cost(recorded: true)
    for _ in 0..<rounds {
      without.append(try await cost(recorded: false))
      with.append(try await cost(recorded: true))
    }
    func nanoseconds(_ costs: [Cost], _ part: (Cost) -> Double) -> Double {
      rounded(median(costs.map(part)) * 1e9 / Double(total), 1)
    }
    let bare = nanoseconds(without, \.callers)
    let callers = nanoseconds(with, \.callers)
    say("engine with recorder, 2 workers, \(total) tasks, median of \(rounds), ns a task:")
    say("  without: time \(nanoseconds(without, \.seconds)), processor \(bare)")
    say(
      "  with: time \(nanoseconds(with, \.seconds)), processor of callers \(callers), "
        + "of the thread that writes \(nanoseconds(with, \.drainer))")
    let shares = zip(with, without).map { ($0.callers - $1.callers) / $1.callers }
    say("  callers spend more by a share of: \(rounded(median(shares), 1000))")
    say()
  }

  private func cost(recorded: Bool) async throws -> Cost {
    let folder = try TemporaryFolder()
    let recorder = recorded ? try Recorder(log: folder.log) : nil
    let cluster =
      if let recorder {
        try await LocalCluster(workers: 2, recorder: recorder)
      } else {
        try await LocalCluster(workers: 2)
      }
    var cost = Cost()
    let (before, drained) = (Self.processSeconds(), Self.drainerSeconds())
    let start = ContinuousClock.now
    let futures = try await EngineBenchmark.mapAndSum(tasks, cluster.client)
    cost.seconds = (ContinuousClock.now - start) / .seconds(1)
    cost.callers = Self.processSeconds() - before - (Self.drainerSeconds() - drained)
    withExtendedLifetime(futures) {}
    if recorder != nil { cost.drainer = Self.restOfDrainerSeconds() - drained }
    await cluster.close()
    return cost
  }

  /// It may be behind; it is done when it does nothing for a while.
  private static func restOfDrainerSeconds() -> Double {
    var (last, unchanged) = (drainerSeconds(), 0)
    while unchanged < 3 {
      usleep(100_000)
      let spent = drainerSeconds()
      // It looks for work all the time.
      unchanged = spent - last < 0.01 ? unchanged + 1 : 0
      last = spent
    }
    return last
  }

  private static func processSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  /// Processor time of the threads that write logs, by the name that they have in `/proc`.
  private static func drainerSeconds() -> Double {
    guard let folder = opendir("/proc/self/task") else { return 0 }
    defer { closedir(folder) }
    var sum = 0.0
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard firstLine("/proc/self/task/\(name)/comm").hasPrefix("tasklog-drain") else { continue }
      let spent = firstLine("/proc/self/task/\(name)/schedstat").split(separator: " ").first
      sum += (spent.flatMap { Double($0) } ?? 0) / 1e9
    }
    return sum
  }
}
