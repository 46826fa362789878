import ArgumentParser
import EventLog
import Glibc
import LogFormat
import LogMaintenance
import Querying
import Replaying
import TaskLogPlugin

/// The options for a replay of each of many runs.
struct BacktestOptions: ParsableArguments {
  @Flag(help: "Replay each run in a separate process, several at once, and print one table.")
  var each = false

  @Option(
    help: ArgumentHelp(
      "With --each: keep results in this file, and skip the runs that succeeded before.",
      valueName: "path"), completion: .file())
  var resume: String?

  @OptionGroup var format: FormatOptions

  /// Where a process for one run writes its result, and by which process it was started.
  @Option(help: .hidden)
  var resultFile: String?

  @Option(help: .hidden)
  var startedBy: Int32?

  func validate() throws {
    guard !each else { return }
    if resume != nil { throw ValidationError("--resume requires --each") }
    if format.format != nil { throw ValidationError("--format requires --each") }
  }
}

/// Replays each of many runs in a separate process, so that a plugin that crashes ends only its own.
struct Backtest {
  private let archive: RunArchive
  private let arguments: [String]
  private let scratch = ScratchFolder(willCreate: ScratchRemoval.watch)

  /// - Parameter archive: the named logs.
  init(_ archive: RunArchive) {
    self.archive = archive
    arguments = Self.repeated(Array(CommandLine.arguments.dropFirst()))
  }

  /// The arguments for a process, without those that select runs or are about the table.
  private static func repeated(_ arguments: [String]) -> [String] {
    let withValue = ["--log", "--run", "--runs", "--resume", "--format"]
    var kept: [String] = []
    var index = 0
    while index < arguments.count {
      let word = arguments[index]
      index += 1
      if word == "--" { return kept + arguments[(index - 1)...] }
      if word == "--each" { continue }
      if withValue.contains(word) {
        index += 1
      } else if !withValue.contains(where: { word.hasPrefix($0 + "=") }) {
        kept.append(word)
      }
    }
    return kept
  }

  // MARK: - The processes

  /// Replays runs and writes a row for each report; returns the exit code.
  ///
  /// - Throws: `Failure`.
  func run(_ indexes: [Int], _ options: BacktestOptions) throws -> Int32 {
    let results = try options.resume.map { try BacktestResults(path: $0, arguments) }
    let known = indexes.reduce(into: [String: BacktestResult]()) { known, index in
      // A run may have got more events since.
      if let result = results?.succeeded[archive.id(index)],
        result.extent == archive.extent(index)
      {
        known[result.id] = result
      }
    }
    let todo = indexes.filter { known[archive.id($0)] == nil }
    let commands = todo.enumerated().map { place, index in
      Command(
        arguments: archive.paths(index).map { "--log=\($0)" }
          + ["--run=\(archive.id(index))", "--started-by=\(getpid())"] + arguments.dropFirst(),
        result: scratch.path("result-\(place)"), words: scratch.path("words-\(place)"))
    }
    defer { scratch.remove() }
    var bar = ProgressBar(total: Int64(todo.count), noun: "runs")
    var fresh: [String: BacktestResult] = [:]
    var problem: (any Error)?
    ParallelMap.forEach(commands.count) {
      commands[$0].run()
    } take: { place, result in
      guard var result = try? result.get() else { return }
      result.id = archive.id(todo[place])
      result.extent = archive.extent(todo[place])
      fresh[result.id] = result
      do { try results?.add(result) } catch { problem = problem ?? error }
      bar.show(Int64(fresh.count))
    }
    bar.finish()
    let all = indexes.compactMap { known[archive.id($0)] ?? fresh[archive.id($0)] }
    try options.format.write(table(zip(indexes, all)))
    if let problem { throw problem }
    summarize(all, skipped: indexes.count - todo.count)
    return all.map(\.outcome).max()?.exitCode ?? 0
  }

  private struct Command: Sendable {
    var arguments: [String]
    var result: String
    var words: String

