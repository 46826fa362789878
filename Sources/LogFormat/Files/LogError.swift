/// What can be wrong with a log. Every message names the file and what to do.
public enum LogError: Error, Sendable {
  case missing(path: String)
  /// A log of this path is recorded to a local disk instead: on `host`, or on an unknown host.
  /// `nil`.
  case elsewhere(path: String, fileSystem: String, standIn: String, host: String?)
  case folderMissing(path: String, folder: String)
  case isFolder(path: String)
  case unreadable(path: String, reason: String)
  case notADatabase(path: String)
  case empty(path: String)
  /// All recorded data is in a write-ahead log that is not next to the file.
  case withoutWAL(path: String)
  case notATasklog(path: String)
  case tooNew(path: String, version: Int64, known: Int32)
  /// A live recorder writes the older format.
  case recordedInOlderFormat(path: String, version: Int64, run: Int64)
  case notMigrated(path: String, from: Int64, to: Int32, reason: String)
  case locked(path: String)
  case damaged(path: String, reason: String)
  /// Something else is in the place of a table, index or view of a log; `others` is the number of further
  /// such objects.
  case foreignSchema(path: String, reason: String, others: Int)
  case nothingFound(path: String)
  case cannotWrite(path: String, reason: String)
  case noRuns(path: String)
  case unknownRun(path: String, run: String)
  case ambiguousRun(path: String, run: String, count: Int)
}

extension LogError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .missing(let path):
      "\(path): there is no such log; name one with --log or TASKLOG_LOG"
    case .elsewhere(let path, let fileSystem, let standIn, let host?):
      "\(path): there is no such log; it is on host \(host), in \(standIn), because a log is not "
        + "safe on \(fileSystem)"
    case .elsewhere(let path, let fileSystem, let standIn, nil):
      "\(path): there is no such log; because a log is not safe on \(fileSystem), one that was "
        + "recorded here is on the host of its recorder, mostly in \(standIn)"
    case .folderMissing(let path, let folder):
      "\(path): the folder \(folder) does not exist; create it or name another log"
    case .isFolder(let path): "\(path): is a folder, not a log; name a file"
    case .unreadable(let path, let reason): "\(path): cannot be read: \(reason)"
    case .notADatabase(let path): "\(path): is not a SQLite database, so not a tasklog log"
    case .empty(let path): "\(path): is empty; nothing has been recorded into it yet"
    case .withoutWAL(let path):
      "\(path): is empty; if it is a copy, \(WALPolicy.wal(of: path.lastPathComponent)) is missing, "
        + "which has what was recorded last: copy that to the same folder, too"
    case .notATasklog(let path): "\(path): is a SQLite database, but not a tasklog log"
    case .tooNew(let path, let version, let known):
      "\(path): is of format version \(version), this tasklog knows up to \(known); "
        + "use a newer tasklog"
    case .recordedInOlderFormat(let path, let version, let run):
      "\(path): is of format version \(version) and run #\(run) is still recorded into it; "
        + "'tasklog migrate' brings it up to date when that has ended"
    case .notMigrated(let path, let from, let to, let reason):
      "\(path): cannot be brought to format version \(to): \(reason); it stays as it is, "
        + "of version \(from)"
    case .locked(let path): "\(path): another process keeps it locked; try again"
    case .damaged(let path, let reason): "\(path): is damaged: \(reason)"
    case .foreignSchema(let path, let reason, let others):
      "\(path): is not used, as it may run SQL of others: \(reason)"
        + (others > 0 ? ", and \(others) more; 'tasklog check' lists them" : "")
        + "; 'tasklog recover --into NEW' saves its events"
    case .nothingFound(let path): "\(path): nothing of a tasklog log can be found in it"
    case .cannotWrite(let path, let reason): "\(path): cannot be written: \(reason)"
    case .noRuns(let path): "\(path): holds no runs yet"
    case .unknownRun(let path, let run):
      "\(path): has no run '\(run)'; 'tasklog runs' lists the runs"
    case .ambiguousRun(let path, let run, let count):
      "\(path): '\(run)' is the beginning of \(count) run ids; give more of it"
    }
  }

  /// Translates an SQLite error into an error of a log.
  package init(_ error: SQLiteError, path: String) {
    if error.isNotADatabase {
      self = .notADatabase(path: path)
    } else if error.isBusy {
      self = .locked(path: path)
    } else if error.isCorrupt {
      self = .damaged(path: path, reason: error.message)
    } else {
      self = .unreadable(path: path, reason: error.message)
    }
  }
}
