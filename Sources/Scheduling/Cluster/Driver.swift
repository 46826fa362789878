import Glibc

/// A server that has messages to handle.
protocol Driven: AnyObject, Sendable {
  /// Handles what has come in, in the calling thread or in the one that has the turn.
  func drive()
  /// Handles what has come in, on one of Swift's threads.
  func wake()
}

/// Lets the thread that has just run a task see to what follows from it: the worker learns of it, from
/// that the scheduler, from that workers of what is next. None of them has to be woken for it.
///
/// Each thread has its own, so nothing here is shared.
final class Driver {
  private var pending: [any Driven] = []
  private var isActive = false

  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key) { driver in
      if let driver { Unmanaged<Driver>.fromOpaque(driver).release() }
    }
    return key
  }()

  /// The calling thread is to have a driver.
  static func install() {
    pthread_setspecific(key, Unmanaged.passRetained(Driver()).toOpaque())
  }

  private static var ofThisThread: Driver? {
    pthread_getspecific(key).map { Unmanaged<Driver>.fromOpaque($0).takeUnretainedValue() }
  }

  /// A server has got its first message: it comes next, if this thread drives, else it is woken.
  static func call(_ server: any Driven) {
    if let driver = ofThisThread, driver.isActive {
      driver.pending.append(server)
    } else {
      server.wake()
    }
  }

  /// Does something and all that follows from it. Must not be called from within a turn.
  static func drive(_ body: () -> Void) {
    guard let driver = ofThisThread, !driver.isActive else { return body() }
    driver.isActive = true
    body()
    var next = 0
    while next < driver.pending.count {
      let server = driver.pending[next]
      next += 1
      server.drive()
    }
    driver.pending.removeAll(keepingCapacity: true)
    driver.isActive = false
  }
}
