import Glibc

/// A server that processes messages from an inbox.
protocol Driven: AnyObject, Sendable {
  /// Processes the inbox on the calling thread, or on the thread that has the turn.
  func drive()
  /// Processes the inbox on one of Swift's threads.
  func wake()
}

/// Lets the thread that has just run a task process the consequences: it notifies the worker, the
/// worker notifies the scheduler, and the scheduler sends workers their next tasks. None of them
/// must be woken.
///
/// There is one per thread, so nothing here is shared.
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

  /// Gives the calling thread a driver.
  static func install() {
    pthread_setspecific(key, Unmanaged.passRetained(Driver()).toOpaque())
  }

  private static var ofThisThread: Driver? {
    pthread_getspecific(key).map { Unmanaged<Driver>.fromOpaque($0).takeUnretainedValue() }
  }

  /// Schedules a server whose inbox is no longer empty: it is next if this thread is driving,
  /// otherwise it is woken.
  static func call(_ server: any Driven) {
    if let driver = ofThisThread, driver.isActive {
      driver.pending.append(server)
    } else {
      server.wake()
    }
  }

  /// Runs a body and then all servers it has made pending. Must not be called from within a turn.
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
