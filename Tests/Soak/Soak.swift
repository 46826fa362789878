import EventLog
import Foundation
import Recording
import TaskLogPlugin

//===----------------------------------------------------------------------===//
// Records for a long time as a scheduler and a worker do, into a log with several segments, while a
// reader, a follower and `tasklog prune --max-size` run; and reports whether anything grows, is
// lost, or becomes slower.
//
//     tasklog-soak [FOLDER]
//
// TASKLOG_TEST_SOAK_SECONDS is how long (120), TASKLOG_TEST_SOAK_RATE how many events a second (4,000). The
// exit code is 1 when a bound is broken. Every figure is of this process but for the commands' own.
//===----------------------------------------------------------------------===//

/// The main function of the program, see `Program/main.c`.
@_cdecl("tasklog_soak")
func runProgram() {
  do {
    try Soak.run()
  } catch {
    print("tasklog-soak: \(error)")
    exit(1)
  }
}

struct Soak {
  static func run() throws {
    let folder =
      CommandLine.arguments.dropFirst().first
      ?? FileManager.default.temporaryDirectory
      .appendingPathComponent("tasklog-soak-\(getpid())").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let soak = try SoakRun(
      folder: folder, seconds: setting("TASKLOG_TEST_SOAK_SECONDS", 120),
      rate: setting("TASKLOG_TEST_SOAK_RATE", 4_000))
    guard try soak.run() else { exit(1) }
  }

  private static func setting(_ name: String, _ standard: Int) -> Int {
    ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
  }
}

/// The measurements within a tenth of the time.
struct SoakSpan {
  var latencies: [Int64] = []
  var residentBytes: Int64 = 0
  var diskBytes: Int64 = 0
  var spoolBytes: Int64 = 0
  var files = 0
  var reads = 0

  func latency(_ share: Double) -> Int64 {
    let sorted = latencies.sorted()
    return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }
}
