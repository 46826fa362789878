import Glibc
import LogFormat
import TaskLogPlugin
import Testing

@testable import EventLog
@testable import LogMaintenance

/// From names and a selector to the files and runs to read.
@Suite struct LogSetTests {
  private static let first = "01942f00-0000-7000-8000-000000000001"
  private static let second = "01942f01-0000-7000-8000-000000000002"

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Records events of one scheduler with these source seqs, in this order.
  private func record(
    _ name: String, _ id: String, _ sourceSeqs: [Int64], isPartial: Bool = false,
    isUnordered: Bool = false, closes: Bool = true, started: Int64 = 1
  ) throws {
    let writer = try LogWriter(path: folder(name))
    defer { writer.close() }
    var header = RunHeader.test(id, started: started)
    if isPartial { header.metadata = PartialRun.marked(header.metadata) }
    try writer.transaction {
      let run = try writer.add(header)
      let source = try writer.add(.scheduler, run: run)
      for number in sourceSeqs {
        try writer.append(
          .transition(Key("k-\(number)"), .released, .waiting, time: 1_000 + number),
          source: source, sourceSeq: number)
      }
      if isUnordered { try writer.markUnordered(run: run) }
      if closes { try writer.end(run: run, .closed, at: 9_000) }
    }
  }

  private func sourceSeqs(_ part: LogSet.Part) throws -> [[Int64]] {
    let reader = try part.reader()
    return try part.runs(reader).map { try reader.all($0).map(\.sourceSeq) }
  }

  /// The source seqs of the selected runs of each part. Temporary files exist as long as the set.
  private func sourceSeqs(_ logs: LogSet) throws -> [[[Int64]]] {
    try withExtendedLifetime(logs) { try logs.parts.map(sourceSeqs) }
  }

  private func resolve(
    _ names: [String], _ selector: String, _ mode: LogSet.Mode, follows: Bool = false,
    restoresOrder: Bool = true, environment: LogSet.Environment = .init()
  ) throws -> LogSet {
    try LogSet.resolve(
      names.map { folder($0) }, runs: selector, mode: mode, follows: follows,
      restoresOrder: restoresOrder, environment: environment)
  }

  private func resolve(
    _ names: [String], _ mode: LogSet.Mode, follows: Bool = false, restoresOrder: Bool = true,
    environment: LogSet.Environment = .init()
  ) throws -> LogSet {
    try resolve(
      names, "latest", mode, follows: follows, restoresOrder: restoresOrder,
      environment: environment)
  }

  // MARK: - Files

  @Test(arguments: [LogSet.Mode.files, .names, .groups, .one, .oneOfSelections])
  func `a file is read as it is, in every mode`(mode: LogSet.Mode) throws {
    try record("a.db", Self.first, [1, 2, 3])
    try record("a.db", Self.second, [1, 2])
    let logs = try resolve(["a.db"], "#1", mode)
    #expect(logs.parts.map(\.path) == [folder("a.db")])
    #expect(logs.parts.map(\.name) == [folder("a.db")])
    #expect(logs.parts[0].originCount == 1 && logs.parts[0].segments == [])
    #expect(try sourceSeqs(logs) == [[[1, 2, 3]]])
    #expect(logs.template == nil && !logs.hasFailed)
  }

  @Test func `every file is prepared before it is read`() throws {
    try record("a.db", Self.first, [1])
    var prepared: [String] = []
    var environment = LogSet.Environment()
    environment.prepare = { [folder] path in
      #expect(path.hasPrefix(folder.path))
      prepared.append(path)
    }
    _ = try resolve(["a.db", "logs/{run}.db"], .names, environment: environment)
    #expect(prepared == [folder("a.db"), folder("logs/{run}.db")])
  }

  @Test func `a log that does not exist, or has no such run, is an error`() throws {
    try record("a.db", Self.first, [1])
    for mode in [LogSet.Mode.groups, .one, .oneOfSelections] {
      let error = #expect(throws: LogError.self) { try resolve(["a.db", "none.db"], mode) }
      guard case .missing(folder("none.db"))? = error else {
        Issue.record("\(mode): \(String(describing: error))")
        continue
      }
    }
    let logs = try resolve(["a.db"], "#2", .one)
    #expect(throws: LogError.self) { try logs.parts[0].runs(logs.reader()) }
  }

  // MARK: - Templates

