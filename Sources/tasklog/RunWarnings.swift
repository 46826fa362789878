import BrokerMessages
import EventLog
import Glibc
import Querying

/// Warnings next to a result: the log does not contain all events, and whether this was intended.
enum RunWarnings {
  /// - Parameter log: the name of the log, if there are several.
  static func print(_ reader: LogReader, _ runs: [RunInfo], of log: String? = nil) throws {
    for run in runs {
      print(run, pruned: try reader.pruned(of: run), of: log)
      reportFiles(run, path: reader.name, of: log)
      try reportParts(run, reader, of: log)
      try reportIncomplete([RunSegment(reader: reader, run: run)])
      reportFilter(run, of: log)
      reportUntested(run, of: log)
      try reportClocks(run, reader, of: log)
    }
  }

  private static func reportClocks(
    _ run: RunInfo, _ reader: LogReader, of log: String? = nil
  ) throws {
    let workers = try reader.workersWithoutClock(of: run)
    guard let first = workers.first else { return }
    let subject =
      workers.count == 1
      ? "the clock of worker \(Printable.text(first.address)) of \(name(run, of: log)) was"
      : "the clocks of \(workers.count) workers of \(name(run, of: log)) were"
    Console.warn(
      "\(subject) not measured: times are by the worker's own clock; the view clock_bounds "
        + "has the bounds of its error")
  }

  /// Warns that a run that was followed died: more was to come.
  static func reportDeath(_ run: RunInfo, of log: String? = nil) {
    guard run.hasDied else { return }
    Console.warn("\(name(run, of: log)) died; its last events may be missing from the log")
  }

  private static func name(_ run: RunInfo, of log: String?) -> String {
    "run #\(run.number)" + (log.map { " of \(Printable.text($0))" } ?? "")
  }

  /// The warnings of one run in several files.
  static func print(files: [RunSegment]) throws {
    guard let first = files.first, let last = files.last else { return }
    print(first.run, pruned: try files.pruned())
    warnAboutPreviousFile(first.run, path: first.reader.path)
    for (prior, file) in zip(files, files.dropFirst())
    where file.run.previousFile != prior.reader.path.lastPathComponent {
      warnAboutPreviousFile(file.run, path: file.reader.path)
    }
    warnAboutNextFile(last.run)
    try reportIncomplete(files)
    reportFilter(last.run)
    reportUntested(last.run)
  }

  /// Warns about a run of a version of Dask with which the recorder used public hooks only.
  static func reportUntested(_ run: RunInfo, of log: String? = nil) {
    guard let version = run.limits.untestedVersion, !run.limits.notRecorded.isEmpty else { return }
    Console.warn(
      "\(name(run, of: log)) was recorded by public hooks only, because distributed "
        + "\(Printable.text(version)) is untested; not recorded: "
        + run.limits.notRecorded.map { Printable.text($0) }.joined(separator: ", "))
  }

  /// Warns about workers whose last events may be missing.
  static func reportIncomplete(_ files: [RunSegment]) throws {
    guard let reader = files.last?.reader else { return }
    let log = reader.originCount > 1 ? nil : reader.name
    for line in try files.incompleteWorkers().lines(log: log) { Console.warn(line) }
  }

  private static func reportFilter(_ run: RunInfo, of log: String? = nil) {
    guard run.limits.isFiltered else { return }
    Console.warn(
      "\(name(run, of: log)) was recorded with a filter (\(run.limits.filterText)); "
        + "filtered events are not in the results")
  }

  /// Warns about a partial run; other logs may have the rest.
  static func reportParts(_ run: RunInfo, _ reader: LogReader, of log: String? = nil) throws {
    guard run.isPartial else { return }
    if reader.originCount == 1 {
      Console.warn(
        "\(name(run, of: log)) is partial: the rest may be in its queue, or in the logs of other "
          + "recorders of that queue" + (log == nil ? "; add them with --log" : ""))
    } else {
      let missing = try reader.missing(of: run)
      var reasons: [String] = []
      if missing > 0 {
        reasons.append(
          "\(Printable.count(missing, "event")) \(missing == 1 ? "is" : "are") in none of them")
      }
      if run.lastSourceSeqs == nil { reasons.append("none has its end") }
      if reasons.isEmpty { reasons.append("the rest may still arrive") }
      Console.warn(
        "run #\(run.number) is partial even with all of these logs: "
          + reasons.joined(separator: ", and "))
    }
  }

  /// Warns about a run that has other segments, with their names.
  static func reportFiles(_ run: RunInfo, path: String, of log: String? = nil) {
    warnAboutPreviousFile(run, path: path, of: log)
    warnAboutNextFile(run, of: log)
  }

  private static func warnAboutPreviousFile(_ run: RunInfo, path: String, of log: String? = nil) {
    if let name = run.previousFile {
      let exists = access(path.sibling(name), F_OK) == 0
      Console.warn(
        "\(Self.name(run, of: log)) began in an earlier file, \(Printable.text(name))"
          + (exists
            ? "; combine the files with 'tasklog merge'" : ", which is not in the same folder"))
    }
  }

  private static func warnAboutNextFile(_ run: RunInfo, of log: String? = nil) {
    if let name = run.nextFile {
      Console.warn("\(Self.name(run, of: log)) continues in \(Printable.text(name))")
    }
  }

  static func print(_ run: RunInfo, pruned: Int64, of log: String? = nil) {
    guard pruned > 0 else { return }
    Console.warn(
      "\(Printable.count(pruned, "event")) of \(name(run, of: log)) "
        + "\(pruned == 1 ? "was" : "were") pruned; the results cover the rest")
  }
}