    func run() -> BacktestResult {
      let start = ContinuousClock.now
      let code = spawn()
      var found = BacktestResult(file: result)
      found.seconds = (ContinuousClock.now - start) / .seconds(1)
      found.outcome = BacktestResult.Outcome(exitCode: code)
      if found.outcome != .exact, found.error == nil {
        found.error = lastWords ?? "it ended with exit code \(code)"
      }
      unlink(result)
      unlink(words)
      return found
    }

    /// The last message of the process, which may follow what a plugin has written.
    private var lastWords: String? {
      let descriptor = open(words, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return nil }
      defer { close(descriptor) }
      // A plugin may have written much before it.
      lseek(descriptor, max(0, lseek(descriptor, 0, SEEK_END) - 1 << 16), SEEK_SET)
      guard let text = try? InputFile.text(of: descriptor, words),
        let line = text.split(whereSeparator: \.isNewline).last
      else { return nil }
      let prefix = "tasklog: "
      return String(line.ranges(of: prefix).last.map { line[$0.upperBound...] } ?? line)
    }

    /// The exit code, or 128 and the signal, as a shell has it.
    private func spawn() -> Int32 {
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
      posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
      posix_spawn_file_actions_addopen(
        &actions, STDERR_FILENO, words, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
      let line = ["tasklog", "replay", "--result-file=\(result)"] + arguments
      var texts: [UnsafeMutablePointer<CChar>?] = line.map { strdup($0) } + [nil]
      defer { for text in texts { free(text) } }
      var process = pid_t()
      guard posix_spawn(&process, "/proc/self/exe", &actions, nil, &texts, environ) == 0 else {
        return 127
      }
      var status: Int32 = 0
      while waitpid(process, &status, 0) < 0 { if errno != EINTR { return 127 } }
      let signal = status & 0x7F
      return signal == 0 ? (status >> 8) & 0xFF : 128 + signal
    }
  }

  // MARK: - The table

  private func table(_ rows: some Sequence<(Int, BacktestResult)>) -> Report {
    let columns: [Column] = [
      Column("run"), Column("id", rank: 4, leastWidth: 12), Column("outcome"),
      Column("plugin", rank: 2, leastWidth: 8), Column("worker", .address, rank: 3),
      Column("report", .json, leastWidth: 20), Column("events", rank: 3),
      Column("seconds", .seconds, rank: 3), Column("error", leastWidth: 20),
      Column("log", rank: 1, leastWidth: 16),
    ]
    let table = Report.Table("runs", title: "Replays", columns: columns) { emit in
      for (index, result) in rows {
        let reports =
          result.reports.isEmpty ? [BacktestResult.PluginReport()] : result.reports
        for report in reports {
          try emit([
            .integer(Int64(index + 1)), .text(result.id), .text(result.outcome.name),
            report.plugin.map(SQLiteValue.text) ?? .null,
            report.worker.map(SQLiteValue.text) ?? .null,
            report.report.map { .text(JSONWriter.text($0)) } ?? .null,
            result.events.map(SQLiteValue.integer) ?? .null,
            .real((result.seconds * 1000).rounded() / 1000),
            result.error.map(SQLiteValue.text) ?? .null,
            .text(archive.paths(index).joined(separator: " + ")),
          ])
        }
      }
    }
    return Report([table.onTerminal(first: ["run", "outcome", "plugin", "report", "error"])])
  }

  private func summarize(_ all: [BacktestResult], skipped: Int) {
    let bad = BacktestResult.Outcome.allCases.filter { $0 != .exact }.compactMap { outcome in
      let count = all.count { $0.outcome == outcome }
      return count > 0 ? "\(count) \(outcome.name)" : nil
    }
    guard !bad.isEmpty || skipped > 0 else { return }
    let parts = bad + (skipped > 0 ? ["\(skipped) known from an earlier call"] : [])
    Console.warn("of \(Units.count(Int64(all.count), "run")): \(parts.joined(separator: ", "))")
  }
}
