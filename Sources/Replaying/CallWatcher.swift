import EventLog

/// Is told before each call of a Swift plugin, so that someone can say which one never came back.
///
/// It is in the way of every event: what it does must be cheap.
public protocol CallWatcher: AnyObject {
  /// A hook of a plugin is about to be called.
  ///
  /// - Parameters:
  ///   - worker: the worker that the plugin is on; nothing on the scheduler.
  ///   - recorded: nothing for `start` and `setup`, which are no events.
  func willCall(_ plugin: String, on worker: String?, with recorded: RecordedEvent?)

  /// No plugin is being called any more.
  func haveCalled()
}
