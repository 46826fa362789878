import Glibc
import Recording
import Scheduling
import Synchronization
import TaskLogPlugin

/// The cost of recording for a running engine: time, and processor time of the callers and of the
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
    say("    (with what the other thread takes from the caches and the processor)")
    try await share()
    say()
  }

  /// The share of the callers' time that passes between the call of the recorder and its return.
  private func share() async throws {
    var shares: [Double] = []
    var calls = 0
    for _ in 0..<rounds {
      let folder = try TemporaryFolder()
      let recorder = TimedRecorder(try Recorder(log: folder.log))
      let cluster = try await LocalCluster(workers: 2, recorder: recorder)
      let (before, drained) = (Self.processSeconds(), Self.drainerSeconds())
      let futures = try await EngineBenchmark.mapAndSum(tasks, cluster.client)
      let spent = Self.processSeconds() - before - (Self.drainerSeconds() - drained)
      let (count, nanoseconds) = recorder.calls
      shares.append(Double(nanoseconds) / 1e9 / spent)
      calls = count
      withExtendedLifetime(futures) {}
      await cluster.close()
    }
    say(
      "  of the callers' processor time within the recorder, a share of: "
        + "\(rounded(median(shares), 1000)), \(calls) calls")
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

  /// The writer may be behind; it is done if it is idle for a while.
  private static func restOfDrainerSeconds() -> Double {
    var (last, unchanged) = (drainerSeconds(), 0)
    while unchanged < 3 {
      usleep(100_000)
      let spent = drainerSeconds()
      // It polls for work all the time.
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

  /// Processor time of the threads that write logs, by their name in `/proc`.
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

/// Measures the duration of each call of a recorder; a call during which the thread was preempted
/// does not count.
private final class TimedRecorder: RecordingPlugin {
  private final class Channel: EventChannel, @unchecked Sendable {
    // Written by one thread, and read when it has stopped, or nearly so.
    private let inner: any EventChannel
    private(set) var count = 0
    private(set) var nanoseconds: Int64 = 0

    init(_ inner: any EventChannel) { self.inner = inner }

    func record(_ event: Event) {
      let start = now()
      inner.record(event)
      let spent = now() - start
      count += 1
      if spent < 20_000 { nanoseconds += max(0, spent - TimedRecorder.clockNanoseconds) }
    }
  }

  /// The cost of reading the clock twice.
  private static let clockNanoseconds: Int64 = {
    let start = now()
    for _ in 0..<10_000 { _ = now() }
    return (now() - start) / 10_000
  }()

  private let inner: Recorder
  private let channels = Mutex<[Channel]>([])

  init(_ inner: Recorder) { self.inner = inner }

  var calls: (count: Int, nanoseconds: Int64) {
    channels.withLock { channels in
      (channels.map(\.count).reduce(0, +), channels.map(\.nanoseconds).reduce(0, +))
    }
  }

  func channel(for source: Source) -> any EventChannel {
    let channel = Channel(inner.channel(for: source))
    channels.withLock { $0.append(channel) }
    return channel
  }

  func finish() async { await inner.finish() }
}
