import EventLog
import Foundation
import TaskLogPlugin
import TestSupport
import Testing

@testable import LogAnalysis
@testable import LogFormat
@testable import Reporting

/// A page of a part of a run has the figures that the other commands have for this part.
@Suite struct PageScopeTests {
  static let parts = [
    "prefix", "client", "worker", "since", "until", "window", "window of a worker",
    "prefix in a window",
  ]

  private struct Case {
    let reader: LogReader
    let run: RunInfo
    let filter: ScopeFilter
    let scope: RunScope
    let scan: PageScan
    let document: Value
  }

  private static func reader(_ log: String) throws -> LogReader {
    try LogReader(
      path: URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../CommandTests/\(log)").standardizedFileURL.path)
  }

  /// A filter that selects a part of a run, by what the run has.
  private static func filter(_ part: String, _ reader: LogReader, _ run: RunInfo) throws
    -> ScopeFilter
  {
    let summary = try reader.summary(of: run)
    let stop = try #require(try reader.timeOfLastEvent(in: run))
    func time(_ share: Double) -> PointInTime {
      .time(run.started + Int64(Double(stop - run.started) * share))
    }
    var filter = ScopeFilter()
    if part.contains("prefix") { filter.prefixes = [try #require(summary.prefixes.last?.name)] }
    if part.contains("client") { filter.clients = ["*"] }
    if part.contains("worker") {
      filter.workers = [try #require(summary.workers.max { $0.tasks < $1.tasks }).address]
    }
    if part == "since" || part.contains("window") { filter.since = time(0.2) }
    if part == "until" || part.contains("window") { filter.until = time(0.8) }
    return filter
  }

  /// A case for each run; none if a run does not record what the filter asks for.
  private static func cases(_ log: String, _ part: String) throws -> [Case] {
    let reader = try reader(log)
    return try reader.runs().compactMap { run in
      let filter = try filter(part, reader, run)
      let scope: RunScope
      do {
        scope = try #require(try reader.scope(of: run, filter))
      } catch ScopeError.noClients {
        return nil
      }
      var scopes = RunScopes()
      scopes[run] = scope
      var scan = try PageScan(reader, [run], scopes)
      try scan.scan(run) { _ in }
      var data = try PageData(scan)
      try data.make(.all)
      let document = try JSONReader.value(data.document)
      try scan.restrict()
      return Case(
        reader: reader, run: run, filter: filter, scope: scope, scan: scan, document: document)
    }
  }

  @Test(arguments: parts)
  func `its tables have the figures of summary and of errors`(part: String) throws {
    var count = 0
    for log in PagePathTests.logs {
      for page in try Self.cases(log, part) {
        count += 1
        let summary = try page.reader.summary(of: page.run, in: page.scope)
        let names = page.document["prefixes"]?.elements ?? []
        let rows = page.document["figures"]?.elements ?? []
        let shown = Dictionary(
          rows.compactMap { row -> (String, [Value])? in
            guard let row = row.elements, let index = row[0].int,
              let name = names[Int(index)].string
            else { return nil }
            return (name, row)
          }, uniquingKeysWith: { $1 })
        #expect(shown.count == summary.prefixes.count, "\(log)")
        for prefix in summary.prefixes {
          let row = try #require(shown[prefix.name ?? ""])
          #expect(
            row[1...5].map(\.int) == [
              prefix.tasks, prefix.done, prefix.failed, prefix.retried, prefix.nbytes,
            ])
        }
        let workers = (page.document["workers"]?.elements ?? []).filter {
          $0["isKnown"]?.bool == true
        }
        #expect(
          Set(workers.compactMap { $0["address"]?.string }) == Set(summary.workers.map(\.address)))
        #expect(page.document["totals"]?["workers"]?.int == Int64(summary.workers.count))
        #expect(
          page.document["totals"]?["threads"]?.int
            == summary.workers.reduce(0) { $0 + ($1.nthreads ?? 0) })
        let failures = try page.reader.failures(of: page.run, in: page.scope)
        var (own, affected): (Int64, Int64) = (0, 0)
        try failures.forEachError { _ in own += 1 }
        try failures.forEachAffected { _ in affected += 1 }
        #expect(page.document["totals"]?["failed"]?.int == own)
        #expect(page.document["totals"]?["affected"]?.int == affected)
        let causes = try failures.causes()
        #expect(page.scan.failures.causes.map(\.tasks) == causes.map(\.tasks))
        #expect(page.scan.tasks.slots.count { $0.isSelected } == Int(page.scope.share.tasks))
      }
    }
    // The recorder of the demo's runs does not record clients.
    #expect(count >= 2)
  }

  /// The spans of work of attempts, as exports have them.
  private struct SpanVisitor: RunVisitor {
    var spans: [String] = []

    mutating func visit(_ recorded: RecordedEvent, time: Int64, runArgs: RunArgs?) {}

    mutating func visit(_ attempt: Attempt) {
      guard !attempt.runArgs.spans.isEmpty else { return }
      spans += attempt.spans.map { span in
        "\(attempt.key.text) \(span.action) \(((span.stop ?? span.start) - span.start + 500) / 1000)"
      }
    }
  }

  /// The spans of a page that the scheduler learned of.
  private func spans(_ scan: PageScan) throws -> [String] {
    try scan.lanes.lanes.flatMap { lane in
      try lane.spans.filter(\.outcome.isReported).map { span in
        let key = try scan.reader.key(scan.tasks[Int(span.task)].key)?.text ?? ""
        return "\(key) \(scan.lanes.actions[span.action]) \(span.duration)"
      }
    }
  }

  @Test(arguments: parts)
  func `its spans of work are those of an export of the part`(part: String) throws {
    var (count, spanCount) = (0, 0)
    for log in PagePathTests.logs {
      for page in try Self.cases(log, part) {
        count += 1
        var (visitor, tally) = (SpanVisitor(), ExportTally())
        try RunWalk(page.reader, page.run, page.scope).traverse(&visitor, &tally) { _ in }
        let shown = try spans(page.scan)
        spanCount += shown.count
        func names(_ spans: [String]) -> [Substring] {
          spans.map { $0.prefix(upTo: $0.lastIndex(of: " ") ?? $0.endIndex) }.sorted()
        }
        func time(_ spans: [String]) -> Int {
          spans.reduce(0) { $0 + (Int($1.split(separator: " ").last ?? "") ?? 0) }
        }
        #expect(names(shown) == names(visitor.spans), "\(log)")
        // Microseconds are rounded once more when a span is cut.
        #expect(abs(time(shown) - time(visitor.spans)) <= 2 * shown.count, "\(log)")
        let computed = try page.reader.summary(of: page.run, in: page.scope).prefixes.reduce(0) {
          $0 + $1.computeSeconds
        }
        let computing = shown.filter { $0.split(separator: " ").dropLast().last == "compute" }
        #expect(abs(computed * 1e6 - Double(time(computing))) <= Double(2 * shown.count), "\(log)")
      }
    }
    #expect(count >= 2)
    #expect(spanCount > 0)
  }

  @Test(arguments: parts)
  func `its critical path is that of the part`(part: String) throws {
    var (count, phaseCount) = (0, 0)
    for log in PagePathTests.logs {
      for page in try Self.cases(log, part) {
        count += 1
        let (paths, chains) = (page.scan.attempts.paths, try #require(page.scan.chains))
        var shown: [String] = []
        var next = paths.lastOfRun[0].map { Int32($0) } ?? -1
        while next >= 0 {
          let outcome = paths.outcomes[Int(next)]
          // Every task on it is in the page, and has this attempt.
          #expect(outcome.task >= 0)
          #expect(page.scan.attempts.rows.count { $0.path == next } == 1)
          shown +=
            paths.phases(
              Int(next), after: chains.predecessors[Int(next)], in: page.scan.windows[0]
            ).filter { $0.stop != $0.start }.map { "\(outcome.seq) \($0.kind)" }.reversed()
          next = chains.links[Int(next)]
        }
        let phases = try page.reader.criticalPath(of: page.run, in: page.scope)
        phaseCount += phases.count
        // A phase shorter than a microsecond has no length in a page.
        let long = phases.filter { ($0.stop ?? 1000) / 1000 > ($0.start ?? 0) / 1000 }
        #expect(shown.reversed() == long.map { "\($0.seq) \($0.kind)" }, "\(log)")
      }
    }
    #expect(count >= 2)
    #expect(phaseCount > 0)
  }

  @Test(arguments: parts)
  func `it lists the tasks of the part, and shows only its time`(part: String) throws {
    for log in PagePathTests.logs {
      for page in try Self.cases(log, part) {
        let (tasks, failures) = (page.scan.tasks, page.scan.failures)
        #expect(page.document["taskCount"]?.int == Int64(tasks.slots.count))
        for (index, slot) in tasks.slots.enumerated() {
          #expect(slot.isSelected == page.scope.includes(task: slot.key))
          guard !slot.isSelected else { continue }
          // It is here only for the chain on which it is.
          #expect(slot.events == 0)
          #expect(page.scan.attempts.rows.contains { $0.task == index && $0.path >= 0 })
          #expect(failures.last[index] == nil)
        }
        let window = page.scan.windows[0]
        let first = try #require(page.document["first"]?.int)
        let last = try #require(page.document["last"]?.int)
        #expect(window.start <= first && first <= last && last <= window.stop)
        for slot in tasks.slots where slot.events > 0 {
          #expect(window.contains(slot.first) && window.contains(slot.last))
        }
        for lane in page.scan.lanes.lanes {
          #expect(page.scan.workers[lane.worker].isIncluded)
          for span in lane.spans {
            #expect(window.contains(span.start) && window.contains(span.start + span.duration))
          }
        }
        for row in page.scan.workers.rows {
          #expect(row.series.times.allSatisfy { $0 >= window.start && $0 <= window.stop })
          #expect(row.isIncluded || row.mostTasks == 0)
        }
        let times = page.scan.states.times
        #expect(times.allSatisfy { $0 >= window.start && $0 <= window.stop })
      }
    }
  }

  @Test(arguments: PagePathTests.logs)
  func `the states at the end of a window are those that the log has then`(log: String) throws {
    for page in try Self.cases(log, "window") {
      let window = page.scope.window
      var (states, counts): ([Int64: String], [String: Int64]) = ([:], [:])
      let cursor = try page.reader.events(of: page.run, order: .arrival)
      while let recorded = try cursor.nextEvent() {
        let event = recorded.event
        guard event.hook == .transition, recorded.source == schedulerOf(page),
          event.time <= window.stop, let finish = event.finish
        else { continue }
        states[recorded.keyNumber] = finish.name
      }
      for (key, state) in states where page.scope.includes(task: key) {
        if state != "forgotten" { counts[state, default: 0] += 1 }
      }
      let last = page.scan.states.values.suffix(PageStates.names.count - 1)
      for (name, count) in zip(PageStates.names, last) {
        #expect(counts[name, default: 0] == count, "\(name)")
      }
    }
  }

  private func schedulerOf(_ page: Case) -> Int64? {
    try? page.reader.sources(of: page.run).first { $0.source.kind == .scheduler }?.number
  }

  // MARK: - Everything

  private func data(_ reader: LogReader, _ filter: ScopeFilter) throws -> PageData {
    let runs = try reader.runs()
    var scopes = RunScopes()
    for run in runs { scopes[run] = try reader.scope(of: run, filter) }
    var scan = try PageScan(reader, runs, scopes)
    for run in runs { try scan.scan(run) { _ in } }
    var data = try PageData(scan)
    try data.make(.all)
    return data
  }

  @Test(arguments: PagePathTests.logs)
  func `a window that holds all of a run gives the page of the run`(log: String) throws {
    let reader = try Self.reader(log)
    var filter = ScopeFilter()
    (filter.since, filter.until) = (.time(1), .time(4_000_000_000_000_000_000))
    let (whole, part) = (try data(reader, ScopeFilter()), try data(reader, filter))
    #expect(part.document == whole.document)
    #expect(part.columns.map(\.name) == whole.columns.map(\.name))
    for (own, other) in zip(part.columns, whole.columns) {
      #expect(own.compressed == other.compressed, "\(own.name)")
    }
  }

  @Test(arguments: PagePathTests.logs)
  func `all prefixes give the page of the run, without events that are about no task`(
    log: String
  ) throws {
    let reader = try Self.reader(log)
    var filter = ScopeFilter()
    filter.prefixes = ["*"]
    let (whole, part) = (try data(reader, ScopeFilter()), try data(reader, filter))
    for (own, other) in zip(part.columns, whole.columns) {
      #expect(own.compressed == other.compressed, "\(own.name)")
    }
    for name in ["figures", "workers", "failures", "lanes", "kinds", "taskCount", "edgeCount"] {
      let own = try #require(try JSONReader.value(part.document)[name])
      let other = try JSONReader.value(whole.document)[name]
      #expect(own == other, "\(name)")
    }
  }

  @Test func `the page says how much of the run it shows, as text`() throws {
    let reader = try Self.reader("Logs/sample.db")
    let folder = try TemporaryFolder()
    let runs = try reader.runs(matching: "#1")
    func page(_ shares: [String]) throws -> String {
      let side = ReportPage.Side(reader: reader, runs: runs, name: "log", shares: shares)
      _ = try ReportPage.write([side], to: folder("page.html"), version: "0")
      return try String(contentsOfFile: folder("page.html"), encoding: .utf8)
    }
    let said = "<p class=\"notice\">shows 1 &lt;b&gt; &amp; &quot;2&quot;</p>\n  "
    let (whole, part) = (try page([]), try page(["shows 1 <b> & \"2\""]))
    #expect(part.contains(said + "<div id=\"notices\">"))
    #expect(part.replacing(said, with: "") == whole)
    #expect(!whole.contains("<!-- shares"))
  }
}
