import Glibc
import Synchronization

/// Ctrl-C, and what else is watched, where it ends the work and not the program. Once more it ends the
/// program.
enum Interrupt {
  private static let flag = Atomic(false)

  static var hasCome: Bool { flag.load(ordering: .relaxed) }

  static func watch(_ numbers: Int32...) {
    // Made here, so that nothing has to be made in the handler.
    flag.store(false, ordering: .relaxed)
    for number in numbers {
      signal(number) { number in
        Interrupt.flag.store(true, ordering: .relaxed)
        signal(number, SIG_DFL)
      }
    }
  }
}
