import TaskLogPlugin

/// Who is told of the events of one scheduler or worker: its recorder, then its plugins in the order
/// of registration.
///
/// A plugin that throws is reported with its name, the event and the error, loudly, and does not
/// disturb the others. One that throws `StopReplay` stays, but is not called any more.
final class PluginHost<P> {
  @exclusivity(unchecked) private(set) var plugins: [(name: String, plugin: P)] = []
  /// Those that are still to be called.
  @exclusivity(unchecked) private(set) var wanting: [(name: String, plugin: P)] = []
  /// Those that have seen enough.
  private var done: Set<String> = []
  private let owner: String
  private let logger: ClusterLogger
  private let channel: (any EventChannel)?
  private let call: (P, Event) throws -> Void

  /// - Parameters:
  ///   - owner: what the plugins are on, for messages.
  ///   - call: calls the hook that an event is a call of.
  init(
    _ owner: String, _ logger: ClusterLogger, _ channel: (any EventChannel)?,
    _ call: @escaping (P, Event) throws -> Void
  ) {
    self.owner = owner
    self.logger = logger
    self.channel = channel
    self.call = call
  }

  func tell(_ event: Event) {
    channel?.record(event)
    for (name, plugin) in wanting {
      do {
        try call(plugin, event)
      } catch {
        note(error, of: name, event.summaryText)
      }
    }
  }

  /// For the recorder alone.
  func record(_ event: Event) {
    channel?.record(event)
  }

  var isEmpty: Bool { plugins.isEmpty }

  /// Those whose reports are the user's.
  var reporting: [(name: String, plugin: P)] { plugins.filter { !($0.plugin is any RecorderInternal) } }

  /// Whether a plugin is to be registered: not when it is idempotent and its name is taken.
  func admits(name: String, idempotent: Bool) -> Bool {
    !idempotent || !plugins.contains { $0.name == name }
  }

  /// Registers a plugin in place of the one of that name, if any.
  ///
  /// - Parameter isDone: it has seen enough already.
  func add(_ plugin: P, name: String, idempotent: Bool, isDone: Bool) {
    guard admits(name: name, idempotent: idempotent) else { return }
    _ = remove(name)
    plugins.append((name, plugin))
    if isDone { done.insert(name) }
    chooseWanting()
  }

  func remove(_ name: String) -> P? {
    done.remove(name)
    guard let place = plugins.firstIndex(where: { $0.name == name }) else { return nil }
    defer { chooseWanting() }
    return plugins.remove(at: place).plugin
  }

  private func chooseWanting() {
    wanting = done.isEmpty ? plugins : plugins.filter { !done.contains($0.name) }
  }

  /// A hook that gives something back.
  func call(named hook: String, _ body: (P) throws -> Void) {
    for (name, plugin) in wanting {
      do {
        try body(plugin)
      } catch {
        note(error, of: name, hook)
      }
    }
  }

  /// A hook has thrown.
  ///
  /// - Returns: whether to say that the plugin has seen enough.
  @discardableResult
  func note(_ error: any Error, of name: String, _ what: @autoclosure () -> String) -> Bool {
    if error is StopReplay {
      done.insert(name)
      chooseWanting()
      return true
    }
    let what = what()
    logger.error(
      "plugin '\(name)' on \(owner) failed in \(what): \(error)",
      ["plugin": "\(name)", "on": "\(owner)", "hook": "\(what)"])
    return false
  }
}
