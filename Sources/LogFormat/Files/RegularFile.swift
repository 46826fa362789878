import Glibc

/// Opens files that are next to a log.
package enum RegularFile {
  /// Opens a regular file for reading, or also for writing.
  ///
  /// Anything else is refused: in a folder of a stranger, a named pipe may be in the place of a
  /// file, and opening or reading it would wait forever for a writer.
  ///
  /// - Returns: a descriptor; -1 if the file cannot be opened, with the reason in `errno`: `EINVAL`
  ///   if it is not a regular file.
  package static func open(_ path: String, _ flags: Int32 = O_RDONLY) -> Int32 {
    let descriptor = Glibc.open(path, flags | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { return -1 }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      errno = EINVAL
      return -1
    }
    return descriptor
  }
}
