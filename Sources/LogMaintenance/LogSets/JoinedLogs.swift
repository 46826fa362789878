import CSupport
import EventLog
import Glibc
import LogFormat

/// Logs that earlier commands have put together, in the user's cache folder, so that the parts of a run
/// are merged once and not by each command.
///
/// For each there are `NAME.db` and `NAME.from`, its checksum and the list of the files it was made from.
/// They are never required: one whose files have changed, or that is damaged, is removed and made again.
enum JoinedLogs {
  /// What a log was made from, and how.
  struct Key {
    fileprivate var kind: String
    fileprivate var paths: [String]
    /// Different if any of the files has changed.
    fileprivate var name: String

    /// `nil` if a file is missing, or has just changed.
    ///
    /// - Parameter kind: how they are put together.
    init?(_ kind: String, _ paths: [String]) {
      var resolvedPaths: [String] = []
      var text = "\(JoinedLogs.version)\0\(kind)"
      for path in paths {
        guard let resolved = realpath(path, nil) else { return nil }
        defer { free(resolved) }
        guard let stamp = LogStamp(path), stamp.isOld else { return nil }
        text += "\0\(String(cString: resolved))\0\(stamp.text)"
        resolvedPaths.append(String(cString: resolved))
      }
      (self.kind, self.paths) = (kind, resolvedPaths)
      name = String(SHA256.hash(Array(text.utf8)).prefix(32))
    }

    fileprivate var isCurrent: Bool { Self(kind, paths)?.name == name }
  }

  /// A log that is not removed while this exists.
  final class Kept {
    let path: String
    private let lock: Int32

    fileprivate init(path: String, lock: Int32) { (self.path, self.lock) = (path, lock) }

    deinit { close(lock) }
  }

  /// Changes with what is stored.
  private static let version = "1 of format \(LogFile.newestVersion)"
  /// At most so many logs and bytes are kept; those that were read last.
  private static let maximumCount = 32
  private static let maximumBytes: Int64 = 2 << 30
  /// The bytes of a list of files.
  private static let maximumList = 1 << 20

  /// The log that was made from the same files; `nil` if there is none.
  static func find(_ key: Key) -> Kept? {
    guard let folder = folder() else { return nil }
    // What has been removed from a log since does not stay.
    removeOld(folder)
    let files = Files(folder, key.name)
    guard let lock = files.lock(LOCK_SH) else { return nil }
    guard access(files.log, F_OK) == 0, let checksum = checksum(files.log),
      list(lock)?.checksum == checksum
    else {
      if flock(lock, LOCK_EX | LOCK_NB) == 0 { files.remove() }
      close(lock)
      return nil
    }
    futimens(lock, nil)
    return Kept(path: files.log, lock: lock)
  }

  /// Keeps a log that was made from these files, which are unchanged; `nil` if that is not possible.
  ///
  /// - Parameter log: it is closed; it is moved.
  static func keep(_ key: Key, _ log: String) -> Kept? {
    guard let folder = folder(), LogPruning.bytes(of: log) <= maximumBytes / 4, key.isCurrent,
      let checksum = checksum(log)
    else { return nil }
    let files = Files(folder, key.name)
    guard let lock = files.lock(LOCK_EX, creates: true) else { return nil }
    files.removeLog()
    let list = Array(([checksum, key.kind] + key.paths).joined(separator: "\0").utf8)
    guard ftruncate(lock, 0) == 0, list.count <= maximumList,
      write(lock, list, list.count) == list.count, move(log, to: files)
    else {
      files.remove()
      close(lock)
      return nil
    }
    flock(lock, LOCK_SH)
    removeOld(folder)
    return Kept(path: files.log, lock: lock)
  }

  /// Removes logs whose files have changed, and the oldest ones if there are too many.
  static func removeOld() {
    if let folder = folder() { removeOld(folder) }
  }

  // MARK: - Files

  /// `nil` if there can be none: files on a network may have locks that do not work.
  private static func folder() -> String? {
    guard case .success(let folder) = CacheFolder.make("joined"),
      LogLocation.networkFileSystem(of: folder + "/a") == nil
    else { return nil }
    return folder
  }

  /// The files of one log.
  private struct Files {
    let list: String
    let log: String
    /// What has not been moved entirely.
    let part: String

