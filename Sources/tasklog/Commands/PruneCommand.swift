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

      With a name like logs/{run}.db, a folder or a pattern the rules apply to all the logs \
      together, links in a folder left out. A file that is named after its run is removed when it \
      is empty; a file for many runs stays.

      Examples:
        tasklog prune --older-than 7d --dry-run
        tasklog prune --keep-runs 20 --keep-failures
        tasklog prune --log . --max-size 2GiB
      """)

  @OptionGroup var logs: LogsOptions

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
    let retention = try LogRetention(
      names: logs.given, rules: rules, keepsFailures: keepFailures
    ) { _, error in
      Console.omit("\(error); it is not pruned")
    }
    guard !dryRun else { return try write(try retention.chosen(), retention) }
    for path in try retention.paths() {
      _ = try retention.attempt(path) { _ = try LogOptions.recovered(path) }
    }
    var progress = LogRetention.Progress()
    progress.begin = { events in
      var bar = ProgressBar(total: events, noun: "events")
      return { done in
        if let done { bar.show(done) } else { bar.finish() }
      }
    }
    progress.pending = { path, bytes in
      Console.warn(
        "\(path): \(Quantity.text(bytes: bytes)) will be freed when no command reads the log")
    }
    try write(try retention.prune(progress), retention)
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

  // MARK: - Output

  private func write(_ done: [LogRetention.Pruned], _ retention: LogRetention) throws {
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
    let remaining = try retention.bytes()
    if format.isTable {
      let events = Printable.count(done.reduce(0) { $0 + $1.events }, "event")
      let runs = Printable.count(done.count, "run")
      Console.print(
        dryRun
          ? "\(events) of \(runs) would be pruned; current size \(Quantity.text(bytes: remaining))"
          : "\(events) of \(runs) pruned; current size \(Quantity.text(bytes: remaining))")
    }
    if let limit = retention.rules.maximumBytes, remaining > limit, !dryRun {
      Console.warn(
        "--max-size: \(Quantity.text(bytes: remaining)) remain, "
          + "more than \(Quantity.text(bytes: limit)): live runs, and what the options keep, are "
          + "not pruned")
    }
  }
}
