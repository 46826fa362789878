import TaskLogPlugin

/// Who is told of the events of one scheduler or worker: its recorder, then its plugins in the order
/// of registration.
///
/// A plugin that throws is reported with its name, the event and the error, loudly, and does not
/// disturb the others.
final class PluginHost<P> {
  @exclusivity(unchecked) private(set) var plugins: [(name: String, plugin: P)] = []
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
    for (name, plugin) in plugins {
      do {
        try call(plugin, event)
      } catch {
        report(name, Self.describe(event), error)
      }
    }
  }

  /// For the recorder alone.
  func record(_ event: Event) {
    channel?.record(event)
  }

  var isEmpty: Bool { plugins.isEmpty }

  /// Whether a plugin is to be registered: not when it is idempotent and its name is taken.
  func admits(name: String, idempotent: Bool) -> Bool {
    !idempotent || !plugins.contains { $0.name == name }
  }

  /// Registers a plugin in place of the one of that name, if any.
  func add(_ plugin: P, name: String, idempotent: Bool) {
    guard admits(name: name, idempotent: idempotent) else { return }
    plugins.removeAll { $0.name == name }
    plugins.append((name, plugin))
  }

  func remove(_ name: String) -> P? {
    guard let place = plugins.firstIndex(where: { $0.name == name }) else { return nil }
    return plugins.remove(at: place).plugin
  }

  /// A hook that gives something back.
  func call(named hook: String, _ body: (P) throws -> Void) {
    for (name, plugin) in plugins {
      do {
        try body(plugin)
      } catch {
        report(name, hook, error)
      }
    }
  }

  func report(_ name: String, _ what: String, _ error: any Error) {
    logger.error(
      "plugin '\(name)' on \(owner) failed in \(what): \(error)",
      ["plugin": "\(name)", "on": "\(owner)", "hook": "\(what)"])
  }

  private static func describe(_ event: Event) -> String {
    guard let key = event.key, let start = event.start, let finish = event.finish else {
      return event.hook.name
    }
    return "\(event.hook.name) of '\(key)' from \(start) to \(finish)"
  }
}
