import Glibc

/// Folders for caches, private to the user, next to the user's other caches.
package enum CacheFolder {
  package struct Failure: Error, Sendable {
    package var reason: String
  }

  /// A folder in `$XDG_CACHE_HOME/tasklog`, else in `~/.cache/tasklog`. A relative `$XDG_CACHE_HOME` is
  /// ignored, as its specification has it.
  ///
  /// - Parameter base: replaces `$XDG_CACHE_HOME`.
  package static func make(_ name: String, in base: String? = nil) -> Result<String, Failure> {
    func environment(_ name: String) -> String? {
      getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
    }
    let named = environment("XDG_CACHE_HOME").flatMap { $0.hasPrefix("/") ? $0 : nil }
    let base = base ?? named ?? environment("HOME").map { $0 + "/.cache" }
    guard let base else { return make(name, inTemporary: "/tmp") }
    return make(["tasklog", name], in: base)
  }

  /// A folder for a user without a home.
  ///
  /// - Parameter temporary: a folder that everybody can write to. The first one in it must be the
  ///   user's, too: its owner can replace what is in it.
  package static func make(
    _ name: String, inTemporary temporary: String
  ) -> Result<String, Failure> {
    make(["tasklog-\(geteuid())", "tasklog", name], in: temporary)
  }

  private static func make(_ parts: [String], in base: String) -> Result<String, Failure> {
    var folder = base
    if let reason = makeFolders(folder) { return .failure(.init(reason: reason)) }
    for part in parts {
      folder += "/" + part
      if let reason = makePrivate(folder) { return .failure(.init(reason: reason)) }
    }
    return .success(folder)
  }

  /// Makes a folder and those that it is in; returns why that is not possible.
  private static func makeFolders(_ path: String) -> String? {
    var folder = ""
    for part in path.split(separator: "/", omittingEmptySubsequences: false) {
      folder += part
      if !folder.isEmpty, mkdir(folder, 0o700) != 0, errno != EEXIST {
        return "\(folder): \(String(cString: strerror(errno)))"
      }
      folder += "/"
    }
    return nil
  }

  /// Makes a folder that only its user can read and write: what is in it is trusted, and has values
  /// of logs. Returns why that is not possible.
  private static func makePrivate(_ folder: String) -> String? {
    if mkdir(folder, 0o700) != 0, errno != EEXIST {
      return "\(folder): \(String(cString: strerror(errno)))"
    }
    // The folder that is checked is the one whose mode is changed.
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
    guard descriptor >= 0 else {
      return errno == ELOOP || errno == ENOTDIR
        ? "\(folder) is a link or a file, and not a folder of its user"
        : "\(folder): \(String(cString: strerror(errno)))"
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_uid == geteuid(),
      status.st_mode & 0o022 == 0
    else { return "\(folder) is owned or writable by another user" }
    if status.st_mode & 0o077 != 0, fchmod(descriptor, 0o700) != 0 {
      return "\(folder): \(String(cString: strerror(errno)))"
    }
    return nil
  }
}
