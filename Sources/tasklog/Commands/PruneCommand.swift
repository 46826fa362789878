import ArgumentParser
import EventLog
import Filters
import LogFormat
import LogMaintenance
import Querying
import Recording
import TaskLogPlugin

struct PruneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prune",
    abstract: "Take old runs out of a log, and give the space back.",
    discussion: """
      A run goes when one of the rules says so; one that is being recorded never does. What goes \
      leaves a gap with the reason 'pruned', which every command tells of. Others may record, read \
      and follow the log meanwhile, and the command may be killed at any moment: the log stays whole, \
      and the next time it is finished.

      With a name like logs/{run}.db, under which each run has its own file, the rules are those of \
      all the files together, and a file of which nothing is left is removed.

      Examples:
        tasklog prune --older-than 7d --dry-run
        tasklog prune --keep-runs 20 --keep-failures
        tasklog prune --max-size 2GiB
      """)

  @OptionGroup var log: LogOptions

  @Option(
    help: ArgumentHelp(
      "Runs that ended so long ago (90s, 30m, 12h, 7d), or before a date.", valueName: "age"))
  var olderThan: String?

  @Option(help: ArgumentHelp("All runs but so many of the newest.", valueName: "count"))
  var keepRuns: Int?

  @Option(
    help: ArgumentHelp(
      "The oldest runs, until at most so much is left (500MB, 2GiB).", valueName: "size"))
  var maxSize: String?

  @Flag(help: "Keep the stories of tasks that failed, and of what they needed.")
  var keepFailures = false

  @Flag(help: "Only show what would go.")
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
      try finishLast(paths)
      // By how much a log shrinks is only known afterwards: so once more as long as it is too large.
      while true {
        let known = Set(done.map(\.name))
        let chosen = try chosen(rules, paths.filter(Self.isThere)).filter {
          !known.contains($0.name)
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
      // So long ago, or else a date.
      let time =
        (try? FilterParsing.time("-" + olderThan, option: option, now: now))
        ?? (try? FilterParsing.time(olderThan, option: option, now: now))
      guard let time, !olderThan.hasPrefix("-") else {
        throw Failure.usage(
          "\(option) \(olderThan.isEmpty ? "''" : olderThan): no age; write 90s, 30m, 12h, 7d, or a "
            + "date, as 2026-01-31")
      }
      rules.endedBefore = time
    }
    if let keepRuns {
      guard keepRuns >= 0 else {
        throw Failure.usage("--keep-runs \(keepRuns): cannot be negative; 0 or more")
      }
      rules.keptRuns = keepRuns
    }
    rules.maximumBytes = try maxSize.map(ByteSize.read)
    guard olderThan != nil || keepRuns != nil || maxSize != nil else {
      throw Failure.usage("give a rule: --older-than, --keep-runs or --max-size")
    }
    return rules
  }

  private func bytes(_ paths: [String]) -> Int64 {
    paths.reduce(0) { $0 + LogPruning.bytes(of: $1) }
  }

  private static func isThere(_ path: String) -> Bool { LogPruning.bytes(of: path) > 0 }

  /// Gives back what a command that was killed has left empty.
  private func finishLast(_ paths: [String]) throws {
    for path in paths where try LogReader(path: path).freeBytes() > 0 {
      let pruning = try LogPruning(path: path)
      defer { pruning.close() }
      _ = try pruning.reclaimSpace()
    }
  }

  // MARK: - Doing it

  /// What became of a run.
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
    for one in chosen where !paths.contains(one.candidate.path) { paths.append(one.candidate.path) }
    for path in paths {
      let mine = chosen.filter { $0.candidate.path == path }
      let others = files(besides: path)
      if !keepFailures, isRemovable(path), try isAll(mine, path) {
        if try RunFileRemoval(path).remove(others: others) { done += mine }
        continue
      }
      done += try prune(mine, in: path)
      // No task had failed.
      if isRemovable(path), try isAll([], path) {
        _ = try RunFileRemoval(path).remove(others: others)
      }
    }
    return done
  }

  /// The other files of the run that one of the files belongs to.
  private func files(besides path: String) -> [String] {
    let files = LogTemplate.files(log.given)
    let run = files.first { $0.path == path }?.run
    return files.filter { $0.run == run && $0.path != path }.map(\.path)
  }

  /// Whether a file may go when nothing is left in it. Of a run of which something stays the last one
  /// tells how it ended, and that what was in it is gone.
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
    let done = try chosen.map { one in
      var one = one
      one.events = try pruning.prune(
        one.candidate.run, keepingFailures: keepFailures, files: [path] + files(besides: path)
      ) { bar.show(before + $0) }
      before += one.candidate.events
      return one
    }
    bar.finish()
    let kept = try pruning.reclaimSpace()
    if kept > 0 {
      Console.complain(
        "\(path): \(ByteSize.text(kept)) are given back when nobody reads the log any more")
    }
    return done
  }

  // MARK: - Telling it

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
            rows: done.map { one in
              let run = one.candidate.run
              return [
                .integer(run.number), .text(run.id), .text(one.candidate.path),
                .text(Timestamp.iso(run.started)),
                run.ended.map { .text(Timestamp.iso($0)) } ?? .null, .integer(one.events),
                .text(one.reason.rawValue),
              ]
            })
        ]))
    }
    let left = bytes(paths)
    if format.isTable {
      let events = Printable.count(done.reduce(0) { $0 + $1.events }, "event")
      let runs = Printable.count(done.count, "run")
      Console.print(
        dryRun
          ? "\(events) of \(runs) would go; now it takes \(ByteSize.text(left))"
          : "\(events) of \(runs) pruned; now it takes \(ByteSize.text(left))")
    }
    if let most = rules.maximumBytes, left > most, !dryRun {
      Console.complain(
        "--max-size: \(ByteSize.text(left)) are left, more than \(ByteSize.text(most)): runs that are "
          + "being recorded, and what was to be kept, stay")
    }
  }
}

/// Sizes as people write them.
enum ByteSize {
  static func read(_ text: String) throws -> Int64 {
    guard let bytes = Quantity.bytes(text) else {
      throw Failure.usage(
        "--max-size \(text.isEmpty ? "''" : text): write a size, as 500MB or 2GiB")
    }
    return Int64(bytes)
  }

  static func text(_ bytes: Int64) -> String {
    var (value, unit) = (Double(bytes), 0)
    let names = ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 1000, unit < names.count - 1 {
      value /= 1000
      unit += 1
    }
    return unit == 0 ? "\(bytes) bytes" : "\((value * 10).rounded() / 10) \(names[unit])"
  }
}
