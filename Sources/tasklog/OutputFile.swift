import Glibc

/// Where an export goes: the standard output, or a file that is there whole or not at all.
///
/// A file is written beside its place under another name, synced, and renamed. When the program is
/// stopped by a signal, what is unfinished is removed.
final class OutputFile {
  private let path: String?
  /// Nothing where the output is a device or a pipe, which cannot be renamed to.
  private let temporary: String?
  private let descriptor: Int32

  /// - Parameter path: `-`, or nothing, for the standard output.
  /// - Throws: `Failure`.
  init(_ path: String?) throws {
    guard let path, path != "-" else {
      (self.path, temporary, descriptor) = (nil, nil, STDOUT_FILENO)
      return
    }
    var status = stat()
    var target = path
    if stat(path, &status) == 0 {
      guard status.st_mode & S_IFMT != S_IFDIR else {
        throw Failure.run("\(path): is a folder; name a file")
      }
      // What a link leads to is replaced, not the link.
      if let resolved = realpath(path, nil) {
        target = String(cString: resolved)
        free(resolved)
      }
      guard status.st_mode & S_IFMT == S_IFREG else {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(path) }
        (self.path, temporary, self.descriptor) = (path, nil, descriptor)
        return
      }
    }
    let temporary = "\(target).\(getpid()).part"
    descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Self.failure(path) }
    (self.path, self.temporary) = (target, temporary)
    Unfinished.begin(temporary)
  }

  deinit {
    if let temporary {
      close(descriptor)
      unlink(temporary)
      Unfinished.end()
    }
  }

  private static func failure(_ path: String) -> Failure {
    .run("\(path): cannot be written: \(String(cString: strerror(errno)))")
  }

  /// Whether what is written will be a file, and neither a device nor the standard output.
  var isReplaced: Bool { temporary != nil }

  /// Writes all of it; ends the program quietly when nobody reads the standard output any more.
  ///
  /// - Throws: `Failure`.
  func write(_ bytes: [UInt8]) throws {
    guard let path else { return Console.write(bytes) }
    try bytes.withUnsafeBytes { buffer in
      var written = 0
      while written < buffer.count {
        let count = Glibc.write(
          descriptor, buffer.baseAddress?.advanced(by: written), buffer.count - written)
        if count >= 0 {
          written += count
        } else if errno != EINTR {
          throw Self.failure(path)
        }
      }
    }
  }

  /// Puts the file into its place.
  ///
  /// - Throws: `Failure`.
  func finish() throws {
    guard let path, let temporary else { return }
    guard fsync(descriptor) == 0, rename(temporary, path) == 0 else { throw Self.failure(path) }
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

/// Which file a path leads to.
struct FileIdentity: Equatable {
  private let device: UInt
  private let number: UInt

  /// Nothing where there is no file.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, number) = (UInt(status.st_dev), UInt(status.st_ino))
  }
}
