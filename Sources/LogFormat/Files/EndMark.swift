import Glibc

/// Records, in the folder of a recorder, that its run was closed and when, for runs whose end could
/// not be written to the log: recovery then ends the run as closed, and not as died.
package enum EndMark {
  /// The name of the file.
  package static let name = "closed"

  /// - Returns: whether the mark was written.
  @discardableResult
  package static func write(in folder: String, at time: Int64) -> Bool {
    let (path, fresh) = (folder + "/" + name, folder + "/" + name + ".new")
    let bytes = Array("\(time)\n".utf8)
    let descriptor = open(fresh, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard descriptor >= 0 else { return false }
    let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    // A torn write would contain a wrong time.
    guard count == bytes.count, rename(fresh, path) == 0 else {
      unlink(fresh)
      return false
    }
    return true
  }

  /// When the run of this folder was closed; `nil` if there is no mark.
  package static func read(in folder: String) -> Int64? {
    let descriptor = open(folder + "/" + name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 32)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    guard count > 1, bytes[count - 1] == UInt8(ascii: "\n") else { return nil }
    return Int64(String(decoding: bytes[..<(count - 1)], as: UTF8.self))
  }

  /// The same for the folder next to a log.
  package static func read(log path: String, run: String) -> Int64? {
    RecorderLock.folder(log: path, run: run).flatMap { read(in: $0) }
  }

  package static func remove(from folder: String) {
    for ending in ["", ".new"] { unlink(folder + "/" + name + ending) }
  }
}
