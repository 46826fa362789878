import EventLog
import TaskLogPlugin

/// A scheduler or worker with plugins: the state that they access and the hooks that they have.
protocol ReplayTarget: AnyObject {
  associatedtype State: RebuiltState

  var plugins: [any Plugin] { get }
  var builder: StateBuilder<State> { get }

  /// The source_seq of the event that plugins are being called with, or were last called with.
  var currentSourceSeq: Int64 { get }
  /// Why a state accessed by a plugin could not be rebuilt.
  var failure: (any Error)? { get }
  /// The number of events that did not match the state; 0 if no plugin accessed it.
  var mismatchCount: Int { get }
  /// What is unavailable in the state; empty if no plugin accessed it.
  var unknown: [UnavailableState] { get }

  /// See `StateBuilder`.
  func resume(after sourceSeq: Int64, with saved: Value?) throws
  func saved(limit: Int) -> Value?
  /// Advances to the next event of the source.
  func advance(_ recorded: RecordedEvent)
  /// Ends an event, after plugins have been called.
  func finishEvent()

  /// Calls a plugin, by index, with the hook that starts it.
  nonisolated(nonsending) func begin(_ index: Int) async throws
  /// Calls a plugin with an event.
  func call(_ index: Int, _ event: Event) throws
  /// Calls a plugin with an event whose hook is async.
  nonisolated(nonsending) func callAwaiting(_ index: Int, _ hook: Hook) async throws
}

extension ReplayTarget {
  var currentSourceSeq: Int64 { builder.currentSourceSeq }
  var failure: (any Error)? { builder.failure }
  var mismatchCount: Int { builder.state?.mismatchCount ?? 0 }
  var unknown: [UnavailableState] { builder.state?.unknown ?? [] }

  func resume(after sourceSeq: Int64, with saved: Value?) throws {
    try builder.resume(after: sourceSeq, with: saved)
  }
  func saved(limit: Int) -> Value? { builder.saved(limit: limit) }
  func advance(_ recorded: RecordedEvent) { builder.advance(recorded) }
  func finishEvent() { builder.finishEvent() }
}

/// A scheduler and the plugins on it.
final class SchedulerTarget: ReplayTarget {
  private let scheduler: Scheduler
  let builder: StateBuilder<SchedulerState>
  private let targetPlugins: [any SchedulerPlugin]

  init(
    id: String, unknown: [UnavailableState], history: @escaping () throws -> SourceCursor,
    plugins: [any SchedulerPlugin]
  ) {
    let builder = StateBuilder<SchedulerState>(unknown: unknown, history: history)
    scheduler = Scheduler(id: id) { builder.currentState() }
    self.builder = builder
    targetPlugins = plugins
  }

  var plugins: [any Plugin] { targetPlugins }

  nonisolated(nonsending) func begin(_ index: Int) async throws {
    try await targetPlugins[index].start(scheduler: scheduler)
  }

  func call(_ index: Int, _ event: Event) throws {
    try targetPlugins[index].call(event, scheduler: scheduler)
  }

  nonisolated(nonsending) func callAwaiting(_ index: Int, _ hook: Hook) async throws {
    switch hook {
    case .beforeClose: try await targetPlugins[index].beforeClose()
    case .close: try await targetPlugins[index].close()
    default: break
    }
  }
}

/// One worker and the plugins on it.
final class WorkerTarget: ReplayTarget {
  private let worker: Worker
  let builder: StateBuilder<WorkerState>
  private let targetPlugins: [any WorkerPlugin]

  init(
    _ source: Source, unknown: [UnavailableState], history: @escaping () throws -> SourceCursor,
    plugins: [any WorkerPlugin]
  ) {
    let builder = StateBuilder<WorkerState>(unknown: unknown, history: history)
    worker = Worker(id: source.id, address: source.address, name: source.name) {
      builder.currentState()
    }
    self.builder = builder
    targetPlugins = plugins
  }

  var plugins: [any Plugin] { targetPlugins }

  nonisolated(nonsending) func begin(_ index: Int) async throws {
    try await targetPlugins[index].setup(worker: worker)
  }

  func call(_ index: Int, _ event: Event) throws {
    try targetPlugins[index].call(event)
  }

  nonisolated(nonsending) func callAwaiting(_ index: Int, _ hook: Hook) async throws {
    if hook == .teardown { try await targetPlugins[index].teardown(worker: worker) }
  }
}
