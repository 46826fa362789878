import Foundation
import LogMaintenance
import TaskLogKit
import TestTraits
import Testing

/// `tasklog prune --log 'logs/{run}.db'` on a run that was recorded into several segments.
@Suite(.exclusive(.commands)) struct RotatedPruneTests {
  private func prune(_ run: RotatedRun, _ rules: [String]) throws -> [String] {
    try run.csv(["prune"] + rules)
  }

  private func check(_ run: RotatedRun) throws -> [String] {
    let result = try run.run(["check", "--log", "logs/{run}.db", "--format", "jsonl"])
    #expect(result.code == 0, "\(result.output)")
    return result.lines
  }

  /// The remaining segments of a run after the given number of first segments was removed.
  private func sizeWithout(_ count: Int, of run: RotatedRun) -> Int64 {
    run.files.dropFirst(count).reduce(0) { $0 + LogPruning.bytes(of: $1.path) }
  }

  @Test func `events of removed segments count as pruned, and that is reported`() async throws {
    let run = try await RotatedRun.copy()
    let before = run.files
    let all = LogTemplate.files(run.folder("logs/{run}.db"))
    let events = try before.map { try LogReader(path: $0.path).lastSeq() }
    let total = Int64(try run.csv(["query", "--hook", "*", "--count"])[1]) ?? 0
    let rules = ["--max-size", "\(sizeWithout(2, of: run))"]
    let dry = try prune(run, rules + ["--dry-run"])
    #expect(run.files == before)
    #expect(try prune(run, rules) == dry)
    // All of the older run, and two segments of the newer one.
    #expect(dry.count == 1 + (all.count - before.count) + 2)
    #expect(run.files == Array(before.dropFirst(2)))
    let note = "tasklog: \(events[1]) events of run #1 were pruned; the results cover the rest\n"
    for command in [["summary"], ["query", "--count"], ["query", "-n", "1"]] {
      #expect(try run.run(command + ["--log", "logs/{run}.db"]).errors == note, "\(command)")
    }
    #expect(try run.csv(["query", "--hook", "*", "--count"])[1] == "\(total - events[1])")
    let runs = try run.csv(["runs"])
    // Pruned events are reported before events that workers may not have delivered.
    let row = Dictionary(
      uniqueKeysWithValues: zip(
        runs[0].split(separator: ","),
        runs[1].split(separator: ",", omittingEmptySubsequences: false)))
    #expect(row["missing"].map(String.init) == "\(events[1])" && row["incomplete"] == "0")
    let gaps = try run.csv(["query", "SELECT DISTINCT reason, sum(count) FROM gaps GROUP BY 1"])
    #expect(gaps == ["reason,sum(count)", "pruned,\(events[1])"])
    // The first remaining segment has no previous one, the others report only their own content.
    let findings = try check(run)
    #expect(findings.contains { $0.contains("\"pruned-events\"") })
    let first = try LogReader(path: run.files[0].path)
    #expect(try first.runs()[0].previousFile == nil)
    #expect(
      try LogCheck(path: run.files[0].path).run().findings.allSatisfy { $0.kind == .prunedEvents })
    #expect(try first.pruned(of: first.runs()[0]) == events[1])
    #expect(try run.merge(run.files, into: "rest.db") == "")
    #expect(
      try LogCheck(path: run.folder("rest.db")).run().findings
        .allSatisfy { $0.kind == .prunedEvents })
    #expect(try prune(run, rules).count == 1)
  }

  @Test func `segments that are all present fill the gaps of pruned ones`() async throws {
    let run = try await RotatedRun.copy()
    let shared = try await RotatedRun.shared
    _ = try prune(run, ["--max-size", "\(sizeWithout(2, of: run))"])
    #expect(try run.merge(run.files + shared.files, into: "whole.db") == "")
    #expect(try LogCheck(path: run.folder("whole.db")).run().findings.isEmpty)
  }

  @Test func `a story that spans several segments is kept complete`() async throws {
    let run = try await RotatedRun.copy()
    let failed = try run.csv(["query", "--finish", "erred", "--columns", "key"])[1]
    let story = try run.csv(["story", failed])
    let all = run.files.count
    #expect(try prune(run, ["--keep-runs", "0", "--keep-failures"]).count > 5)
    let left = try run.csv(["story", failed])
    #expect(left.count == story.count)
    let keys = try run.csv([
      "query", "SELECT DISTINCT key FROM events WHERE key NOT NULL ORDER BY 1",
    ])
    #expect(keys.dropFirst().map { $0.split(separator: "-")[0] } == ["failing", "needed"])
    // The segment that records how the run ended stays; those without events of the story are
    // removed.
    #expect(run.files.count >= 2 && run.files.count < all)
    #expect(try run.csv(["runs"]).last?.contains(",closed,") == true)
    for line in try check(run) { #expect(line.contains("-events\"") || line.contains("-file\"")) }
    // A second time nothing is removed; without the stories, everything is.
    let kept = run.files.map(\.path)
    _ = try prune(run, ["--keep-runs", "0", "--keep-failures"])
    #expect(run.files.map(\.path) == kept)
    #expect(try run.csv(["story", failed]) == left)
    let count = try run.csv(["query", "--count"])
    #expect(count.count == 2)
    _ = try prune(run, ["--keep-runs", "0"])
    #expect(run.files.isEmpty)
  }

  @Test func `the segment that is being written stays`() async throws {
    let folder = try TemporaryFolder()
    let template = folder("logs/{run}.db")
    let recorder = try Recorder(log: template, options: RotatedRun.options)
    let channel = recorder.channel(for: Source(kind: .scheduler, id: "s", address: "a"))
    var count: Int64 = 0
    let deadline = Deadline(seconds: 120)
    func record(untilFiles wanted: Int) throws {
      while LogTemplate.files(template).count < wanted {
        try #require(!deadline.hasPassed)
        for _ in 0..<100 {
          count += 1
          channel.record(Event(.logEvent, time: count, key: Key("task", Int(count))))
        }
        #expect(recorder.flush(timeoutSeconds: 60))
      }
    }
    try record(untilFiles: 4)
    let pruned = try Command.run(
      ["prune", "--older-than", "0s", "--keep-runs", "0", "--log", template, "--format", "csv"])
    #expect(pruned.code == 0, "\(pruned.errors)")
    let left = LogTemplate.files(template)
    #expect(left.count == 1 && left[0].part >= 4)
    let first = count
    try record(untilFiles: 2)
    recorder.close()
    let whole = try LogMerge(into: folder("whole.db"))
    for file in LogTemplate.files(template) { _ = try whole.add(LogReader(path: file.path)) }
    whole.close()
    let reader = try LogReader(path: folder("whole.db"))
    let run = try reader.runs()[0]
    let gone = try reader.pruned(of: run)
    #expect(gone > 0 && gone <= first)
    #expect(try reader.eventCount(of: run) == count - gone)
    #expect(
      try LogCheck(path: folder("whole.db")).run().findings.map(\.kind) == [.prunedEvents])
  }
}
