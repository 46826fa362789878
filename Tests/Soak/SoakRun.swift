import EventLog
import Foundation
import LogFormat
import LogMaintenance
import Recording
import Synchronization
import TaskLogPlugin
import TestSupport

/// One soak: its threads and commands, and the bounds that are checked at the end.
final class SoakRun: Sendable {
  private static let spans = 10
  /// At this size a segment is followed by the next one, and all segments together are pruned to
  /// that.
  private static let fileBytes: Int64 = 8 << 20
  private static let mostBytes: Int64 = 40 << 20

  private let folder: String
  private let template: String
  private let seconds: Int
  private let rate: Int
  private let recorder: Recorder
  private let problems = Mutex<[String]>([])
  private let isOver = Atomic(false)
  private let seen = Mutex<[SoakSpan]>(Array(repeating: SoakSpan(), count: spans))
  private let began = ContinuousClock.now
  private let recorded = Atomic<Int64>(0)
  private let followed = Atomic<Int64>(0)
  private let prunes = Atomic<Int64>(0)

  init(folder: String, seconds: Int, rate: Int) throws {
    self.folder = folder
    template = folder + "/logs/{run}.db"
    self.seconds = max(10, seconds)
    self.rate = max(100, rate)
    var options = Recorder.Options()
    options.rotateBytes = Self.fileBytes
    // So small that even a short soak has many of them.
    options.rotateSeconds = Double(self.seconds) / 20
    options.filter.excludeHooks = ["restart"]
    options.maximumArgsBytes = 2048
    recorder = try Recorder(log: template, options: options)
  }

  /// - Returns: whether every bound was kept.
  func run() throws -> Bool {
    let threads = [
      onThread { self.record(Source(kind: .scheduler, id: "scheduler", address: "tcp://s")) },
      onThread { self.record(Source(kind: .worker, id: "worker", address: "tcp://w", name: 1)) },
      onThread(read), onThread(follow), onThread(prune), onThread(watch),
    ]
    while elapsed < Double(seconds) { usleep(100_000) }
    isOver.store(true, ordering: .releasing)
    for thread in threads { thread.wait() }
    recorder.close()
    try checkFiles()
    return tell()
  }

  private var elapsed: Double { (ContinuousClock.now - began) / .seconds(1) }
  private var span: Int { min(Self.spans - 1, Int(elapsed * Double(Self.spans) / Double(seconds))) }
  private var goesOn: Bool { !isOver.load(ordering: .acquiring) }

