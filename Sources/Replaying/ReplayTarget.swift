import EventLog
import TaskLogPlugin

/// What plugins are on, a scheduler or a worker: the state that they see and the hooks that they have.
protocol ReplayTarget: AnyObject {
  associatedtype State: RebuiltState

  var plugins: [any Plugin] { get }
  var builder: StateBuilder<State> { get }

  /// The event that plugins are being called with, or the last one that they were called with.
  var present: Int64 { get }
  /// Why the state that a plugin looked at could not be rebuilt.
  var failure: (any Error)? { get }
  /// How many events did not fit the state; 0 when nobody looked at it.
  var mismatchCount: Int { get }
  /// What the state does not know; nothing when nobody looked at it.
  var unknown: [UnavailableState] { get }

  /// See `StateBuilder`.
  func goOn(behind sourceSeq: Int64, with saved: Value?) throws
  func saved(limit: Int) -> Value?
  /// The next event of the source has come.
  func advance(_ recorded: RecordedEvent)
  /// Plugins have been called.
  func finishEvent()

  /// Calls the plugin at a place with the hook by which it starts.
  nonisolated(nonsending) func begin(_ place: Int) async throws
  /// Calls it with an event.
  func call(_ place: Int, _ event: Event) throws
  /// Calls it with an event whose hook has to be awaited.
  nonisolated(nonsending) func callAwaiting(_ place: Int, _ hook: Hook) async throws
}

extension ReplayTarget {
  var present: Int64 { builder.present }
  var failure: (any Error)? { builder.failure }
  var mismatchCount: Int { builder.state?.mismatchCount ?? 0 }
  var unknown: [UnavailableState] { builder.state?.unknown ?? [] }

  func goOn(behind sourceSeq: Int64, with saved: Value?) throws {
    try builder.goOn(behind: sourceSeq, with: saved)
  }
  func saved(limit: Int) -> Value? { builder.saved(limit: limit) }
  func advance(_ recorded: RecordedEvent) { builder.advance(recorded) }
  func finishEvent() { builder.finishEvent() }
}

/// A scheduler and the plugins on it.
final class SchedulerTarget: ReplayTarget {
  private let scheduler: Scheduler
  let builder: StateBuilder<SchedulerState>
  private let own: [any SchedulerPlugin]

  init(
    id: String, unknown: [UnavailableState], history: @escaping () throws -> SourceCursor,
    plugins: [any SchedulerPlugin]
  ) {
    let builder = StateBuilder<SchedulerState>(unknown: unknown, history: history)
    scheduler = Scheduler(id: id) { builder.look() }
    self.builder = builder
    own = plugins
  }

  var plugins: [any Plugin] { own }

  nonisolated(nonsending) func begin(_ place: Int) async throws {
    try await own[place].start(scheduler: scheduler)
  }

  func call(_ place: Int, _ event: Event) throws {
    try own[place].call(event, scheduler: scheduler)
  }

  nonisolated(nonsending) func callAwaiting(_ place: Int, _ hook: Hook) async throws {
    switch hook {
    case .beforeClose: try await own[place].beforeClose()
    case .close: try await own[place].close()
    default: break
    }
  }
}

/// One worker and the plugins on it.
final class WorkerTarget: ReplayTarget {
  private let worker: Worker
  let builder: StateBuilder<WorkerState>
  private let own: [any WorkerPlugin]

  init(
    _ source: Source, unknown: [UnavailableState], history: @escaping () throws -> SourceCursor,
    plugins: [any WorkerPlugin]
  ) {
    let builder = StateBuilder<WorkerState>(unknown: unknown, history: history)
    worker = Worker(id: source.id, address: source.address, name: source.name) { builder.look() }
    self.builder = builder
    own = plugins
  }

  var plugins: [any Plugin] { own }

  nonisolated(nonsending) func begin(_ place: Int) async throws {
    try await own[place].setup(worker: worker)
  }

  func call(_ place: Int, _ event: Event) throws {
    try own[place].call(event)
  }

  nonisolated(nonsending) func callAwaiting(_ place: Int, _ hook: Hook) async throws {
    if hook == .teardown { try await own[place].teardown(worker: worker) }
  }
}
