import TaskLogPlugin

/// Dispatches the events of one scheduler or worker: to its recorder first, then to its plugins in
/// registration order.
///
/// A plugin that throws is logged as an error with its name, the event and the error, and does not
/// affect the others. A plugin that throws `StopReplay` stays registered but is not called any
/// more.
final class PluginHost<P> {
  @exclusivity(unchecked) private(set) var plugins: [(name: String, plugin: P)] = []
  /// The plugins that are still called.
  @exclusivity(unchecked) private(set) var active: [(name: String, plugin: P)] = []
  /// The names of the plugins that asked to stop.
  private var stopped: Set<String> = []
  private let owner: String
  private let logger: ClusterLogger
  private let channel: (any EventChannel)?
  private let call: (P, Event) throws -> Void

  /// - Parameters:
  ///   - owner: the server of the plugins, for messages.
  ///   - call: calls the hook of an event.
  init(
    _ owner: String, _ logger: ClusterLogger, _ channel: (any EventChannel)?,
    _ call: @escaping (P, Event) throws -> Void
  ) {
    self.owner = owner
    self.logger = logger
    self.channel = channel
    self.call = call
  }

  func dispatch(_ event: Event) {
    channel?.record(event)
    for (name, plugin) in active {
      do {
        try call(plugin, event)
      } catch {
        handleError(error, of: name, event.summaryText)
      }
    }
  }

  /// Sends an event to the recorder only.
  func record(_ event: Event) {
    channel?.record(event)
  }

  var isEmpty: Bool { plugins.isEmpty }

  /// The plugins whose reports are shown to the user.
  var reporting: [(name: String, plugin: P)] {
    plugins.filter { !($0.plugin is any RecorderInternal) }
  }

  /// Whether a plugin may be registered: not if it is idempotent and its name is in use.
  func admits(name: String, idempotent: Bool) -> Bool {
    !idempotent || !plugins.contains { $0.name == name }
  }

  /// Registers a plugin, replacing one with the same name.
  ///
  /// - Parameter isDone: the plugin has already asked to stop.
  func add(_ plugin: P, name: String, idempotent: Bool, isDone: Bool) {
    guard admits(name: name, idempotent: idempotent) else { return }
    _ = remove(name)
    plugins.append((name, plugin))
    if isDone { stopped.insert(name) }
    updateWanting()
  }

  func remove(_ name: String) -> P? {
    stopped.remove(name)
    guard let index = plugins.firstIndex(where: { $0.name == name }) else { return nil }
    defer { updateWanting() }
    return plugins.remove(at: index).plugin
  }

  private func updateWanting() {
    active = stopped.isEmpty ? plugins : plugins.filter { !stopped.contains($0.name) }
  }

  /// Calls a hook that returns something.
  func call(named hook: String, _ body: (P) throws -> Void) {
    for (name, plugin) in active {
      do {
        try body(plugin)
      } catch {
        handleError(error, of: name, hook)
      }
    }
  }

  /// Handles an error thrown by a hook.
  ///
  /// - Returns: whether the plugin asked to stop.
  @discardableResult
  func handleError(_ error: any Error, of name: String, _ what: @autoclosure () -> String) -> Bool {
    if error is StopReplay {
      stopped.insert(name)
      updateWanting()
      return true
    }
    let what = what()
    logger.error(
      "plugin '\(name)' on \(owner) failed in \(what): \(error)",
      ["plugin": "\(name)", "on": "\(owner)", "hook": "\(what)"])
    return false
  }
}