  /// Two runs, the second of which has two segments.
  private func recordTemplate() throws {
    try folder.makeFolder("logs")
    try record("logs/\(Self.first).db", Self.first, [1, 2])
    try record("logs/\(Self.second).db", Self.second, [1, 2, 3], started: 2)
    try record("logs/\(Self.second).2.db", Self.second, [4, 5], started: 2)
  }

  @Test func `a template stands for the segments of the selected run, merged`() throws {
    try recordTemplate()
    let logs = try resolve(["logs/{run}.db"], .names)
    let segments = ["", ".2"].map { folder("logs/\(Self.second)\($0).db") }
    #expect(logs.parts[0].segments == segments)
    #expect(logs.parts[0].name == folder("logs/{run}.db"))
    #expect(!segments.contains(logs.parts[0].path))
    #expect(try sourceSeqs(logs) == [[[1, 2, 3, 4, 5]]])
    for (selector, expected) in [
      ("#1", [[1, 2]]), ("#2", [[1, 2, 3, 4, 5]]), ("01942f00", [[1, 2]]),
      ("all", [[1, 2], [1, 2, 3, 4, 5]]),
    ] as [(String, [[Int64]])] {
      let logs = try resolve(["logs/{run}.db"], selector, .one)
      #expect(try sourceSeqs(logs) == [expected], "\(selector)")
    }
  }

  @Test func `a run in one segment is read from its file`() throws {
    try recordTemplate()
    let logs = try resolve(["logs/{run}.db"], "#1", .one)
    #expect(logs.parts.map(\.path) == [folder("logs/\(Self.first).db")])
    #expect(logs.parts.map(\.name) == logs.parts.map(\.path))
    #expect(logs.parts[0].selector == "latest")
  }

  @Test func `with one part per file segments follow one another`() throws {
    try recordTemplate()
    let logs = try resolve(["logs/{run}.db"], .files)
    #expect(logs.template == folder("logs/{run}.db"))
    #expect(try sourceSeqs(logs) == [[[1, 2, 3]], [[4, 5]]])
    #expect(logs.nextSegment(after: logs.parts[0])?.path == logs.parts[1].path)
    #expect(logs.nextSegment(after: logs.parts[1]) == nil)
    // Of several runs they are not one sequence, nor next to other logs.
    #expect(try resolve(["logs/{run}.db"], "all", .files).template == nil)
    try record("a.db", Self.first, [1])
    #expect(try resolve(["logs/{run}.db", "a.db"], .files).template == nil)
  }

  @Test func `runs of a template are listed with their segments`() throws {
    try recordTemplate()
    let runs = try LogSet.segments(of: folder("logs/{run}.db"))
    #expect(runs.map { $0.map(\.run.id) } == [[Self.first], [Self.second, Self.second]])
    #expect(throws: LogError.self) { try LogSet.segments(of: folder("none/{run}.db")) }
  }

