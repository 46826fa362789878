import EventLog
import Glibc
import LogFormat

/// Removes spool folders that recorders killed at certain moments leave next to a log and that hold
/// nothing that the log lacks: killed between the end of a run and the removal of its folder, or
/// before the run was in the log.
enum OrphanedFolders {
  /// The age from which a dangling link is removed: a younger one may be about to be replaced by a
  /// live recorder.
  private static let secondsOfMove: Int = 10

  /// - Parameters:
  ///   - runs: the runs in the log.
  ///   - now: seconds since 1970 UTC.
  static func remove(log path: String, runs: [RunInfo], now: Int = time(nil)) {
    let parent = RecorderLock.parent(ofLog: path)
    var status = stat()
    // By a link, the spools of another log would be removed.
    guard lstat(parent, &status) == 0, status.st_mode & S_IFMT == S_IFDIR,
      let names = try? FolderListing.names(parent)
    else { return }
    let ended = Set(runs.filter(\.isEndInLog).map(\.id))
    let known = Set(runs.map(\.id))
    for name in names {
      let folder = parent + "/" + name
      var status = stat()
      guard lstat(folder, &status) == 0 else { continue }
      if status.st_mode & S_IFMT == S_IFLNK {
        removeLink(folder, status, now)
      } else if ended.contains(name) || !known.contains(name) && OrphanedFolder.isEmpty(folder) {
        removeFolder(name, log: path, folder, isEnded: ended.contains(name))
      }
    }
    // Fails unless the folder is empty.
    rmdir(parent)
  }

  private static func removeLink(_ path: String, _ link: stat, _ now: Int) {
    var status = stat()
    guard stat(path, &status) != 0, errno == ENOENT || errno == ELOOP,
      now - link.st_ctim.tv_sec > secondsOfMove
    else { return }
    unlink(path)
  }

  private static func removeFolder(
    _ run: String, log path: String, _ folder: String, isEnded: Bool
  ) {
    guard SpoolOwners(ofLog: path).objection(log: path, run: run) == nil,
      belongs(folder, toLog: path)
    else { return }
    // `nil` if its recorder is alive, or permissions do not allow removing anything.
    guard let lock = RecorderLock(takingOver: run, log: path) else { return }
    lock.leaveFolder()
    // The run may have begun meanwhile.
    guard isEnded || OrphanedFolder.isEmpty(folder), !hasBegun(run, log: path, isEnded) else {
      return
    }
    SpoolFolder.removeFiles(folder)
    lock.removeFolder()
  }

  private static func belongs(_ folder: String, toLog path: String) -> Bool {
    guard let header = SpoolHeader(folder + "/control") else { return true }
    return (try? LogReader(path: path).logIdentity()).map(header.belongs(to:)) ?? false
  }

  /// Whether the log now has this run without an end.
  private static func hasBegun(_ run: String, log path: String, _ isEnded: Bool) -> Bool {
    guard !isEnded else { return false }
    guard let runs = try? LogReader(path: path).runs() else { return true }
    return runs.contains { $0.id == run && !$0.isEndInLog }
  }
}
