import Foundation
import Synchronization

/// A folder for what is needed only while a command runs.
///
/// It goes with the command, also where that ends without coming back; after a Ctrl-C the next one takes
/// it away, who sees by its lock that nobody has it.
final class ScratchFolder: Sendable {
  private static let prefix = "tasklog-scratch-"
  /// Who makes a folder has locked it by then.
  private static let secondsUntilStale = 60.0

  private struct State {
    /// Its lock; nothing before the first place in it is asked for.
    var descriptor: Int32?
    var count = 0
  }

  private static let made = Mutex<[URL]>([])
  private let url: URL
  private let state = Mutex(State())

  init() {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent(Self.prefix + UUID().uuidString)
  }

  /// A new place in it; the folder itself is made with the first one.
  ///
  /// - Throws: when it cannot be made.
  func place() throws -> String {
    try state.withLock { state in
      if state.descriptor == nil {
        Self.removeStale()
        try FileManager.default.createDirectory(
          at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        state.descriptor = open(url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if let descriptor = state.descriptor { flock(descriptor, LOCK_EX | LOCK_NB) }
        Self.removeAtExit(url)
      }
      state.count += 1
      return url.appendingPathComponent("\(state.count).db").path
    }
  }

  func remove() {
    state.withLock { state in
      guard let descriptor = state.descriptor else { return }
      try? FileManager.default.removeItem(at: url)
      close(descriptor)
      state.descriptor = nil
    }
  }

  private static func removeAtExit(_ url: URL) {
    let isFirst = made.withLock { made in
      made.append(url)
      return made.count == 1
    }
    guard isFirst else { return }
    // Who stops reading ends the program where it writes, and not by a signal. Programs that are started
    // from here know nothing of it.
    signal(SIGPIPE) { _ in }
    atexit {
      for url in ScratchFolder.made.withLock({ $0 }) {
        try? FileManager.default.removeItem(at: url)
      }
    }
  }

  private static func removeStale() {
    let all = try? FileManager.default.contentsOfDirectory(
      at: FileManager.default.temporaryDirectory, includingPropertiesForKeys: nil)
    for url in all ?? [] where url.lastPathComponent.hasPrefix(prefix) {
      var status = stat()
      guard lstat(url.path, &status) == 0, status.st_uid == geteuid(),
        Date().timeIntervalSince1970 - Double(status.st_mtim.tv_sec) > secondsUntilStale
      else { continue }
      let descriptor = open(url.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { continue }
      try? FileManager.default.removeItem(at: url)
    }
  }
}