  @Test func `an unknown run of a template is an error with the name of the template`() throws {
    try recordTemplate()
    for selector in ["#3", "#0", "", "0195"] {
      let error = #expect(throws: LogError.self) { try resolve(["logs/{run}.db"], selector, .one) }
      #expect(
        error?.description
          == "\(folder("logs/{run}.db")): has no run '\(selector)'; 'tasklog runs' lists the runs")
    }
    let error = #expect(throws: LogError.self) { try resolve(["logs/{run}.db"], "0194", .files) }
    guard case .ambiguousRun(folder("logs/{run}.db"), "0194", 2)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `only one run of a template can be followed`() throws {
    try recordTemplate()
    let error = #expect(throws: LogSetError.self) {
      try resolve(["logs/{run}.db"], "all", .files, follows: true)
    }
    guard case .severalRunsToFollow(folder("logs/{run}.db"))? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(try resolve(["logs/{run}.db"], .files, follows: true).parts.count == 2)
  }

  // MARK: - Several logs

  @Test func `parts of a run in several logs are merged, other logs are not`() throws {
    try record("a.db", Self.first, [1, 2, 4], isPartial: true)
    try record("b.db", Self.second, [1])
    try record("c.db", Self.first, [2, 3, 6], isPartial: true)
    let names = ["a.db", "b.db", "c.db"]
    #expect(
      try sourceSeqs(resolve(names, .names)) == [[[1, 2, 4]], [[1]], [[2, 3, 6]]])
    let logs = try resolve(names, .groups)
    #expect(logs.parts.map(\.name) == [folder("b.db"), "\(folder("a.db")) + \(folder("c.db"))"])
    #expect(logs.parts.map(\.originCount) == [1, 2])
    #expect(try sourceSeqs(logs) == [[[1]], [[1, 2, 3, 4, 6]]])
    let reader = try logs.parts[1].reader()
    #expect(try reader.missing(of: reader.latest()) == 1)
    logs.remove()
  }

  @Test func `complete runs of several logs are merged only on request`() throws {
    try record("a.db", Self.first, [1, 2])
    try record("b.db", Self.second, [1], started: 2)
    #expect(try resolve(["a.db", "b.db"], .groups).parts.count == 2)
    let one = try resolve(["b.db", "a.db"], .one)
    #expect(try sourceSeqs(one) == [[[1]]])
    #expect(try one.reader().runs().map(\.id) == [Self.first, Self.second])
    // The selection of each log, instead of one of the merged log.
    let each = try resolve(["b.db", "a.db"], .oneOfSelections)
    #expect(try sourceSeqs(each) == [[[1, 2], [1]]])
    #expect(each.named.map(\.path) == [folder("b.db"), folder("a.db")])
  }

  @Test func `out-of-order events are put in order on request`() throws {
    try record("a.db", Self.first, [2, 1, 3], isUnordered: true)
    #expect(try sourceSeqs(resolve(["a.db"], .one)) == [[[1, 2, 3]]])
    #expect(try sourceSeqs(resolve(["a.db"], .groups)) == [[[1, 2, 3]]])
    #expect(try sourceSeqs(resolve(["a.db"], .groups, restoresOrder: false)) == [[[2, 1, 3]]])
    #expect(try sourceSeqs(resolve(["a.db"], .names)) == [[[2, 1, 3]]])
  }

  @Test func `logs of names can be merged later`() throws {
    try record("a.db", Self.first, [2, 1, 3], isUnordered: true)
    let logs = try resolve(["a.db"], .names)
    try logs.merge(.one)
    #expect(try sourceSeqs(logs) == [[[1, 2, 3]]])
    #expect(try sourceSeqs(logs.named[0]) == [[2, 1, 3]])
  }

  @Test func `a run that is live in one of the logs is live in the merged one`() throws {
    try record("a.db", Self.first, [1], isPartial: true, closes: false)
    try record("b.db", Self.first, [3], isPartial: true, closes: false)
    let lock = try RecorderLock(log: folder("b.db"), run: Self.first)
    let logs = try resolve(["a.db", "b.db"], .groups)
    try withExtendedLifetime((lock, logs)) {
      let reader = try logs.reader()
      #expect(try reader.latest().end == .running)
      // The missing event may still arrive.
      #expect(try reader.missing(of: reader.latest()) == 0)
    }
  }

  // MARK: - Temporary files

  @Test func `merged logs are removed with their set, and progress is reported`() throws {
    try recordTemplate()
    try record("a.db", Self.first, [2, 1, 3], isUnordered: true)
    for (names, total) in [(["logs/{run}.db"], 5), (["a.db"], 3)] as [([String], Int64)] {
      var (created, totals, counts) = (0, [Int64](), [Int64?]())
      var environment = LogSet.Environment()
      environment.willCreateScratch = { created += 1 }
      environment.progress = { total in
        totals.append(total)
        return { counts.append($0) }
      }
      var logs: LogSet? = try resolve(names, .one, environment: environment)
      let path = try #require(logs?.parts[0].path)
      #expect(Files.exists(path))
      #expect(created == 1 && totals == [total])
      #expect(counts.contains(total) && counts.last == .some(nil))
      logs = nil
      #expect(!Files.exists(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)])))
    }
  }

  @Test func `a scratch folder is removed with all that is in it, links are not followed`() throws {
    try folder.makeFolder("kept")
    try folder.write("kept/file", "")
    let scratch = ScratchFolder()
    let path = scratch.path("deep/er")
    let parent = path.dropLast("/deep/er".count)
    for name in ["/deep", "/deep/er"] { mkdir(parent + name, 0o700) }
    try Files.write([1], to: path + "/file")
    #expect(symlink(folder("kept"), parent + "/link") == 0)
    scratch.remove()
    #expect(!Files.exists(String(parent)))
    #expect(folder.exists("kept/file"))
  }
}
