import Glibc
import LogFormat
import Synchronization

/// Removes the scratch folders of a command when it ends, also by a signal or a closed output pipe.
enum ScratchRemoval {
  /// Sends the signal number from the handler to a thread: a handler may do little more than that.
  private static let pipe = Atomic<Int32>(-1)
  /// The signal that ends the program; 0 before one arrives.
  private static let ending = Atomic<Int32>(0)
  private static let isWatching = Atomic(false)

  /// Starts watching for the end of the program; repeated calls have no effect.
  static func watch() {
    guard !isWatching.exchange(true, ordering: .relaxed) else { return }
    atexit {
      ScratchFolder.removeAll()
      // The running work may have failed because its files were removed.
      ScratchRemoval.endBySignal()
    }
    var ends: [Int32] = [0, 0]
    guard Glibc.pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    pipe.store(ends[1], ordering: .relaxed)
    let end = ends[0]
    let thread = ParallelThread.start {
      var byte: UInt8 = 0
      while read(end, &byte, 1) < 0, errno == EINTR {}
      ending.store(Int32(byte), ordering: .sequentiallyConsistent)
      ScratchFolder.removeAll()
      endBySignal()
    }
    guard let thread else { return }
    pthread_detach(thread)
    for signalNumber in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] {
      var current = sigaction()
      sigaction(signalNumber, nil, &current)
      // An ignored signal stays ignored.
      guard current.__sigaction_handler.sa_handler == nil else { continue }
      signal(signalNumber) { received in
        var byte = UInt8(received)
        _ = write(ScratchRemoval.pipe.load(ordering: .relaxed), &byte, 1)
      }
    }
  }

  private static func endBySignal() {
    let signalNumber = ending.load(ordering: .sequentiallyConsistent)
    guard signalNumber != 0 else { return }
    signal(signalNumber, SIG_DFL)
    kill(getpid(), signalNumber)
  }
}
