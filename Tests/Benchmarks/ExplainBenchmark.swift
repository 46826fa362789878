import Glibc
import TestSupport

/// The time of `explain KEY` for tasks early and late in a large log, with and without the index of
/// placements, next to the story of the same task, and to the walk through all events before it.
///
/// Whole processes of the `tasklog` in the same folder as this program.
struct ExplainBenchmark {
  var events: Int
  var rounds: Int
  /// Where logs are kept between runs of the benchmark; `nil` if they are not.
  var folder: String?

  func run() throws {
    let temporary = try TemporaryFolder()
    let log = "\(folder ?? temporary.path)/explain-\(events).db"
    if access(log, F_OK) != 0 {
      let writing = try Process.run([
        CommandLine.arguments[0], "--events", "\(events)", "--write-explain-log", log,
      ])
      say("\(events) events written in \(rounded(writing.seconds, 10)) s")
    }
    setenv("XDG_CACHE_HOME", temporary.path + "/cache", 1)
    let tasks = ExplainLog(events: events).tasks
    let keys = [20, 10, 2, 1].map { part -> (share: Int, key: String) in
      // One with inputs, and not the last ones, which are alone.
      (100 / part, ExplainLog.key((tasks - 2000) / part / 5 * 5 + 4).text)
    }
    func explain(_ key: String, _ more: [String] = []) throws -> Process.Result {
      try Process.run([tasklogProgram, "explain", key, "--log", log] + more)
    }
    func story(_ key: String) throws -> Process.Result {
      try Process.run([tasklogProgram, "story", key, "--log", log])
    }
    let late = keys[3].key
    let without = try Figure(rounds, { try explain(late) }, next: { try story(late) })
    say("explain KEY without an index, if that would read over a million events: \(without.text)")
    // Without a folder for an index all events are read each time.
    setenv("XDG_CACHE_HOME", "/dev/null", 1)
    let walk = try explain(late, ["--full"])
    setenv("XDG_CACHE_HOME", temporary.path + "/cache", 1)
    say("explain KEY --full without a cache: \(walk.text)")
    let first = try explain(late, ["--full"])
    say(
      "the first explain KEY --full, which keeps the index: \(first.text), "
        + "\(rounded(first.seconds / walk.seconds, 100)) of that")
    for (share, key) in keys {
      let figure = try Figure(rounds, { try explain(key) }, next: { try story(key) })
      say(
        "explain KEY at \(share) %: \(figure.text), "
          + "1/\(rounded(walk.seconds / figure.seconds, 1)) of reading all events")
    }
  }

  /// A median, and its ratio to what was measured in turns with it.
  private struct Figure {
    var seconds: Double
    var bytes: Int
    var ratio: Double

    init(
      _ rounds: Int, _ body: () throws -> Process.Result, next: () throws -> Process.Result
    ) throws {
      var (own, others): ([Double], [Double]) = ([], [])
      var most = 0
      // One uncounted round fills the system's cache.
      for round in 0...rounds {
        let result = try body()
        let other = try next()
        most = max(most, result.bytes)
        if round > 0 {
          own.append(result.seconds)
          others.append(other.seconds)
        }
      }
      (seconds, bytes) = (median(own), most)
      ratio = median(zip(own, others).map { $0 / $1 })
    }

    var text: String {
      "\(rounded(seconds, 1000)) s, \(bytes >> 20) MiB, \(rounded(ratio, 10)) times `story KEY`"
    }
  }
}

extension Process.Result {
  fileprivate var text: String { "\(rounded(seconds, 100)) s, \(bytes >> 20) MiB" }
}
