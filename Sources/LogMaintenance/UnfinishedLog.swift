import EventLog
import Glibc
import LogFormat

/// A new log, written under a name that says that it is not complete, and then renamed.
///
/// No file that is there already is replaced or removed, but for what one that was killed has left: a
/// log, or nothing yet, whose lock is free.
enum UnfinishedLog {
  private static let suffix = ".unfinished"
  private static let maximumNames = 1000

  /// - Throws: `LogError` if there is anything at the path.
  static func checkIsNew(_ path: String) throws {
    guard !exists(path) else {
      throw LogError.cannotWrite(path: path, reason: "it exists already; name a new file")
    }
  }

  /// - Parameters:
  ///   - path: where the log is afterwards; there must be nothing.
  ///   - write: gets the name of an empty file, and leaves a complete log in it, closed.
  /// - Throws: `LogError`, or what `write` throws; no new file remains then.
  static func write<Result>(
    to path: String, _ write: (_ unfinished: String) throws -> Result
  ) throws -> Result {
    try checkIsNew(path)
    let (unfinished, lock) = try create(for: path)
    // Closed when nothing else is open: until then the file has its writer's lock.
    defer { close(lock) }
    do {
      let result = try write(unfinished)
      try rename(unfinished, to: path)
      return result
    } catch {
      removeCompanions(of: unfinished)
      unlink(unfinished)
      // The user has not named the unfinished file.
      switch error {
      case let error as SQLiteError:
        throw LogError.cannotWrite(path: path, reason: error.message)
      case LogError.cannotWrite(unfinished, let reason):
        throw LogError.cannotWrite(path: path, reason: reason)
      default: throw error
      }
    }
  }

  private static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  private static func companions(of path: String) -> [String] {
    WALPolicy.companions(of: path) + [path + "-journal"]
  }

  /// While the file itself exists, no other copy takes its name.
  private static func removeCompanions(of path: String) {
    for name in companions(of: path) { unlink(name) }
  }

  /// Removes what a killed writer has left.
  private static func removeLeftover(_ name: String) {
    let descriptor = open(name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_uid == geteuid(), flock(descriptor, LOCK_EX | LOCK_NB) == 0,
      status.st_size == 0 || isBlank(descriptor) || LogFile.mayBeLog(name)
    else { return }
    removeCompanions(of: name)
    unlink(name)
  }

  /// Whether a database has no table yet: its only page is that of the schema.
  /// https://sqlite.org/fileformat2.html#in_header_database_size
  private static func isBlank(_ descriptor: Int32) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: 100, alignment: 1) { header in
      pread(descriptor, header.baseAddress, 100, 0) == 100
        && header.starts(with: "SQLite format 3\0".utf8)
        && header[28..<32].elementsEqual([0, 0, 0, 1])
    }
  }

  /// Makes an empty file, private to its owner, that has no companions, and locks it.
  private static func create(for path: String) throws -> (name: String, lock: Int32) {
    for number in 1...maximumNames {
      let name = path + (number == 1 ? "" : ".\(number)") + suffix
      removeLeftover(name)
      // What SQLite would read or replace is not of this file.
      if companions(of: name).contains(where: exists) { continue }
      let descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      if descriptor >= 0 {
        flock(descriptor, LOCK_EX | LOCK_NB)
        return (name, descriptor)
      }
      switch errno {
      case EEXIST: continue
      case ENOENT: throw LogError.folderMissing(path: path, folder: path.parentFolder)
      case let code: throw LogError.cannotWrite(path: path, reason: String(cString: strerror(code)))
      }
    }
    throw LogError.cannotWrite(
      path: path, reason: "too many files end in “\(suffix)” next to it; remove them")
  }

  private static func rename(_ unfinished: String, to path: String) throws {
    removeCompanions(of: unfinished)
    // A link fails if a file with the name has been made meanwhile, which a rename would replace; but
    // not every file system has links.
    if link(unfinished, path) == 0 {
      unlink(unfinished)
      return
    }
    guard errno != EEXIST, Glibc.rename(unfinished, path) == 0 else {
      throw LogError.cannotWrite(path: path, reason: String(cString: strerror(errno)))
    }
  }
}
