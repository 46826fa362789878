import Foundation
import Testing

/// A separate disk in memory, removed with this object.
final class SmallDisk {
  let path: String

  init(megabytes: Int) throws {
    path = NSTemporaryDirectory() + "tasklog-disk-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    try #require(
      system("mount -t tmpfs -o size=\(megabytes)m tmpfs \(path) 2>/dev/null") == 0,
      "no disk could be mounted")
  }

  deinit {
    _ = system("umount -l \(path)")
    rmdir(path)
  }

  /// Whether this process may mount anything.
  static let isAllowed = (try? SmallDisk(megabytes: 1)) != nil
}
