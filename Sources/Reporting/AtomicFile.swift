import Glibc

/// A file that is there whole or not at all: written beside its place, and put there at the end.
public final class AtomicFile {
  private let path: String
  private let temporary: String
  private var descriptor: Int32
  private var buffer: [UInt8] = []
  /// How many bytes were written.
  public private(set) var count = 0

  /// - Throws: `ReportingError`.
  public init(path: String) throws {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
      throw ReportingError.isFolder(path: path)
    }
    self.path = path
    temporary = "\(path).\(getpid()).part"
    unlink(temporary)
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw ReportingError.cannotWrite(path: path, errno: errno) }
  }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(temporary)
  }

  /// - Throws: `ReportingError`.
  public func write(_ bytes: some Sequence<UInt8>) throws {
    buffer.append(contentsOf: bytes)
    if buffer.count >= 1 << 18 { try flush() }
  }

  /// - Throws: `ReportingError`.
  public func write(_ text: String) throws { try write(text.utf8) }

  /// Puts the file in its place.
  ///
  /// - Throws: `ReportingError`.
  public func commit() throws {
    try flush()
    guard fsync(descriptor) == 0 || errno == EINVAL, close(descriptor) == 0 else {
      throw ReportingError.cannotWrite(path: path, errno: errno)
    }
    descriptor = -1
    guard rename(temporary, path) == 0 else {
      let error = errno
      unlink(temporary)
      throw ReportingError.cannotWrite(path: path, errno: error)
    }
  }

  private func flush() throws {
    try buffer.withUnsafeBytes { bytes in
      var written = 0
      while written < bytes.count {
        let result = Glibc.write(
          descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
        if result > 0 {
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
