import Glibc

/// Files in a cache folder of the user's: whole or not there, and never required.
package enum CacheFile {
  /// The end of the name of a file that is being written.
  package static let unfinishedSuffix = ".new"

  /// The content of a file; `nil` if it is missing, too large or no regular file.
  package static func read(_ path: String, mostBytes: Int = .max) -> [UInt8]? {
    let descriptor = RegularFile.open(path, O_RDONLY | O_NOFOLLOW)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size <= mostBytes else { return nil }
    let size = Int(status.st_size)
    var isComplete = true
    let content = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      while count < size {
        let some = Glibc.read(descriptor, buffer.baseAddress?.advanced(by: count), size - count)
        if some < 0, errno == EINTR { continue }
        if some <= 0 { break }
        count += some
      }
      isComplete = count == size
    }
    return isComplete ? content : nil
  }

  /// Removes what killed processes have not finished.
  package static func removeUnfinished(in folder: String) {
    for name in (try? FolderListing.names(folder)) ?? [] where name.hasSuffix(unfinishedSuffix) {
      let path = "\(folder)/\(name)"
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { unlink(path) }
      close(descriptor)
    }
  }

  /// Writes a file, which gets its name when it is complete.
  package final class Writer {
    private let path: String
    private let descriptor: Int32
    /// Whether the unfinished file is this process's.
    private var isOwner = false
    /// Whether another process is writing the same file, or has just done so.
    package private(set) var isBusy = false
    /// Why it cannot be written; `nil` if it can, or another process writes it.
    package private(set) var reason: String?

    private var unfinished: String { path + unfinishedSuffix }

    package init(_ path: String) {
      self.path = path
      let flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
      descriptor = open(path + unfinishedSuffix, flags, 0o600)
      if descriptor < 0 {
        reason = Self.error()
      } else if flock(descriptor, LOCK_EX | LOCK_NB) != 0 || !isInPlace {
        isBusy = true
      } else {
        isOwner = true
        if ftruncate(descriptor, 0) != 0 { reason = Self.error() }
      }
    }

    deinit {
      cancel()
      if descriptor >= 0 { close(descriptor) }
    }

    /// Whether the unfinished file has not been finished or removed since it was opened.
    private var isInPlace: Bool {
      var (own, named) = (stat(), stat())
      return fstat(descriptor, &own) == 0 && lstat(unfinished, &named) == 0
        && own.st_dev == named.st_dev && own.st_ino == named.st_ino
    }

    package func write(_ bytes: [UInt8]) {
      guard isOwner, reason == nil else { return }
      bytes.withUnsafeBytes { buffer in
        guard let start = buffer.baseAddress else { return }
        var written = 0
        while written < buffer.count {
          let count = Glibc.write(descriptor, start + written, buffer.count - written)
          if count < 0, errno == EINTR { continue }
          if count <= 0 {
            reason = Self.error()
            return
          }
          written += count
        }
      }
    }

    /// - Returns: whether the file is there now.
    package func finish() -> Bool {
      guard isOwner, reason == nil else { return false }
      if rename(unfinished, path) != 0 {
        reason = Self.error()
        return false
      }
      isOwner = false
      return true
    }

    /// Removes what has been written, if it is not finished.
    package func cancel() {
      if isOwner { unlink(unfinished) }
      isOwner = false
    }

    private static func error() -> String { String(cString: strerror(errno)) }
  }
}
