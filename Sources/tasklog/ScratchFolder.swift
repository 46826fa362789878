import Foundation
import Synchronization

/// A folder for what is needed only while a command runs. It goes with the command, also when that is
/// ended by a signal or because nobody reads its output any more; after a SIGKILL the next one takes it
/// away, which sees by its lock that nobody has it.
final class ScratchFolder {
  private static let prefix = "tasklog-scratch-"
  /// Who makes a folder has locked it by then.
  private static let secondsUntilStale = 60.0

  private let url: URL
  private var isMade = false
  private var lock: Int32 = -1
  private(set) var count = 0

  init() {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent(Self.prefix + UUID().uuidString)
  }

  /// A place in it; the folder itself is made with the first one.
  func path(_ name: String) -> String {
    count += 1
    if !isMade {
      isMade = true
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
    if isMade { try? FileManager.default.removeItem(at: url) }
    if lock >= 0 { close(lock) }
    (isMade, lock) = (false, -1)
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

  private static let made = Mutex<[String]>([])
  /// Where a handler tells a thread which signal has come: the handler itself may do little more.
  private static let pipe = Atomic<Int32>(-1)
  /// The signal that ends the program; 0 before.
  private static let ending = Atomic<Int32>(0)

  private static func watch(_ path: String) {
    let isFirst = made.withLock { made in
      made.append(path)
      return made.count == 1
    }
    guard isFirst else { return }
    atexit {
      ScratchFolder.removeAll()
      // What was at work may have failed for want of its files.
      ScratchFolder.endBySignal()
    }
    var ends: [Int32] = [0, 0]
    guard Glibc.pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    pipe.store(ends[1], ordering: .relaxed)
    let end = ends[0]
    Thread.detachNewThread {
      var number: UInt8 = 0
      while read(end, &number, 1) < 0, errno == EINTR {}
      ending.store(Int32(number), ordering: .sequentiallyConsistent)
      removeAll()
      endBySignal()
    }
    for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] {
      var present = sigaction()
      sigaction(number, nil, &present)
      // What is ignored stays so.
      guard present.__sigaction_handler.sa_handler == nil else { continue }
      signal(number) { number in
        var byte = UInt8(number)
        _ = write(ScratchFolder.pipe.load(ordering: .relaxed), &byte, 1)
      }
    }
  }

  private static func endBySignal() {
    let number = ending.load(ordering: .sequentiallyConsistent)
    guard number != 0 else { return }
    signal(number, SIG_DFL)
    kill(getpid(), number)
  }

  private static func removeAll() {
    made.withLock { made in
      for path in made {
        // Whoever is at work may make another file in it meanwhile.
        for _ in 0..<100 where access(path, F_OK) == 0 {
          try? FileManager.default.removeItem(atPath: path)
        }
      }
    }
  }
}
