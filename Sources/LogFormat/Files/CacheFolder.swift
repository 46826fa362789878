import Glibc

/// Folders for caches, private to the user, next to the user's other caches.
package enum CacheFolder {
  package struct Failure: Error, Sendable {
    package var reason: String
  }

  /// A folder in `$XDG_CACHE_HOME/tasklog`, else in `~/.cache/tasklog`.
  ///
  /// - Parameter base: replaces `$XDG_CACHE_HOME`.
  package static func make(_ name: String, in base: String? = nil) -> Result<String, Failure> {
    func environment(_ name: String) -> String? {
      getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    let base =
      base ?? environment("XDG_CACHE_HOME") ?? environment("HOME").map { $0 + "/.cache" }
      ?? "/tmp/tasklog-\(getuid())"
    var folder = ""
    for part in (base + "/tasklog/" + name).split(separator: "/", omittingEmptySubsequences: false)
    {
      folder += part
      if !folder.isEmpty, mkdir(folder, 0o700) != 0, errno != EEXIST {
        return .failure(.init(reason: "\(folder): \(String(cString: strerror(errno)))"))
      }
      folder += "/"
    }
    // The contents are trusted, so no other user may be able to write there.
    var status = stat()
    guard stat(folder, &status) == 0, status.st_uid == getuid(), status.st_mode & 0o022 == 0 else {
      return .failure(.init(reason: "\(folder) is owned or writable by another user"))
    }
    return .success(String(folder.dropLast()))
  }
}
