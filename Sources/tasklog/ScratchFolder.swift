import Foundation
import Synchronization

/// A folder for what is needed only while a command runs. It goes with the command, also when that is
/// ended by a signal or because nobody reads its output any more.
final class ScratchFolder {
  private let url: URL
  private var isMade = false
  private(set) var count = 0

  init() {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("tasklog-\(UUID().uuidString)")
  }

  /// A place in it; the folder itself is made with the first one.
  func path(_ name: String) -> String {
    count += 1
    if !isMade {
      isMade = true
      Self.watch(url.path)
      try? FileManager.default.createDirectory(
        at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }
    return url.appendingPathComponent(name).path
  }

  func remove() {
    if isMade { try? FileManager.default.removeItem(at: url) }
  }

  // MARK: - When the program ends

  private static let made = Mutex<[String]>([])
  /// Where a handler tells a thread which signal has come: the handler itself may do little more.
  private static let pipe = Atomic<Int32>(-1)

  private static func watch(_ path: String) {
    let isFirst = made.withLock { made in
      made.append(path)
      return made.count == 1
    }
    guard isFirst else { return }
    atexit { ScratchFolder.removeAll() }
    var ends: [Int32] = [0, 0]
    guard Glibc.pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    pipe.store(ends[1], ordering: .relaxed)
    let end = ends[0]
    Thread.detachNewThread {
      var number: UInt8 = 0
      while read(end, &number, 1) < 0, errno == EINTR {}
      removeAll()
      signal(Int32(number), SIG_DFL)
      kill(getpid(), Int32(number))
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

  private static func removeAll() {
    made.withLock { made in
      for path in made { try? FileManager.default.removeItem(atPath: path) }
      made.removeAll()
    }
  }
}
