import EventLog
import Glibc
import Querying

/// What is said beside an answer: that the log does not hold all that happened, and that this was
/// wanted.
enum RunNotes {
  static func tell(_ reader: LogReader, _ runs: [RunInfo]) throws {
    for run in runs {
      tell(run, pruned: try reader.pruned(of: run))
      tellFiles(run, path: reader.name)
      try tellParts(run, reader)
      tellFilter(run)
    }
  }

  /// The same of one run that is in several files.
  static func tell(files: [PartOfRun]) throws {
    guard let first = files.first, let last = files.last else { return }
    tell(first.run, pruned: try files.pruned())
    tellFileBefore(first.run, path: first.reader.path)
    for (before, file) in zip(files, files.dropFirst())
    where file.run.fileBefore != before.reader.path.split(separator: "/").last.map(String.init) {
      tellFileBefore(file.run, path: file.reader.path)
    }
    tellFileBehind(last.run)
    tellFilter(last.run)
  }

  private static func tellFilter(_ run: RunInfo) {
    guard run.limits.isFiltered else { return }
    Console.complain(
      "run #\(run.number) was recorded with a filter (\(run.limits.filterText)); what that left out is "
        + "in no answer")
  }

  /// A run of which other logs may hold the rest.
  static func tellParts(_ run: RunInfo, _ reader: LogReader) throws {
    guard run.isPartial else { return }
    if reader.name == reader.path {
      Console.complain(
        "run #\(run.number) is partial: others took from its queue, too; name all of their logs with "
          + "--log")
    } else {
      let missing = try reader.missing(of: run)
      Console.complain(
        "run #\(run.number) is partial even with all of these logs: "
          + (missing > 0 ? "\(Printable.count(missing, "event")) of it are in none" : "")
          + (missing > 0 && run.lastSourceSeqs == nil ? ", and " : "")
          + (run.lastSourceSeqs == nil ? "none knows its end" : ""))
    }
  }

  /// A run that is in several files: which they are.
  static func tellFiles(_ run: RunInfo, path: String) {
    tellFileBefore(run, path: path)
    tellFileBehind(run)
  }

  private static func tellFileBefore(_ run: RunInfo, path: String) {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    if let name = run.fileBefore {
      let isThere = access(folder + name, F_OK) == 0
      Console.complain(
        "run #\(run.number) began in an earlier file, \(Printable.text(name))"
          + (isThere ? "; 'tasklog merge' makes one of them" : ", which is not beside it"))
    }
  }

  private static func tellFileBehind(_ run: RunInfo) {
    if let name = run.fileBehind {
      Console.complain("run #\(run.number) goes on in \(Printable.text(name))")
    }
  }

  static func tell(_ run: RunInfo, pruned: Int64) {
    guard pruned > 0 else { return }
    Console.complain(
      "\(Printable.count(pruned, "event")) of run #\(run.number) \(pruned == 1 ? "was" : "were") "
        + "pruned; answers are of what is left")
  }
}
