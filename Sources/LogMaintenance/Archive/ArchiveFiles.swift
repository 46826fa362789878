import EventLog
import Glibc
import LogFormat

/// The files that a folder, a pattern, a template or a path names.
package enum ArchiveFiles {
  /// Whether a name may stand for many logs: a folder, or a pattern that is not the name of a file.
  package static func isCollection(_ name: String) -> Bool {
    guard !LogTemplate.isTemplate(name) else { return false }
    return isFolder(name) || Glob.isPattern(name) && access(name, F_OK) != 0
  }

  /// The logs that a name stands for. Those of a folder and of its subfolders, or what a pattern of a shell
  /// matches, are sorted by path; what is no log is left out: other files, the rest of a log such as its
  /// `-wal`, hidden files and folders. Links to folders are not followed.
  ///
  /// - Throws: `LogError` if a folder cannot be read; `LogSetError` if a folder or pattern has no log.
  package static func logs(_ name: String) throws -> [String] {
    guard isCollection(name) else { return LogTemplate.all(name) }
    let found = isFolder(name) ? try logs(in: name) : try logs(matching: name)
    guard !found.isEmpty else { throw LogSetError.noLogs(name: name) }
    return found
  }

  /// The logs that names stand for, each file once: if a link and the file itself are named, the file.
  ///
  /// - Parameter isWriting: leaves out links in folders and patterns, which may lead elsewhere.
  /// - Throws: as for a single name.
  package static func logs(of names: [String], isWriting: Bool = false) throws -> [String] {
    var paths: [String] = []
    var places: [FileIdentity: Int] = [:]
    for name in names {
      let isNamed = !isCollection(name)
      for path in try logs(name) {
        let isLink = isLink(path)
        if isLink, isWriting, !isNamed { continue }
        guard let identity = FileIdentity(path) else {
          if !paths.contains(path) { paths.append(path) }
          continue
        }
        if let place = places[identity] {
          if !isLink, Self.isLink(paths[place]) { paths[place] = path }
        } else {
          places[identity] = paths.count
          paths.append(path)
        }
      }
    }
    return paths
  }

  private static func isLink(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK
  }

  private static func logs(matching pattern: String) throws -> [String] {
    try matches(pattern).flatMap { path in
      isFolder(path) ? try logs(in: path) : LogFile.mayBeLog(path) ? [path] : []
    }
  }

  private static func logs(in folder: String) throws -> [String] {
    var found: [String] = []
    try add(trimmed(folder), to: &found)
    return found
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
