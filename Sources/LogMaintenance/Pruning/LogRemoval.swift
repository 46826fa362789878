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
    for name in [path + "-wal", path + "-shm"] { unlink(name) }
    // Only succeeds if it contains nothing to recover.
    rmdir(RecorderLock.parent(ofLog: path))
    return true
  }

  /// Whether a live recorder uses a log.
  static func isInUse(_ path: String) -> Bool {
    names(RecorderLock.parent(ofLog: path)).contains { RecorderLock.isHeld(log: path, run: $0) }
  }

  private static func names(_ folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      names.append(
        withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        })
    }
    return names
  }
}
