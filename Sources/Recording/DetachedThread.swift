import CSupport
import Glibc

/// A thread that is not waited for: one that waits for a dead network file system never ends.
final class DetachedThread {
  private let name: String
  private let body: @Sendable () -> Void

  private init(_ name: String, _ body: @escaping @Sendable () -> Void) {
    (self.name, self.body) = (name, body)
  }

  /// - Parameter name: what tools such as `top -H` show; at most 15 bytes.
  /// - Returns: why no thread could be started; `nil` if one was.
  static func start(_ name: String, _ body: @escaping @Sendable () -> Void) -> String? {
    var thread = pthread_t()
    // Balanced by the release at the beginning of the thread.
    let this = Unmanaged.passRetained(DetachedThread(name, body))
    let code = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        let this = Unmanaged<DetachedThread>.fromOpaque(argument).takeRetainedValue()
        tl_name_thread(this.name)
        this.body()
        return nil
      }, this.toOpaque())
    guard code == 0 else {
      this.release()
      return String(cString: strerror(code))
    }
    pthread_detach(thread)
    return nil
  }
}
