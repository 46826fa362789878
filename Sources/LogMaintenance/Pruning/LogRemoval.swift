import Glibc
import LogFormat

/// Removes the files of logs of which nothing is retained.
package enum LogRemoval {
  /// Removes a log and the files next to it.
  ///
  /// - Returns: false if a live recorder uses it, and then nothing is changed.
  /// - Throws: `LogError.cannotWrite`.
  package static func remove(_ path: String) throws -> Bool {
    guard !isInUse(path) else { return false }
    guard unlink(path) == 0 || errno == ENOENT else {
      throw LogError.cannotWrite(path: path, reason: String(cString: strerror(errno)))
    }
    for name in WALPolicy.companions(of: path) { unlink(name) }
    // Only succeeds if it contains nothing to recover.
    rmdir(RecorderLock.parent(ofLog: path))
    return true
  }

  /// Whether a live recorder uses a log, or may use it: if that is unknown, nothing is removed.
  static func isInUse(_ path: String) -> Bool {
    do {
      return try FolderListing.names(RecorderLock.parent(ofLog: path)).contains {
        RecorderLock.isHeld(log: path, run: $0)
      }
    } catch {
      return !error.isMissing
    }
  }
}
