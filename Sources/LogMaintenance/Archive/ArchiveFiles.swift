import EventLog
import Glibc
import LogFormat

/// The files that a folder, a pattern, a template or a path names.
package enum ArchiveFiles {
  /// Whether a name may stand for many logs: a folder, or a pattern that is not the name of a file.
  package static func isCollection(_ name: String) -> Bool {
    if LogTemplate.isTemplate(name) { return false }
    var status = stat()
    if stat(name, &status) == 0 { return status.st_mode & S_IFMT == S_IFDIR }
    return Glob.isPattern(name)
  }

  /// The logs of a folder and of its subfolders, or those that a pattern of a shell matches, sorted by
  /// path. What is no log is left out: other files, the rest of a log such as its `-wal`, hidden files and
  /// folders. Links to folders are not followed.
  ///
  /// - Throws: `LogError` if a folder cannot be read.
  package static func logs(_ name: String) throws -> [String] {
    var status = stat()
    guard stat(name, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      return try matches(name).flatMap { path in
        isFolder(path) ? try logs(path) : LogFile.mayBeLog(path) ? [path] : []
      }
    }
    var found: [String] = []
    try add(name == "/" ? name : trimmed(name), to: &found)
    return found
  }

  /// The logs that a name stands for, whatever it is.
  ///
  /// - Throws: `LogError` if a folder cannot be read.
  package static func all(_ name: String) throws -> [String] {
    isCollection(name) ? try logs(name) : LogTemplate.all(name)
  }

  private static func trimmed(_ folder: String) -> String {
    var folder = folder[...]
    while folder.count > 1, folder.last == "/" { folder.removeLast() }
    return String(folder)
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  private static func add(_ folder: String, to found: inout [String]) throws {
    let names: [String]
    do throws(FolderListing.Failure) {
      names = try FolderListing.names(folder)
    } catch {
      throw LogError.unreadable(path: folder, reason: error.description)
    }
    for name in names where !name.hasPrefix(".") {
      let path = folder == "/" ? "/" + name : folder + "/" + name
      var status = stat()
      guard lstat(path, &status) == 0 else { continue }
      switch status.st_mode & S_IFMT {
      case S_IFDIR: try add(path, to: &found)
      case S_IFREG, S_IFLNK:
        if name.hasSuffix("-wal") || name.hasSuffix("-shm") || name.hasSuffix("-journal") {
          continue
        }
        if LogFile.mayBeLog(path) { found.append(path) }
      default: continue
      }
    }
  }

  /// What a pattern of a shell matches; https://man7.org/linux/man-pages/man3/glob.3.html
  private static func matches(_ pattern: String) -> [String] {
    var result = glob_t()
    defer { globfree(&result) }
    guard glob(pattern, 0, nil, &result) == 0 else { return [] }
    return (0..<Int(result.gl_pathc)).compactMap { index in
      result.gl_pathv[index].map { String(cString: $0) }
    }
  }
}
