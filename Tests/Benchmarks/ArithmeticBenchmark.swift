import EventLog
import Glibc
import Recording
import TaskLogPlugin
import TestSupport

/// What it costs that arithmetic on numbers from a file saturates, instead of ending the process as the
/// standard library's does: alone, and as a share of reading a log.
///
/// The same sums are made of `Int64`, for which `SaturatingArithmetic` has the operators, and of a type
/// parameter, for which only the standard library has them.
struct ArithmeticBenchmark {
  var workload: Workload
  var rounds: Int

  func run() throws {
    try compareSums()
    try compareReading()
  }

  /// What is computed of the numbers of an event: a time by another clock, a duration, sums, a mean, the
  /// longest.
  private struct Sums<Number: FixedWidthInteger> {
    var count: Number = 0
    var total: Number = 0
    var longest: Number = 0
    var mean: Number = 0
    var last: Number = 0
    var offset: Number = 7
  }

  /// Of `Int64`: what saturates.
  @inline(never)
  private static func add(_ number: Int64, _ sums: inout Sums<Int64>) {
    let time = number + sums.offset
    let duration = time - sums.last
    sums.count += 1
    sums.total += duration * 3 - sums.offset
    sums.longest = max(sums.longest, abs(duration))
    sums.mean = sums.total / sums.count
    sums.last = time
  }

  /// The same of any type: what traps.
  @inline(never)
  @_specialize(exported:false,where Number == Int64)
  private static func add<Number: FixedWidthInteger & SignedInteger>(
    any number: Number, _ sums: inout Sums<Number>
  ) {
    let time = number + sums.offset
    let duration = time - sums.last
    sums.count += 1
    sums.total += duration * 3 - sums.offset
    sums.longest = max(sums.longest, Swift.abs(duration))
    sums.mean = sums.total / sums.count
    sums.last = time
  }

  private func compareSums() throws {
    let times = workload.events.map(\.event.time)
    let passes = max(1, 20_000_000 / max(1, times.count))
    var results: Set<Int64> = []
    var comparison = Comparison(
      "numbers that saturate", against: "numbers that trap", events: times.count * passes,
      rounds: rounds, unit: "row")
    comparison.run {
      var sums = Sums<Int64>()
      let taken = seconds {
        for _ in 0..<passes { for time in times { Self.add(time, &sums) } }
      }
      results.insert(sums.mean)
      return taken
    } _: {
      var sums = Sums<Int64>()
      let taken = seconds {
        for _ in 0..<passes { for time in times { Self.add(any: time, &sums) } }
      }
      results.insert(sums.mean)
      return taken
    }
    precondition(results.count == 1)
    comparison.report(asSpeed: false)
  }

  private func compareReading() throws {
    let folder = try TemporaryFolder()
    let recorder = try Recorder(log: folder.log)
    let channels = Workload.sources.map { recorder.channel(for: $0) }
    for (source, event) in workload.events { channels[source].record(event) }
    recorder.close()
    var results: Set<Int64> = []
    var comparison = Comparison(
      "reading a log, with numbers that saturate", against: "the same, with numbers that trap",
      events: workload.events.count, rounds: rounds)
    try comparison.run {
      var sums = Sums<Int64>()
      let taken = try seconds { try Self.read(folder.log) { Self.add($0, &sums) } }
      results.insert(sums.mean)
      return taken
    } _: {
      var sums = Sums<Int64>()
      let taken = try seconds { try Self.read(folder.log) { Self.add(any: $0, &sums) } }
      results.insert(sums.mean)
      return taken
    }
    precondition(results.count == 1)
    comparison.report(asSpeed: true)
  }

  private static func read(_ log: String, _ add: (Int64) -> Void) throws {
    let reader = try LogReader(path: log)
    for source in try reader.sources(of: reader.runs()[0]) {
      let cursor = try reader.events(of: source)
      while let recorded = try cursor.nextEvent() { add(recorded.event.time) }
    }
  }
}
