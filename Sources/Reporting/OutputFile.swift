import Glibc

/// A file that is either complete or absent: written under a temporary name in the same folder,
/// synced, and renamed at the end. If a signal stops the program, the unfinished file is removed.
///
/// A device or a pipe, which a rename cannot replace, is written to directly.
package final class OutputFile {
  private let path: String
  /// The final path: the target of a link is replaced, not the link.
  private let target: String
  /// `nil` if the output is a device or a pipe.
  private let temporary: String?
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  private static let bufferSize = 1 << 18
  /// The number of bytes written.
  package private(set) var count = 0

  /// - Throws: `ReportingError`.
  package init(path: String) throws {
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
    let temporary = "\(target).\(getpid()).part"
    unlink(temporary)
    // Called before the file exists: a signal may arrive at any moment.
    Unfinished.begin(temporary)
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let error = errno
      Unfinished.end(temporary)
      throw ReportingError.cannotWrite(path: path, errno: error)
    }
    self.temporary = temporary
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    // After a commit this file no longer exists.
    if let temporary {
      unlink(temporary)
      Unfinished.end(temporary)
    }
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
    guard fsync(descriptor) == 0, rename(temporary, target) == 0 else {
      throw ReportingError.cannotWrite(path: path, errno: errno)
    }
    Unfinished.end(temporary)
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
