import Foundation
import TestTraits
import Testing

/// `tasklog replay` of a part of a run, by its times, to its end.
@Suite(.blocking) struct ReplayPartTests {
  private let folder: PluginFolder

  init() throws { folder = try PluginFolder() }

  @Test func `the omitted part is reported with the options that caused it`() throws {
    let whole = try folder.replay(["--plugin", "counter"])
    #expect(whole.output.contains("counter: 8\n"))
    #expect(!whole.output.contains("part"))
    let part = try folder.replay([
      "--plugin", "counter", "--from", "20", "--to", "seq:60", "--key", "('count', *)",
      "--source", "scheduler",
    ])
    #expect(part.code == 0)
    #expect(
      part.output.contains(
        /\d+ events of run #1 replayed, and plugins called with \d+ events of them \(--from 20 --to seq:60 --source scheduler --key \('count', \*\)\)/
      ), "\(part.output)")
  }

  @Test func `a part up to an event and a part from the next one make up the whole run`()
    throws
  {
    func count(_ arguments: [String]) throws -> Int {
      let result = try folder.replay(["--plugin", "counter"] + arguments)
      #expect(result.code == 0, "\(result.errors)")
      let text = try #require(result.output.firstMatch(of: /counter: (\d+)/)?.1)
      return try #require(Int(text))
    }
    #expect(try count(["--to", "60"]) + count(["--from", "61"]) == 8)
    #expect(try count(["--from", "-1d"]) == 8)
    #expect(try count(["--to", "2020-01-01"]) == 0)
  }

  @Test func `wrong options are refused in one line that says what to write`() throws {
    for (arguments, message) in [
      (
        ["--from", "soon"],
        "--from soon: not a time; write 2026-01-31T12:00:00, 2026-01-31, -10m (s, m, h, d), or seq:100"
      ),
      (["--from", "9", "--to", "3"], "--from 9 is after --to 3"),
      (["--speed", "fast"], "--speed fast: expected a speed such as 1x, 10x or 0.5x, or max"),
      (["--speed", "0x"], "--speed 0x: expected a speed such as 1x, 10x or 0.5x, or max"),
      (
        ["--verify", "--key", "a"],
        "--verify needs all events of a plugin; omit --key"
      ),
      (["--follow", "--run", "all"], nil),
    ] as [([String], String?)] {
      let result = try folder.replay(["--plugin", "counter"] + arguments)
      guard let message else {
        // A single run is the same as all.
        #expect(result.code == 0)
        continue
      }
      #expect(result.code == 64)
      #expect(result.errors == "tasklog: \(message)\n")
      #expect(result.output.isEmpty)
    }
  }

  @Test func `following a run that has ended stops at its end immediately`() throws {
    let result = try folder.replay(["--plugin", "counter", "--follow"])
    #expect(result.code == 0)
    #expect(result.output.contains("counter: 8\n"))
  }

  @Test func `a replay can be paced by recorded times`() throws {
    let result = try folder.replay(["--plugin", "counter", "--speed", "1000x"])
    #expect(result.output.contains("counter: 8\n"))
  }

  @Test func `verify without recorded reports says how to record them`() throws {
    let result = try folder.replay(["--plugin", "counter", "--verify"])
    #expect(result.code == 1)
    #expect(
      result.errors
        == "tasklog: --verify: run #1 has no recorded reports of these plugins; record it with "
        + "Recorder(log:verify:)\n")
  }

  @Test func `a failing plugin is reported with the event, and fail-fast ends there`() throws {
    try folder.write(
      "Picky.swift",
      """
      import TaskLogPlugin

      struct Odd: Error, CustomStringConvertible { var description: String { "how odd" } }

      final class Picky: SchedulerPlugin {
        var calls = 0
        func transition(
          key: Key, start: State, finish: State, stimulusID: String, args: Args
        ) throws {
          calls += 1
          if finish == .memory { throw Odd() }
        }
      }
      """)
    let all = try folder.replay(["--plugin", "Picky.swift", "--plugin", "counter"])
    #expect(all.code == 1)
    #expect(all.output.contains("counter: 8\n"))
    let line =
      /tasklog: plugin 'Picky' on the scheduler failed in transition of '.+' from processing to memory \(seq \d+\): how odd/
    #expect(all.errors.split(separator: "\n").filter { $0.wholeMatch(of: line) != nil }.count > 5)
    let first = try folder.replay(["--plugin", "Picky.swift", "--fail-fast"])
    #expect(first.code == 1)
    #expect(first.errors.split(separator: "\n").count == 1)
    #expect(first.output.contains("; stopped at the first failure"))
  }

  @Test func `a plugin that wants no more events ends the replay`() throws {
    try folder.write(
      "Enough.swift",
      """
      import TaskLogPlugin

      final class Enough: SchedulerPlugin {
        var calls = 0
        func transition(
          key: Key, start: State, finish: State, stimulusID: String, args: Args
        ) throws {
          calls += 1
          if calls == 3 { throw StopReplay() }
        }
      }
      """)
    let result = try folder.replay(["--plugin", "Enough.swift"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.output.contains("calls: 3\n"))
    #expect(result.output.contains("; all plugins asked to stop"))
  }
}
