import Foundation
import TaskLogPlugin
import TestSupport
import Testing

@testable import EventLog
@testable import Explaining
@testable import LogFormat

/// The index of placements leads to the same choices as the state that is rebuilt from all events.
@Suite struct PlacementIndexTests {
  private let folder: TemporaryFolder
  private let index: PlacementIndex

  init() throws {
    folder = try TemporaryFolder()
    try FileManager.default.createDirectory(
      atPath: folder("cache"), withIntermediateDirectories: false)
    index = PlacementIndex(folder: folder("cache"))
  }

  /// All choices and steals, in full.
  private struct Found: Equatable {
    var choices: [String] = []
    var steals: [String] = []
  }

  private func rebuilt(_ walk: PlacementWalk, of key: Key? = nil) throws -> Found {
    var expected = Found()
    try walk.run(of: key) {
      expected.choices.append("\($0)")
    } steal: {
      expected.steals.append("\($0)")
    }
    return expected
  }

  private func indexed(_ walk: PlacementWalk, _ file: PlacementIndexFile) throws -> Found {
    var expected = Found()
    let isRead = try walk.read(file) {
      expected.choices.append("\($0)")
    } steal: {
      expected.steals.append("\($0)")
    }
    #expect(isRead)
    return expected
  }

  /// Compares all choices of a run, and returns them.
  private func compare(_ reader: LogReader, _ run: RunInfo) throws -> Found {
    #expect(try index.build(reader, run) == nil)
    var all = Found()
    for walk in try PlacementWalk.walks(reader, run) {
      guard try reader.last(of: walk.source) != nil else { continue }
      let file = try #require(try index.file(reader, run, walk.source, through: 0))
      let expected = try rebuilt(walk)
      let found = try indexed(walk, file)
      for (a, b) in zip(expected.choices, found.choices) where a != b {
        Issue.record("rebuilt \(a)\nindexed \(b)")
        break
      }
      #expect(expected.choices.count == found.choices.count)
      #expect(expected.steals == found.steals)
      all.choices += expected.choices
      all.steals += expected.steals
    }
    return all
  }

  private func log(_ events: [Event], engine: String, name: String = "log.db") throws -> String {
    let path = folder(name)
    let writer = try LogWriter(path: path)
    try writer.transaction {
      var header = RunHeader.test()
      (header.engine, header.engineVersion) = (engine, PlacementWalk.rulesVersion)
      let run = try writer.add(header)
      let source = try writer.add(.scheduler, run: run)
      for (index, event) in events.enumerated() {
        try writer.append(event, source: source, sourceSeq: Int64(index) + 1)
      }
    }
    writer.close()
    return path
  }

  // MARK: - The same

  @Test(arguments: ["dask", "tasklog"], 0..<12)
  func `random runs lead to the same choices`(engine: String, seed: Int) throws {
    let random = Randomness.generator(UInt64(500 + seed))
    let events = RandomRun(random, count: Randomness.count).events
    let reader = try LogReader(path: log(events, engine: engine))
    let expected = try compare(reader, reader.latest())
    #expect(expected.choices.count > Randomness.count / 20)
    if engine == "dask" { #expect(!expected.steals.isEmpty) }
  }

  @Test(arguments: ["v1-dask", "v2-dask", "v1-demo", "v2-demo"])
  func `recorded runs lead to the same choices`(name: String) throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../CommandTests/Frozen/\(name).db").standardized.path
    try FileManager.default.copyItem(atPath: path, toPath: folder("log.db"))
    let reader = try LogReader(path: folder("log.db"))
    var count = 0
    for run in try reader.runs(matching: "all") { count += try compare(reader, run).choices.count }
    #expect(count > 0)
  }

  @Test func `a task is explained as if the state were rebuilt for it`() throws {
    let events = RandomRun(Randomness.generator(77), count: 3000).events
    let reader = try LogReader(path: log(events, engine: "dask"))
    let run = try reader.latest()
    #expect(try index.build(reader, run) == nil)
    let (plain, fast) = (try TaskHistory(reader, run), try TaskHistory(reader, run, index: index))
    var chosen = 0
    for event in events where event.hook == .transition && event.finish == .memory {
      guard let key = event.key else { continue }
      guard case .key(let number)? = try reader.subjects(named: key.text).first else { continue }
      let expected = try plain.explanation(ofKey: number)
      #expect("\(expected)" == "\(try fast.explanation(ofKey: number))")
      chosen += expected.choices.count
    }
    #expect(chosen > 20)
  }

