import Glibc
import TestSupport

/// Measures a subject and its baseline in turns, and prints both with their ratio.
struct Comparison {
  /// The subject that is measured, and its baseline.
  var subject: String
  var baseline: String
  /// The number of units processed in a round.
  var events: Int
  var rounds: Int
  var unit: String

  /// Seconds of each round.
  private var subjectSeconds: [Double] = []
  private var baselineSeconds: [Double] = []

  init(
    _ subject: String, against baseline: String, events: Int, rounds: Int, unit: String = "event"
  ) {
    self.subject = subject
    self.baseline = baseline
    self.events = events
    self.rounds = rounds
    self.unit = unit
  }

  /// Runs both in turns; each body returns the seconds that count.
  mutating func run(
    _ measureSubject: () throws -> Double, _ measureBaseline: () throws -> Double
  ) rethrows {
    // One uncounted round warms caches, files and allocator up.
    _ = try measureBaseline()
    _ = try measureSubject()
    for _ in 0..<rounds {
      baselineSeconds.append(try measureBaseline())
      subjectSeconds.append(try measureSubject())
    }
  }

  mutating func run(
    warmUp: Bool = true, _ measureSubject: () async throws -> Double,
    _ measureBaseline: () async throws -> Double
  ) async rethrows {
    if warmUp {
      _ = try await measureBaseline()
      _ = try await measureSubject()
    }
    for _ in 0..<rounds {
      baselineSeconds.append(try await measureBaseline())
      subjectSeconds.append(try await measureSubject())
    }
  }

  /// - Parameter asSpeed: whether the ratio is of speeds instead of times.
  func report(asSpeed: Bool) {
    let ratios = zip(subjectSeconds, baselineSeconds).map { asSpeed ? $1 / $0 : $0 / $1 }
    line(subject, median(subjectSeconds))
    line(baseline, median(baselineSeconds))
    let what = asSpeed ? "speed" : "time"
    let ratio = median(ratios)
    say("  \(what) as a share of the baseline: \(rounded(ratio, ratio < 0.1 ? 1e5 : 100))")
    say()
  }

  private func line(_ name: String, _ seconds: Double) {
    let nanoseconds = seconds * 1e9 / Double(events)
    let rate = Int(Double(events) / seconds)
    say("\(name): \(rounded(nanoseconds, 10)) ns/\(unit), \(rate) \(unit)s/s")
  }
}

/// Prints a line immediately, also into a pipe.
func say(_ line: String = "") {
  _ = Array((line + "\n").utf8).withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return .nan }
  return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

func rounded(_ value: Double, _ parts: Double) -> Double {
  (value * parts).rounded() / parts
}

/// Nanoseconds of a monotonic clock.
@inline(__always)
func now() -> Int64 {
  var time = timespec()
  clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// The first line of a small file of `/proc`, empty if the file does not exist.
func firstLine(_ path: String) -> String {
  guard let file = fopen(path, "r") else { return "" }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 256)
  guard fgets(&line, 256, file) != nil else { return "" }
  return String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// The duration of a body in seconds.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  let start = ContinuousClock.now
  try body()
  return (ContinuousClock.now - start) / .seconds(1)
}

/// The number that a program prints.
func outputNumber(of arguments: [String]) throws -> Double {
  var ends: [Int32] = [0, 0]
  guard pipe(&ends) == 0 else { throw BenchmarkError.noProgram(arguments[0], errno) }
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
  posix_spawn_file_actions_addclose(&actions, ends[0])
  var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
  defer { for word in words { free(word) } }
  var child = pid_t()
  let code = posix_spawnp(&child, arguments[0], &actions, nil, &words, environ)
  close(ends[1])
  defer { close(ends[0]) }
  guard code == 0 else { throw BenchmarkError.noProgram(arguments[0], code) }
  var output: [UInt8] = []
  var bytes = [UInt8](repeating: 0, count: 256)
  while case let count = read(ends[0], &bytes, bytes.count), count > 0 {
    output += bytes[..<count]
  }
  var status: Int32 = 0
  waitpid(child, &status, 0)
  let text = String(decoding: output.prefix { $0 != 10 }, as: UTF8.self)
  guard status == 0, let number = Double(text) else {
    throw BenchmarkError.noProgram(arguments[0], status)
  }
  return number
}

/// The `tasklog` in the same folder as this program.
let tasklogProgram = Programs.path("tasklog")

typealias TemporaryFolder = TestSupport.TemporaryFolder

extension TemporaryFolder {
  var log: String { self("bench.db") }

  /// For events on their way to a broker; removed with the last one that is confirmed.
  var spool: String { self("publish.spool") }
}

enum BenchmarkError: Error {
  case noBroker
  case noFolder(Int32)
  case noProgram(String, Int32)
  case sqlite(Int32, String)
}

/// The processor time of this process in seconds.
func processorSeconds() -> Double {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
