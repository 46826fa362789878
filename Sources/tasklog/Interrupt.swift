import Glibc
import Synchronization

/// Ctrl-C, where it ends the work and not the program. Pressed once more it ends the program.
enum Interrupt {
  private static let flag = Atomic(false)

  static var hasCome: Bool { flag.load(ordering: .relaxed) }

  static func watch() {
    // Made here, so that nothing has to be made in the handler.
    flag.store(false, ordering: .relaxed)
    signal(SIGINT) { _ in
      Interrupt.flag.store(true, ordering: .relaxed)
      signal(SIGINT, SIG_DFL)
    }
  }
}