  @Test func `a steal of a task that no later event ends is shown`() throws {
    let events = RandomRun(Randomness.generator(80), count: 3000).events
    let reader = try LogReader(path: log(events, engine: "dask"))
    var steals: [RecordedSteal] = []
    for walk in try PlacementWalk.walks(reader, reader.latest()) {
      try walk.run { _ in
      } steal: {
        steals.append($0)
      }
    }
    let steal = try #require(steals.last)
    let cut = Array(events.prefix(Int(steal.seq)))
    let key = try #require(cut.last?.key)
    let short = try LogReader(path: log(cut, engine: "dask", name: "short.db"))
    let run = try short.latest()
    #expect(try index.build(short, run) == nil)
    guard case .key(let number)? = try short.subjects(named: key.text).first else {
      Issue.record("no key \(key)")
      return
    }
    for history in [try TaskHistory(short, run), try TaskHistory(short, run, index: index)] {
      let last = try history.explanation(ofKey: number).sentences.last {
        $0.evidence.last == steal.seq
      }
      #expect(try #require(last).text.contains("stole it from"))
    }
  }

  @Test func `an index that ends early has all choices up to its end`() throws {
    let events = RandomRun(Randomness.generator(81), count: 2000).events
    let reader = try LogReader(path: log(events, engine: "dask"))
    let walk = try #require(try PlacementWalk.walks(reader, reader.latest()).first)
    for limit in [1, 500, 2000] {
      var bytes: [UInt8] = []
      let rules = walk.rules()
      let writer = PlacementIndexWriter(rules, limit: limit) { bytes += $0 }
      var expected: [Int64] = []
      try walk.run(rules, through: .max) {
        writer.mark($0.event)
      } after: {
        writer.mark($0.event)
      } placement: {
        expected.append($0.seq)
        writer.add($0, $1)
      } steal: {
        writer.add($0, ofKey: $1.keyNumber)
      }
      writer.flush()
      #expect(writer.isEnded)
      var found: [Int64] = []
      try bytes.withUnsafeBytes { bytes in
        var reader = PlacementIndexReader(isDask: true)
        try reader.read(
          bytes, through: .max, choicesOf: { _ in true }, stealsOf: { _ in true },
          choice: { seq, _ in found.append(seq) }, steal: { _ in })
      }
      #expect(found == expected.filter { $0 <= writer.lastSeq })
    }
  }

  // MARK: - Files

  @Test func `without an index none is made, and a damaged or outdated one is not used`() throws {
    let events = RandomRun(Randomness.generator(78), count: 2000).events
    let path = try log(events, engine: "dask")
    let reader = try LogReader(path: path)
    let run = try reader.latest()
    let source = try #require(try PlacementWalk.walks(reader, run).first).source
    func file() throws -> PlacementIndexFile? {
      try index.file(reader, run, source, through: 0)
    }
    #expect(try file() == nil)
    #expect(try index.build(reader, run) == nil)
    #expect(try file() != nil)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder("cache"))
    let name = folder("cache/\(try #require(names.first))")
    #expect(names.count == 1)
    #expect(try Files.mode(name) == 0o600)
    #expect(try index.file(reader, run, source, through: .max) == nil)

    let content = try Files.read(name)
    for place in [0, content.count / 2, content.count - 1] {
      var damaged = content
      damaged[place] ^= 1
      try Files.write(damaged, to: name)
      #expect(try file() == nil)
    }
    try Files.write(Array(content.prefix(content.count / 2)), to: name)
    #expect(try file() == nil)
    try Files.write(content, to: name)
    #expect(try file() != nil)
    // Events that were there are gone.
    try sql("DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)", on: path)
    #expect(try file() == nil)
  }

  @Test func `what another process writes is left to it`() throws {
    let path = folder("cache/index")
    let first = PlacementIndexSink(path)
    let other = PlacementIndexSink(path)
    #expect(first.reason == nil && other.reason != nil)
    other.cancel()
    let source = try log(RandomRun(Randomness.generator(80), count: 50).events, engine: "dask")
    let reader = try LogReader(path: source)
    let walk = try #require(try PlacementWalk.walks(reader, reader.latest()).first)
    let end = try #require(
      try PlacementIndexEnd("index", reader, walk.source, last: 1, through: 1))
    #expect(first.finish(end) == nil)
    first.cancel()
    #expect(PlacementIndexFile(path)?.end == end)
  }

  @Test func `bytes that are not an index are refused`() throws {
    var random = Randomness.generator(79)
    var refused = 0
    for _ in 0..<500 {
      let bytes = (0..<64).map { _ in UInt8(random.below(random.once(in: 2) ? 13 : 256)) }
      do {
        try bytes.withUnsafeBytes { bytes in
          var reader = PlacementIndexReader(isDask: true)
          try reader.read(
            bytes, through: .max, choicesOf: { _ in true }, stealsOf: { _ in true },
            choice: { _, _ in }, steal: { _ in })
        }
      } catch is DamagedIndex {
        refused += 1
      }
    }
    #expect(refused > 400)
  }
}
