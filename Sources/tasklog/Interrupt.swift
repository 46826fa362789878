import Glibc
import Synchronization

/// Makes SIGINT and other signals end the work instead of the program. A second signal ends the
/// program.
enum Interrupt {
  private static let flag = Atomic(false)

  static var isRequested: Bool { flag.load(ordering: .relaxed) }

  static func watch(_ signals: Int32...) {
    // Initialized here, because a signal handler must not allocate.
    flag.store(false, ordering: .relaxed)
    for signalNumber in signals {
      signal(signalNumber) { signalNumber in
        Interrupt.flag.store(true, ordering: .relaxed)
        signal(signalNumber, SIG_DFL)
      }
    }
  }
}
