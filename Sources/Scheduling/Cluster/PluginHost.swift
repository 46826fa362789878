import TaskLogPlugin

/// The plugins of one scheduler or worker, in the order of registration.
///
/// One that throws is reported with its name, the event and the error, loudly, and does not disturb
/// the others. One that throws `PluginDone` stays, but is not called any more.
struct PluginHost<P> {
  private(set) var plugins: [(name: String, plugin: P)] = []
  /// Those that have seen enough. Not part of the value: a hook says so while plugins are called.
  private let done = Done()
  private let owner: String
  private let logger: ClusterLogger

  /// - Parameter owner: what the plugins are on, for messages.
  init(owner: String, _ logger: ClusterLogger) {
    self.owner = owner
    self.logger = logger
  }

  var isEmpty: Bool { plugins.isEmpty }

  /// Whether a plugin is to be registered: not when it is idempotent and its name is taken.
  func admits(name: String, idempotent: Bool) -> Bool {
    !idempotent || !plugins.contains { $0.name == name }
  }

  /// Registers a plugin in place of the one of that name, if any.
  ///
  /// - Parameter isDone: it has seen enough already.
  mutating func add(_ plugin: P, name: String, idempotent: Bool, isDone: Bool) {
    guard admits(name: name, idempotent: idempotent) else { return }
    _ = remove(name)
    plugins.append((name, plugin))
    if isDone { done.names.insert(name) }
  }

  mutating func remove(_ name: String) -> P? {
    done.names.remove(name)
    guard let place = plugins.firstIndex(where: { $0.name == name }) else { return nil }
    return plugins.remove(at: place).plugin
  }

  /// Those whose reports are the user's.
  var reporting: [(name: String, plugin: P)] { plugins.filter { !($0.plugin is any RecorderPart) } }

  /// Those that are still to be called.
  var wanting: [(name: String, plugin: P)] {
    done.names.isEmpty ? plugins : plugins.filter { !done.names.contains($0.name) }
  }

  func call(_ event: Event, _ body: (P) throws -> Void) {
    for (name, plugin) in wanting {
      do {
        try body(plugin)
      } catch {
        note(error, of: name, event.inWords)
      }
    }
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
    if error is PluginDone {
      done.names.insert(name)
      return true
    }
    let what = what()
    logger.error(
      "plugin '\(name)' on \(owner) failed in \(what): \(error)",
      ["plugin": "\(name)", "on": "\(owner)", "hook": "\(what)"])
    return false
  }
}

private final class Done {
  var names: Set<String> = []
}
