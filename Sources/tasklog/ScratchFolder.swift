import Foundation
import Synchronization

/// A folder for the temporary files of a command. It is removed when the command ends, also by a
/// signal or a closed output pipe. After a SIGKILL the next command removes it: the folder's lock
/// is free.
final class ScratchFolder {
  private static let prefix = "tasklog-scratch-"
  /// By this age a folder's creator has locked it.
  private static let secondsUntilStale = 60.0

  private let url: URL
  private var isCreated = false
  private var lock: Int32 = -1
  private(set) var count = 0

  init() {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent(Self.prefix + UUID().uuidString)
  }

  /// The path of a file in the folder; the folder itself is created with the first one.
  func path(_ name: String) -> String {
    count += 1
    if !isCreated {
      isCreated = true
      Self.removeStale()
      Self.watch(url.path)
      try? FileManager.default.createDirectory(
        at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
      lock = open(url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
      if lock >= 0 { flock(lock, LOCK_EX | LOCK_NB) }
    }
    return url.appendingPathComponent(name).path
  }

  func remove() {
    if isCreated { try? FileManager.default.removeItem(at: url) }
    if lock >= 0 { close(lock) }
    (isCreated, lock) = (false, -1)
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

  // MARK: - When the program ends

  private static let folders = Mutex<[String]>([])
  /// Sends the signal number from the handler to a thread: a handler may do little more than that.
  private static let pipe = Atomic<Int32>(-1)
  /// The signal that ends the program; 0 before one arrives.
  private static let ending = Atomic<Int32>(0)

  private static func watch(_ path: String) {
    let isFirst = folders.withLock { folders in
      folders.append(path)
      return folders.count == 1
    }
    guard isFirst else { return }
    atexit {
      ScratchFolder.removeAll()
      // The running work may have failed because its files were removed.
      ScratchFolder.endBySignal()
    }
    var ends: [Int32] = [0, 0]
    guard Glibc.pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    pipe.store(ends[1], ordering: .relaxed)
    let end = ends[0]
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while read(end, &byte, 1) < 0, errno == EINTR {}
      ending.store(Int32(byte), ordering: .sequentiallyConsistent)
      removeAll()
      endBySignal()
    }
    for signalNumber in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] {
      var current = sigaction()
      sigaction(signalNumber, nil, &current)
      // An ignored signal stays ignored.
      guard current.__sigaction_handler.sa_handler == nil else { continue }
      signal(signalNumber) { received in
        var byte = UInt8(received)
        _ = write(ScratchFolder.pipe.load(ordering: .relaxed), &byte, 1)
      }
    }
  }

  private static func endBySignal() {
    let signalNumber = ending.load(ordering: .sequentiallyConsistent)
    guard signalNumber != 0 else { return }
    signal(signalNumber, SIG_DFL)
    kill(getpid(), signalNumber)
  }

  private static func removeAll() {
    folders.withLock { folders in
      for path in folders {
        // Running work may still create files in it.
        for _ in 0..<100 where access(path, F_OK) == 0 {
          try? FileManager.default.removeItem(atPath: path)
        }
      }
    }
  }
}