  private func onThread(_ body: @escaping @Sendable () throws -> Void) -> DispatchSemaphore {
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      do { try body() } catch { self.complain("\(error)") }
      done.signal()
    }
    return done
  }

  private func complain(_ problem: String) {
    problems.withLock { if $0.count < 20 { $0.append(problem) } }
  }

  // MARK: - Threads and commands

  /// Each call is timed as its caller sees it.
  private func record(_ source: Source) {
    let channel = recorder.channel(for: source)
    let pause = UInt64(2_000_000_000 / rate)
    // The data kept about them takes the same memory however long it runs.
    let stride = max(8, seconds / 8)
    var next = DispatchTime.now().uptimeNanoseconds
    var latencies: [Int64] = []
    var current = 0
    var count = 0
    while goesOn {
      let event = Self.event(count)
      let start = DispatchTime.now().uptimeNanoseconds
      channel.record(event)
      let end = DispatchTime.now().uptimeNanoseconds
      if count % stride == 0 { latencies.append(Int64(end - start)) }
      count += 1
      if event.hook != .restart { recorded.add(1, ordering: .relaxed) }
      if span != current || latencies.count >= 4096 {
        note(&latencies, in: current)
        current = span
      }
      next += pause
      let now = DispatchTime.now().uptimeNanoseconds
      if next > now { usleep(UInt32((next - now) / 1000)) }
    }
    note(&latencies, in: current)
  }

  private func note(_ latencies: inout [Int64], in span: Int) {
    let batch = latencies
    seen.withLock { $0[span].latencies += batch }
    latencies.removeAll(keepingCapacity: true)
  }

  private static let short = Value.string(String(repeating: "x", count: 150))
  private static let long = Value.string(String(repeating: "y", count: 5_000))

  /// A task has eight of them; now and then one is long, or is filtered.
  private static func event(_ count: Int) -> Event {
    if count % 500 == 499 { return Event(.restart, time: Clock.now()) }
    let text = count % 1000 == 0 ? long : short
    return Event(
      .logEvent, time: Clock.now(), key: Key("task-\(count / 50_000)", count / 8),
      stimulusID: "stimulus-\(count / 100)",
      args: count % 4 == 0 ? Args(named: [.init("text", text)]) : .none)
  }

  /// Reads every event of the file that is being written, repeatedly.
  private func read() throws {
    while goesOn {
      let path = LogTemplate.newest(template)
      let reader = try LogReader(path: path)
      for run in try reader.runs() {
        for source in try reader.sources(of: run) {
          var next: Int64?
          let cursor = try reader.events(of: source)
          while let event = try cursor.nextEvent() {
            if let next, event.sourceSeq != next {
              complain("\(path): \(source.source.id) goes from \(next - 1) to \(event.sourceSeq)")
            }
            next = event.sourceSeq + 1
          }
        }
      }
      let place = span
      seen.withLock { $0[place].reads += 1 }
      usleep(200_000)
    }
  }

  /// `tasklog query --follow`, on one file after the other.
  private func follow() throws {
    var known: Set<String> = []
    while goesOn {
      guard let file = LogTemplate.files(template).last, known.insert(file.path).inserted else {
        usleep(20_000)
        continue
      }
      // It reports at its end that the run continues in another file.
      let follower = try Child(
        [
          Programs.path("tasklog"), "query", "--follow", "--log", file.path, "--hook", "logEvent",
          "--columns", "seq", "--format", "csv",
        ], output: .pipe, errors: .file("/dev/null"))
      guard let output = follower.output else { return }
      var last: Int64 = 0
      var rest: [UInt8] = []
      // Ends when the recorder continues in the next file.
      while case let data = output.availableData, !data.isEmpty {
        rest += data
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
          let line = String(decoding: rest[..<end], as: UTF8.self)
          rest.removeSubrange(...end)
          guard let seq = Int64(line.filter(\.isNumber)) else { continue }
          if seq <= last { complain("the follower of \(file.path) went from \(last) to \(seq)") }
          last = seq
          followed.add(1, ordering: .relaxed)
        }
        if !goesOn { follower.signal(SIGINT) }
      }
      let code = follower.wait()
      if goesOn, code != 0 {
        complain("the follower of \(file.path) ended with \(code.map(String.init) ?? "no code")")
      }
    }
  }

  /// `tasklog prune`, repeatedly.
  private func prune() throws {
    while goesOn {
      let prune = try Child.run(
        [Programs.path("tasklog"), "prune", "--log", template, "--max-size", "\(Self.mostBytes)"])
      if prune.code != 0 || !prune.errors.isEmpty {
        complain("prune: \(String(decoding: prune.errors, as: UTF8.self))")
      }
      prunes.add(1, ordering: .relaxed)
      usleep(1_000_000)
    }
  }

  /// The maximum memory and disk space of each span.
  private func watch() {
    while goesOn {
      let files = LogTemplate.files(template)
      let bytes = files.reduce(Int64(0)) { $0 + LogPruning.bytes(of: $1.path) }
      let spools = files.reduce(Int64(0)) {
        $0 + Recovery.spools(log: $1.path).reduce(0) { $0 + $1.bytes }
      }
      let (place, resident) = (span, Self.residentBytes)
      seen.withLock { seen in
        seen[place].residentBytes = max(seen[place].residentBytes, resident)
        seen[place].diskBytes = max(seen[place].diskBytes, bytes)
        seen[place].spoolBytes = max(seen[place].spoolBytes, spools)
        seen[place].files = max(seen[place].files, files.count)
      }
      usleep(250_000)
    }
  }

  /// Private memory: the mapped files of the spool belong to the disk, and are counted there.
  private static var residentBytes: Int64 {
    guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
      let line = text.split(separator: "\n").first(where: { $0.hasPrefix("RssAnon:") }),
      let kilobytes = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
    else { return 0 }
    return (Int64(kilobytes) ?? 0) * 1024
  }

  // MARK: - The end

  /// Events filtered on request are not a fault.
  private static let expected: [Finding.Kind] = [.earlierFile, .filtered, .prunedEvents]

  private func checkFiles() throws {
    let merged = folder + "/merged.db"
    let merge = try LogMerge(into: merged)
    for file in LogTemplate.files(template) {
      for finding in try LogCheck(path: file.path).run().findings
      where !Self.expected.contains(finding.kind) {
        complain("\(file.path): \(finding.kind.rawValue) at \(finding.place): \(finding.detail)")
      }
      _ = try merge.add(LogReader(path: file.path))
    }
    merge.close()
    // Together they have no gap, from the first event that was not pruned on.
    for finding in try LogCheck(path: merged).run().findings
    where !Self.expected.contains(finding.kind) {
      complain("all files: \(finding.kind.rawValue) at \(finding.place): \(finding.detail)")
    }
    let connection = try Connection(path: merged, mode: .readOnly)
    let marks = "hook = (SELECT id FROM text WHERE text = 'excluded')"
    let events = try connection.integer("SELECT count(*) FROM event WHERE NOT \(marks)") ?? 0
    let last = try connection.integer(
      "SELECT sum(last) FROM (SELECT max(source_seq) AS last FROM event GROUP BY source)")
    print("files hold \(events) of \(recorded.load(ordering: .relaxed)) events")
    // Marks of filtered events have numbers, too.
    if last ?? 0 < recorded.load(ordering: .relaxed) { complain("the last events are not there") }
  }

  private func tell() -> Bool {
    let spans = seen.withLock { $0 }
    print("span  median ns    p99 ns    max us  memory MB  disk MB  spool MB  files  reads")
    for (number, span) in spans.enumerated() {
      let cells = [
        "\(number + 1)", "\(span.latency(0.5))", "\(span.latency(0.99))",
        "\((span.latencies.max() ?? 0) / 1000)", Self.megabytes(span.residentBytes),
        Self.megabytes(span.diskBytes), Self.megabytes(span.spoolBytes), "\(span.files)",
        "\(span.reads)",
      ]
      let widths = [4, 11, 10, 10, 11, 9, 10, 7, 7]
      print(
        zip(cells, widths).map { cell, width in
          String(repeating: " ", count: max(0, width - cell.count)) + cell
        }.joined())
    }
    // The first span warms up: data that grows up to a bound has reached it afterwards.
    let (early, late) = (spans[1...3], spans[7...9])
    bound(
      "memory", early.map(\.residentBytes).max() ?? 0, late.map(\.residentBytes).max() ?? 0,
      factor: 1.2, allowance: 16 << 20)
    bound(
      "caller's median", Self.median(early.map { $0.latency(0.5) }),
      Self.median(late.map { $0.latency(0.5) }), factor: 1.5, allowance: 500)
    let most = spans.map(\.diskBytes).max() ?? 0
    // Between two runs of prune one file more, and the one being written.
    if most > Self.mostBytes + 4 * Self.fileBytes {
      complain("the files took \(Self.megabytes(most)) MB")
    }
    if spans.map(\.files).max() ?? 0 < 2 { complain("no file went on in another") }
    if followed.load(ordering: .relaxed) == 0 { complain("the follower has seen nothing") }
    print(
      "\(recorded.load(ordering: .relaxed)) events in \(seconds) s, "
        + "\(followed.load(ordering: .relaxed)) of them followed, "
        + "\(prunes.load(ordering: .relaxed)) times pruned to \(Self.megabytes(Self.mostBytes)) MB")
    let problems = problems.withLock { $0 }
    for problem in problems { print("BROKEN: \(problem)") }
    print(problems.isEmpty ? "every bound was kept" : "\(problems.count) bounds were broken")
    return problems.isEmpty
  }

  private func bound(
    _ what: String, _ early: Int64, _ late: Int64, factor: Double, allowance: Int64
  ) {
    guard Double(late) > Double(early) * factor + Double(allowance) else { return }
    complain("\(what) grew from \(early) to \(late)")
  }

  private static func median(_ numbers: [Int64]) -> Int64 { numbers.sorted()[numbers.count / 2] }

  private static func megabytes(_ bytes: Int64) -> String {
    String(format: "%.1f", Double(bytes) / 1e6)
  }
}
