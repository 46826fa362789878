import EventLog
import TaskLogPlugin

/// The plugins on one source, the scheduler or a worker, and the state that they see.
final class SourceReplay {
  private enum Target {
    case scheduler(Scheduler, StateBuilder<SchedulerState>, [any SchedulerPlugin])
    case worker(Worker, StateBuilder<WorkerState>, [any WorkerPlugin])
  }

  private let target: Target
  private let address: String
  /// The names of the plugins, and the place of each in the order of adding.
  private let names: [(name: String, index: Int)]
  private var hasBegun = false

  /// - Throws: what a plugin's initializer throws.
  init(
    _ info: SourceInfo, reader: LogReader,
    factories: [(factory: PluginFactory, options: [String: String])]
  ) throws {
    let source = info.source
    address = source.address
    var names: [(String, Int)] = []
    let history = { try reader.events(of: info) }
    if source.kind == .scheduler {
      var plugins: [any SchedulerPlugin] = []
      for (index, (factory, options)) in factories.enumerated() {
        guard let type = factory.type as? any SchedulerPlugin.Type else { continue }
        plugins.append(try type.init(options: options))
        names.append((factory.name, index))
      }
      let builder = StateBuilder(
        make: { SchedulerState() }, apply: { $0.apply($1) }, settle: { $0.settle() },
        history: history)
      let scheduler = Scheduler(id: source.id) { builder.look() }
      target = .scheduler(scheduler, builder, plugins)
    } else {
      var plugins: [any WorkerPlugin] = []
      for (index, (factory, options)) in factories.enumerated() {
        guard let type = factory.type as? any WorkerPlugin.Type else { continue }
        plugins.append(try type.init(options: options))
        names.append((factory.name, index))
      }
      let builder = StateBuilder(
        make: { WorkerState() }, apply: { $0.apply($1) }, settle: { $0.settle() },
        history: history)
      let worker = Worker(id: source.id, address: source.address, name: source.name) {
        builder.look()
      }
      target = .worker(worker, builder, plugins)
    }
    self.names = names
  }

  var isIdle: Bool { names.isEmpty }

  var isScheduler: Bool {
    if case .scheduler = target { return true }
    return false
  }

  /// Why the state that a plugin looked at could not be rebuilt.
  var failure: (any Error)? {
    switch target {
    case .scheduler(_, let builder, _): builder.failure
    case .worker(_, let builder, _): builder.failure
    }
  }

  /// What a plugin has to say, by its place in the order of adding.
  func report(of index: Int) -> Replayer.Report? {
    guard let place = names.firstIndex(where: { $0.index == index }) else { return nil }
    switch target {
    case .scheduler(_, _, let plugins):
      return .init(plugin: names[place].name, worker: nil, report: plugins[place].report())
    case .worker(_, _, let plugins):
      return .init(plugin: names[place].name, worker: address, report: plugins[place].report())
    }
  }

  /// Starts the plugins on a scheduler, sets them up on a worker.
  nonisolated(nonsending) func begin(_ failures: inout FailureList) async {
    hasBegun = true
    switch target {
    case .scheduler(let scheduler, _, let plugins):
      for (place, plugin) in plugins.enumerated() {
        do {
          try await plugin.start(scheduler: scheduler)
        } catch {
          fail(place, "start", nil, error, &failures)
        }
      }
    case .worker(let worker, _, let plugins):
      for (place, plugin) in plugins.enumerated() {
        do {
          try await plugin.setup(worker: worker)
        } catch {
          fail(place, "setup", nil, error, &failures)
        }
      }
    }
  }

  /// Takes in the next event of the source, unless a hook has to be awaited for it.
  ///
  /// - Returns: whether it has been taken in; if not, `takeAwaiting` does it.
  /// - Throws: `LogError` when the state that a plugin looked at could not be rebuilt.
  func take(_ recorded: RecordedEvent, _ failures: inout FailureList) throws -> Bool {
    switch recorded.event.hook {
    case .beforeClose, .close, .teardown: return false
    default: if !isScheduler, !hasBegun { return false }
    }
    advance(recorded)
    call(recorded, &failures)
    finishEvent()
    if let failure { throw failure }
    return true
  }

  /// Takes in an event for which hooks have to be awaited.
  ///
  /// - Throws: as `take`.
  nonisolated(nonsending) func takeAwaiting(
    _ recorded: RecordedEvent, _ failures: inout FailureList
  ) async throws {
    advance(recorded)
    if !isScheduler, !hasBegun { await begin(&failures) }
    switch recorded.event.hook {
    case .beforeClose, .close, .teardown: await callAwaiting(recorded, &failures)
    default: call(recorded, &failures)
    }
    finishEvent()
    if let failure { throw failure }
  }

  private func advance(_ recorded: RecordedEvent) {
    switch target {
    case .scheduler(_, let builder, _): builder.advance(recorded)
    case .worker(_, let builder, _): builder.advance(recorded)
    }
  }

  private func finishEvent() {
    switch target {
    case .scheduler(_, let builder, _): builder.finishEvent()
    case .worker(_, let builder, _): builder.finishEvent()
    }
  }

  private func call(_ recorded: RecordedEvent, _ failures: inout FailureList) {
    switch target {
    case .scheduler(let scheduler, _, let plugins):
      for place in plugins.indices {
        do {
          try plugins[place].call(recorded.event, scheduler: scheduler)
        } catch {
          fail(place, recorded.event.hook.name, recorded.seq, error, &failures)
        }
      }
    case .worker(_, _, let plugins):
      for place in plugins.indices {
        do {
          try plugins[place].call(recorded.event)
        } catch {
          fail(place, recorded.event.hook.name, recorded.seq, error, &failures)
        }
      }
    }
  }

  private nonisolated(nonsending) func callAwaiting(
    _ recorded: RecordedEvent, _ failures: inout FailureList
  ) async {
    for place in names.indices {
      do {
        switch (target, recorded.event.hook) {
        case (.scheduler(_, _, let plugins), .beforeClose):
          try await plugins[place].beforeClose()
        case (.scheduler(_, _, let plugins), .close): try await plugins[place].close()
        case (.worker(let worker, _, let plugins), .teardown):
          try await plugins[place].teardown(worker: worker)
        default: break
        }
      } catch {
        fail(place, recorded.event.hook.name, recorded.seq, error, &failures)
      }
    }
  }

  private func fail(
    _ place: Int, _ hook: String, _ seq: Int64?, _ error: any Error,
    _ failures: inout FailureList
  ) {
    failures.append(
      .init(
        plugin: names[place].name, worker: isScheduler ? nil : address, seq: seq, hook: hook,
        error: String(describing: error)))
  }
}
