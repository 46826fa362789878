import Glibc

/// A file that is there whole or not at all: written beside its place under another name, synced, and
/// renamed.
///
/// When the program is stopped by a signal, what is unfinished is removed. A device or a pipe, which
/// nothing can be renamed to, is written as it is.
public final class OutputFile {
  private static let bufferSize = 1 << 18

  private let path: String
  /// Nothing where the file is written as it is.
  private let temporary: String?
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  /// How many bytes were written.
  public private(set) var count = 0

  /// - Throws: `ReportingError`.
  public init(path: String) throws {
    var status = stat()
    var target = path
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT != S_IFDIR else { throw ReportingError.isFolder(path: path) }
      // What a link leads to is replaced, not the link.
      if let resolved = realpath(path, nil) {
        target = String(cString: resolved)
        free(resolved)
      }
      guard status.st_mode & S_IFMT == S_IFREG else {
        descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw ReportingError.cannotWrite(path: path, errno: errno) }
        (self.path, temporary) = (path, nil)
        return
      }
    }
    let temporary = "\(target).\(getpid()).part"
    unlink(temporary)
    // Before it is there, so that there is no moment at which it would stay.
    Unfinished.begin(temporary)
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      let error = errno
      Unfinished.end()
      throw ReportingError.cannotWrite(path: path, errno: error)
    }
    (self.path, self.temporary) = (target, temporary)
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    if let temporary {
      unlink(temporary)
      Unfinished.end()
    }
  }

  /// Whether it is a file, and neither a device nor a pipe.
  public var isReplaced: Bool { temporary != nil }

  /// - Throws: `ReportingError`.
  public func write(_ bytes: some Sequence<UInt8>) throws {
    buffer.append(contentsOf: bytes)
    if buffer.count >= Self.bufferSize { try flush() }
  }

  /// - Throws: `ReportingError`.
  public func write(_ text: String) throws { try write(text.utf8) }

  /// Puts the file into its place.
  ///
  /// - Throws: `ReportingError`.
  public func finish() throws {
    try flush()
    guard let temporary else { return }
    guard fsync(descriptor) == 0, rename(temporary, path) == 0 else {
      throw ReportingError.cannotWrite(path: path, errno: errno)
    }
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

/// The one file that is unfinished, for the handlers of signals.
private enum Unfinished {
  /// Read by signal handlers: replaced only while they are not installed.
  nonisolated(unsafe) private static var path: UnsafeMutablePointer<CChar>?
  private static let signals = [SIGINT, SIGTERM, SIGHUP]

  static func begin(_ path: String) {
    end()
    self.path = strdup(path)
    for number in signals {
      signal(number) { number in
        if let path = Unfinished.path { unlink(path) }
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }

  static func end() {
    for number in signals { signal(number, SIG_DFL) }
    free(path)
    path = nil
  }
}