    init(_ folder: String, _ name: String) {
      list = "\(folder)/\(name).from"
      log = "\(folder)/\(name).db"
      part = "\(folder)/\(name).part"
    }

    /// A descriptor of the list with a lock; `nil` if another process has one, or has just removed it.
    func lock(_ kind: Int32, creates: Bool = false) -> Int32? {
      let flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | (creates ? O_CREAT : 0)
      let descriptor = open(list, flags, 0o600)
      guard descriptor >= 0 else { return nil }
      var (locked, named) = (stat(), stat())
      if flock(descriptor, kind | LOCK_NB) == 0, fstat(descriptor, &locked) == 0,
        lstat(list, &named) == 0, locked.st_ino == named.st_ino
      {
        return descriptor
      }
      close(descriptor)
      return nil
    }

    func removeLog() {
      for path in [part, log] + WALPolicy.companions(of: log) { unlink(path) }
    }

    /// With the exclusive lock of the list.
    func remove() {
      removeLog()
      unlink(list)
    }
  }

  /// Moves a log, from another file system, too; if that is not possible, it stays where it is.
  private static func move(_ path: String, to files: Files) -> Bool {
    if rename(path, files.log) == 0 { return true }
    guard errno == EXDEV, copy(path, to: files.part), rename(files.part, files.log) == 0 else {
      return false
    }
    unlink(path)
    return true
  }

  private static func copy(_ path: String, to target: String) -> Bool {
    let source = open(path, O_RDONLY | O_CLOEXEC)
    guard source >= 0 else { return false }
    defer { close(source) }
    let copy = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard copy >= 0 else { return false }
    defer { close(copy) }
    var status = stat()
    guard fstat(source, &status) == 0 else { return false }
    var done: off_t = 0
    while done < status.st_size {
      guard sendfile(copy, source, &done, 1 << 30) > 0 else { return false }
    }
    return true
  }

  /// `nil` if the file cannot be read.
  private static func checksum(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var (sum, size) = (UInt32(0), 0)
    let block = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: 16)
    defer { block.deallocate() }
    while true {
      let count = read(descriptor, block, 1 << 20)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { return nil }
      if count == 0 { return "\(size) \(sum)" }
      sum = tl_crc32c(sum, block, count)
      size += count
    }
  }

  private static func removeOld(_ folder: String) {
    var kept: [(files: Files, read: Int64)] = []
    let entries = Set((try? FolderListing.names(folder)) ?? [])
    for entry in entries {
      guard let dot = entry.lastIndex(of: ".") else { continue }
      let name = String(entry[..<dot])
      let files = Files(folder, name)
      guard entry.hasSuffix(".from") else {
        // The list is made first and removed last.
        if !entries.contains(name + ".from"), access(files.list, F_OK) != 0 { files.removeLog() }
        continue
      }
      var status = stat()
      guard lstat(files.list, &status) == 0 else { continue }
      if access(files.log, F_OK) == 0, isCurrent(files, name) {
        let read = status.st_mtim
        kept.append((files, Int64(read.tv_sec) &* 1_000_000_000 &+ Int64(read.tv_nsec)))
      } else {
        remove(files)
      }
    }
    var bytes: Int64 = 0
    for (index, log) in kept.sorted(by: { $0.read > $1.read }).enumerated() {
      bytes += LogPruning.bytes(of: log.files.log)
      if index >= maximumCount || bytes > maximumBytes { remove(log.files) }
    }
  }

  private static func isCurrent(_ files: Files, _ name: String) -> Bool {
    let descriptor = open(files.list, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return list(descriptor).flatMap { Key($0.kind, $0.paths)?.name } == name
  }

  /// What a list says; `nil` if it is none.
  private static func list(
    _ descriptor: Int32
  ) -> (checksum: String, kind: String, paths: [String])? {
    let bytes = DatabaseImage.read(descriptor, at: 0, count: maximumList)
    let parts = String(decoding: bytes, as: UTF8.self)
      .split(separator: "\0", omittingEmptySubsequences: false).map(String.init)
    return parts.count > 2 ? (parts[0], parts[1], Array(parts.dropFirst(2))) : nil
  }

  /// Removes a log unless a process reads it.
  private static func remove(_ files: Files) {
    guard let lock = files.lock(LOCK_EX) else { return }
    files.remove()
    close(lock)
  }
}
