import Glibc
import LogFormat

/// A file that is either complete or absent: it has no name until it is complete, so that nothing is
/// left if the program is killed.
///
/// Where the file system has no files without a name, it is written as `….part`. There is one such
/// name for each path: what a killed program leaves is replaced by the next one.
///
/// A device or a pipe, which a rename cannot replace, is written to directly.
package final class OutputFile {
  private let path: String
  /// The final path: the target of a link is replaced, not the link.
  private let target: String
  /// The name from which it is renamed; `nil` if the output is a device or a pipe.
  private let temporary: String?
  private var hasName = false
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 18
  /// The number of bytes written.
  package private(set) var count = 0

  /// - Parameter isNameless: whether to try a file without a name.
  /// - Throws: `ReportingError`.
  package init(path: String, isNameless: Bool = true) throws {
    self.path = path
    var status = stat()
    var target = path
    var isFile = true
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT != S_IFDIR else { throw ReportingError.isFolder(path: path) }
      isFile = status.st_mode & S_IFMT == S_IFREG
      if let resolved = realpath(path, nil) {
        target = String(cString: resolved)
        free(resolved)
      }
    }
    self.target = target
    guard isFile else {
      temporary = nil
      descriptor = open(path, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw ReportingError.cannotWrite(path: path, errno: errno) }
      return
    }
    let temporary = target + ".part"
    descriptor = isNameless ? Self.nameless(in: target) : -1
    if descriptor < 0 {
      // Called before the file exists: a signal may arrive at any moment.
      Unfinished.begin(temporary)
      descriptor = Self.named(temporary)
      hasName = true
    }
    guard descriptor >= 0 else {
      let error = errno
      Unfinished.end(temporary)
      throw ReportingError.cannotWrite(path: path, errno: error)
    }
    self.temporary = temporary
  }

  /// A file without a name in the folder of a path; -1 if that is not possible.
  /// https://man7.org/linux/man-pages/man2/open.2.html#O_TMPFILE
  private static func nameless(in path: String) -> Int32 {
    guard access("/proc/self/fd", X_OK) == 0 else { return -1 }
    return open(path.parentFolder, O_WRONLY | temporaryFileFlag | O_CLOEXEC, 0o666)
  }

  /// The macro `O_TMPFILE`, which Swift does not have.
  private static let temporaryFileFlag = 0o20000000 | O_DIRECTORY

  /// An empty file with a name, which no other process is writing.
  private static func named(_ path: String) -> Int32 {
    for _ in 0..<100 {
      let descriptor = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else { return -1 }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
        close(descriptor)
        errno = EBUSY
        return -1
      }
      // The process that held the lock may have renamed or removed it.
      var (held, found) = (stat(), stat())
      if fstat(descriptor, &held) == 0, lstat(path, &found) == 0, held.st_ino == found.st_ino,
        held.st_mode & S_IFMT == S_IFREG, ftruncate(descriptor, 0) == 0
      {
        return descriptor
      }
      close(descriptor)
    }
    errno = EBUSY
    return -1
  }

  deinit {
    if let temporary, hasName {
      unlink(temporary)
      Unfinished.end(temporary)
    }
    if descriptor >= 0 { close(descriptor) }
  }

  /// Whether the output is a file, and not a device or a pipe.
  package var isReplaced: Bool { temporary != nil }

  /// - Throws: `ReportingError`.
  package func write(_ bytes: some Sequence<UInt8>) throws {
    buffer.append(contentsOf: bytes)
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// - Throws: `ReportingError`.
  package func write(_ text: String) throws { try write(text.utf8) }

  /// Writes the remaining bytes and renames the file to its final path.
  ///
  /// - Throws: `ReportingError`.
  package func commit() throws {
    try flush()
    guard let temporary else { return }
    guard fsync(descriptor) == 0, giveName(temporary), rename(temporary, target) == 0 else {
      throw ReportingError.cannotWrite(path: path, errno: errno)
    }
    hasName = false
    Unfinished.end(temporary)
  }

  /// Gives the complete file a name, which is then replaced atomically.
  private func giveName(_ temporary: String) -> Bool {
    guard !hasName else { return true }
    Unfinished.begin(temporary)
    // Left by a program that was killed here.
    unlink(temporary)
    hasName =
      linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, temporary, AT_SYMLINK_FOLLOW) == 0
    return hasName
  }

  private func flush() throws {
    try buffer.withUnsafeBytes { bytes in
      var written = 0
      while written < bytes.count {
        let result = Glibc.write(
          descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
        if result >= 0 {
          written += result
        } else if errno != EINTR {
          throw ReportingError.cannotWrite(path: path, errno: errno)
        }
      }
    }
    count += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }
}

/// The single unfinished file, for the signal handlers.
private enum Unfinished {
  /// Read by signal handlers; replaced only while they are not installed.
  nonisolated(unsafe) private static var path: UnsafeMutablePointer<CChar>?
  private static let signals = [SIGINT, SIGTERM, SIGHUP]

  static func begin(_ path: String) {
    restore()
    self.path = strdup(path)
    for signalNumber in signals {
      // A signal that is ignored (`nohup`) stays ignored.
      let previous = signal(signalNumber) { received in
        if let path = Unfinished.path { unlink(path) }
        signal(received, SIG_DFL)
        raise(received)
      }
      if unsafeBitCast(previous, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
        signal(signalNumber, SIG_IGN)
      }
    }
  }

  static func end(_ path: String) {
    guard let current = self.path, String(cString: current) == path else { return }
    restore()
  }

  private static func restore() {
    guard path != nil else { return }
    for signalNumber in signals { signal(signalNumber, SIG_DFL) }
    free(path)
    path = nil
  }
}
