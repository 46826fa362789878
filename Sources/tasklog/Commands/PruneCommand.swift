import ArgumentParser
import EventLog
import LogFormat
import LogMaintenance
import Querying
import Recording
import TaskLogPlugin

struct PruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Remove old runs from a log, and free their space.",
    discussion: """
      Removes each run that matches a rule, except runs that are being recorded. Each removed run \
      leaves a gap with the reason 'pruned', which every command reports. Other processes may \
      record, read and follow the log meanwhile. If the command is killed, the log stays intact, \
      and the next prune completes the work.

      With a name like logs/{run}.db, where each run has its own file, the rules apply to all the \
      files together, and empty files are removed.

      Examples:
        tasklog prune --older-than 7d --dry-run
        tasklog prune --keep-runs 20 --keep-failures
        tasklog prune --max-size 2GiB
      """)

  @OptionGroup var log: LogOptions

  @Option(
    help: ArgumentHelp(
      "Remove runs that ended longer ago than this (90s, 30m, 12h, 7d), or before a date.",
      valueName: "age"))
  var olderThan: String?

  @Option(help: ArgumentHelp("Keep only this number of the newest runs.", valueName: "count"))
  var keepRuns: Int?

  @Option(
    help: ArgumentHelp(
      "Remove the oldest runs until the log is at most this large (500MB, 2GiB).",
      valueName: "size"))
  var maxSize: String?

  @Flag(help: "Keep the stories of failed tasks and of their dependencies.")
  var keepFailures = false

  @Flag(help: "Only show which runs would be removed.")
  var dryRun = false

  @OptionGroup var format: FormatOptions

  func run() throws {
    let rules = try rules()
    let paths = LogTemplate.all(log.given)
    if !dryRun { for path in paths { _ = try LogOptions.recovered(path) } }
    var done: [Pruned] = []
    if dryRun {
      done = try chosen(rules, paths)
    } else {
      try reclaimLeftoverSpace(paths)
      // The new size of a log is only known afterwards, so this repeats while it is too large.
      while true {
        let doneNames = Set(done.map(\.name))
        let chosen = try chosen(rules, paths.filter(Self.exists)).filter {
          !doneNames.contains($0.name)
        }
        guard !chosen.isEmpty else { break }
        done += try prune(chosen)
      }
    }
    try write(done, rules, paths)
  }

  private func chosen(_ rules: RetentionPolicy, _ paths: [String]) throws -> [Pruned] {
    rules.choose(try RetentionPolicy.candidates(paths, withEmpty: isTemplate), bytes: bytes(paths))
      .map(Pruned.init).filter { $0.events > 0 || isRemovable($0.candidate.path) }
  }

  private func rules() throws -> RetentionPolicy {
    var rules = RetentionPolicy()
    if let olderThan {
      let (now, option) = (Clock.now(), "--older-than")
      // An age, or else a date.
      let time =
        (try? FilterParsing.time("-" + olderThan, option: option, now: now))
        ?? (try? FilterParsing.time(olderThan, option: option, now: now))
      guard let time, !olderThan.hasPrefix("-") else {
        throw Failure.usage(
          "\(option) \(olderThan.isEmpty ? "''" : olderThan): expected an age such as 90s, 30m, "
            + "12h or 7d, or a date such as 2026-01-31")
      }
      rules.endedBefore = time
    }
    if let keepRuns {
      guard keepRuns >= 0 else {
        throw Failure.usage("--keep-runs \(keepRuns): expected 0 or more")
      }
      rules.keptRuns = keepRuns
    }
    rules.maximumBytes = try maxSize.map { text in
      guard let bytes = Quantity.bytes(text) else {
        throw Failure.usage(
          "--max-size \(text.isEmpty ? "''" : text): expected a size such as 500MB or 2GiB")
      }
      return Int64(bytes)
    }
    guard olderThan != nil || keepRuns != nil || maxSize != nil else {
      throw Failure.usage("name a rule: --older-than, --keep-runs or --max-size")
    }
    return rules
  }

  private func bytes(_ paths: [String]) -> Int64 {
    paths.reduce(0) { $0 + LogPruning.bytes(of: $1) }
  }

  private static func exists(_ path: String) -> Bool { LogPruning.bytes(of: path) > 0 }

  /// Frees the space that a killed prune command has left empty.
  private func reclaimLeftoverSpace(_ paths: [String]) throws {
    for path in paths where try LogReader(path: path).freeBytes() > 0 {
      let pruning = try LogPruning(path: path)
      defer { pruning.close() }
      _ = try pruning.reclaimSpace()
    }
  }

  // MARK: - Pruning

  /// A run to remove, with the number of its events.
  private struct Pruned {
    var candidate: RetentionPolicy.Candidate
    var reason: RetentionPolicy.Reason
    var events: Int64

    init(_ chosen: (candidate: RetentionPolicy.Candidate, reason: RetentionPolicy.Reason)) {
      (candidate, reason) = chosen
      events = candidate.events
    }

    var name: String { candidate.path + "#" + candidate.run.id }
  }

  private func prune(_ chosen: [Pruned]) throws -> [Pruned] {
    var done: [Pruned] = []
    var paths: [String] = []
    for run in chosen where !paths.contains(run.candidate.path) { paths.append(run.candidate.path) }
    for path in paths {
      let selected = chosen.filter { $0.candidate.path == path }
      let others = files(besides: path)
      if !keepFailures, isRemovable(path), try isAll(selected, path) {
        if try RunFileRemoval(path).remove(others: others) { done += selected }
        continue
      }
      done += try prune(selected, in: path)
      // The file is empty: no task had failed.
      if isRemovable(path), try isAll([], path) {
        _ = try RunFileRemoval(path).remove(others: others)
      }
    }
    return done
  }

  /// The other segments of the run of a file.
  private func files(besides path: String) -> [String] {
    let files = LogTemplate.files(log.given)
    let run = files.first { $0.path == path }?.run
    return files.filter { $0.run == run && $0.path != path }.map(\.path)
  }

  /// Whether an empty file may be removed. The last segment of a run that is kept in part must
  /// stay: it has the end of the run and the gap of its pruned events.
  private func isRemovable(_ path: String) -> Bool {
    guard isTemplate else { return false }
    let files = LogTemplate.files(log.given)
    guard let file = files.first(where: { $0.path == path }) else { return true }
    let parts = files.filter { $0.run == file.run }
    return parts.count == 1 || parts.last != file
  }

  private var isTemplate: Bool { LogTemplate.isTemplate(log.given) }

  private func isAll(_ chosen: [Pruned], _ path: String) throws -> Bool {
    let ids = Set(chosen.map(\.candidate.run.id))
    return try LogReader(path: path).runs().allSatisfy {
      $0.end != .running && (ids.contains($0.id) || $0.firstSeq == nil)
    }
  }

  private func prune(_ chosen: [Pruned], in path: String) throws -> [Pruned] {
    let pruning = try LogPruning(path: path)
    defer { pruning.close() }
    var bar = ProgressBar(
      total: chosen.reduce(0) { $0 + $1.candidate.events }, noun: "events")
    defer { bar.finish() }
    var before: Int64 = 0
    let done = try chosen.map { run in
      var run = run
      run.events = try pruning.prune(
        run.candidate.run, keepingFailures: keepFailures, files: [path] + files(besides: path)
      ) { bar.show(before + $0) }
      before += run.candidate.events
      return run
    }
    bar.finish()
    let pendingBytes = try pruning.reclaimSpace()
    if pendingBytes > 0 {
      Console.warn(
        "\(path): \(Quantity.text(bytes: pendingBytes)) will be freed when no command reads the log"
      )
    }
    return done
  }

  // MARK: - Output

  private func write(_ done: [Pruned], _ rules: RetentionPolicy, _ paths: [String]) throws {
    let columns = [
      Column("run"), Column("id", rank: 2, leastWidth: 36), Column("log", rank: 3),
      Column("started", .date, rank: 1), Column("ended", .date), Column("events"),
      Column("rule", .state),
    ]
    if !done.isEmpty || !format.isTable {
      try format.write(
        Report([
          Report.Table(
            "pruned", title: "Pruned", columns: columns,
            rows: done.map { pruned in
              let run = pruned.candidate.run
              return [
                .integer(run.number), .text(run.id), .text(pruned.candidate.path),
                .text(Timestamp.iso(run.started)),
                run.ended.map { .text(Timestamp.iso($0)) } ?? .null, .integer(pruned.events),
                .text(pruned.reason.rawValue),
              ]
            })
        ]))
    }
    let remaining = bytes(paths)
    if format.isTable {
      let events = Printable.count(done.reduce(0) { $0 + $1.events }, "event")
      let runs = Printable.count(done.count, "run")
      Console.print(
        dryRun
          ? "\(events) of \(runs) would be pruned; current size \(Quantity.text(bytes: remaining))"
          : "\(events) of \(runs) pruned; current size \(Quantity.text(bytes: remaining))")
    }
    if let limit = rules.maximumBytes, remaining > limit, !dryRun {
      Console.warn(
        "--max-size: \(Quantity.text(bytes: remaining)) remain, "
          + "more than \(Quantity.text(bytes: limit)): live runs, and what the options keep, are "
          + "not pruned")
    }
  }
}
