import Glibc

/// The identity of the file at a path: one file may have many names.
package struct FileIdentity: Hashable {
  private let device: dev_t
  private let inode: ino_t

  /// `nil` if there is no file.
  package init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    (device, inode) = (status.st_dev, status.st_ino)
  }

  package static func isSame(_ a: String, _ b: String) -> Bool {
    FileIdentity(a).map { $0 == FileIdentity(b) } ?? false
  }
}
